package org.threegate.rl.policy;

import java.util.List;
import org.threegate.run.InvalidInputException;

/**
 * Prompts to complete.
 *
 * @param prompts the token ids of the prompts, at least one token each
 * @param options how tokens are sampled
 * @param seeds one seed per prompt. An engine that cannot take one ignores it
 * @param version the version of the weights that should answer. An engine answers with older
 *     weights when it does not have them yet
 */
public record CompletionRequest(
    List<int[]> prompts, SamplingOptions options, long[] seeds, long version) {
  // Rounding can make the log-probability of a certain token larger than zero.
  private static final float ROUNDING = 1e-3f;

  /**
   * Copies the list.
   *
   * @throws IllegalArgumentException when a prompt is empty, or the numbers of prompts and seeds
   *     differ
   */
  public CompletionRequest {
    prompts = List.copyOf(prompts);
    if (seeds.length != prompts.size()) {
      throw new IllegalArgumentException(
          "there must be one seed per prompt, but there are "
              + seeds.length
              + " seeds and "
              + prompts.size()
              + " prompts");
    }
    if (prompts.stream().anyMatch(prompt -> prompt.length == 0)) {
      throw new IllegalArgumentException("a prompt has no tokens");
    }
  }

  /**
   * Checks the completions that an engine answers with.
   *
   * @param completions the completions, in the order of the prompts
   * @param where the name of the engine, for errors
   * @return the completions
   * @throws InvalidInputException when they do not answer this request
   */
  public List<Completion> checked(List<Completion> completions, String where) {
    if (completions.size() != prompts.size()) {
      throw new InvalidInputException(
          where + ": " + completions.size() + " completions of " + prompts.size() + " prompts");
    }
    for (int i = 0; i < completions.size(); i++) {
      Completion own = completions.get(i);
      String which = where + ": completion " + (i + 1) + ": ";
      int length = own.tokens().length;
      if (length < 1 || length > options.longest()) {
        throw new InvalidInputException(
            which + length + " tokens; 1 to " + options.longest() + " were asked for");
      }
      if (own.logProbabilities().length != length) {
        throw new InvalidInputException(
            which
                + length
                + " tokens with "
                + own.logProbabilities().length
                + " log-probabilities");
      }
      if (own.version() < 0 || own.version() > version) {
        throw new InvalidInputException(
            which + "version " + own.version() + " of the weights; there are 0 to " + version);
      }
      for (int j = 0; j < length; j++) {
        float probability = own.logProbabilities()[j];
        if (!(probability <= ROUNDING) || Float.isInfinite(probability)) {
          throw new InvalidInputException(
              which + "the log-probability " + probability + "; it must be finite, and 0 or less");
        }
      }
    }
    return List.copyOf(completions);
  }
}
