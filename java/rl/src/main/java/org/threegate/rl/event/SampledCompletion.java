package org.threegate.rl.event;

import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * A completion of a training step, and what it was worth. The texts are those of a data set and of
 * a model: observers bound and escape them.
 *
 * @param prompt the text of the prompt
 * @param completion the text of the completion, without special tokens
 * @param rewards the scores by the names of the reward functions
 * @param reward the weighted sum of the scores
 * @param advantage the advantage; NaN where the step was skipped before it was known
 * @param tokens the number of tokens of the completion, without those that an environment wrote
 * @param isTruncated whether the completion reached the maximal length
 * @param parts the turns of the completion. Their texts together are {@code completion}
 */
public record SampledCompletion(
    String prompt,
    String completion,
    Map<String, Double> rewards,
    double reward,
    double advantage,
    int tokens,
    boolean isTruncated,
    List<Part> parts) {
  /**
   * A turn of a completion.
   *
   * @param isEnvironment whether an environment wrote it, and not the policy
   * @param text its text, without special tokens
   */
  public record Part(boolean isEnvironment, String text) {}

  /** Copies the scores and the parts. */
  public SampledCompletion {
    rewards = Collections.unmodifiableMap(new LinkedHashMap<>(rewards));
    parts = List.copyOf(parts);
  }

  /**
   * Creates a completion of one turn.
   *
   * @param prompt the text of the prompt
   * @param completion the text of the completion, without special tokens
   * @param rewards the scores by the names of the reward functions
   * @param reward the weighted sum of the scores
   * @param advantage the advantage; NaN where the step was skipped before it was known
   * @param tokens the number of tokens of the completion
   * @param isTruncated whether the completion reached the maximal length
   */
  public SampledCompletion(
      String prompt,
      String completion,
      Map<String, Double> rewards,
      double reward,
      double advantage,
      int tokens,
      boolean isTruncated) {
    this(
        prompt,
        completion,
        rewards,
        reward,
        advantage,
        tokens,
        isTruncated,
        List.of(new Part(false, completion)));
  }
}
