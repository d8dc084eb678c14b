package org.threegate.rl.train;

import java.util.Comparator;
import java.util.List;
import java.util.function.IntUnaryOperator;
import org.bytedeco.pytorch.Tensor;
import org.threegate.rl.policy.Decoder;
import org.threegate.rl.policy.Differentiation;
import org.threegate.rl.policy.GradientSource;
import org.threegate.rl.policy.Packed;
import org.threegate.rl.policy.PackedDifferentiation;
import org.threegate.rl.policy.Padded;

/**
 * Texts of a part of a batch: packed without padding where the model allows it, and padded to the
 * longest one otherwise.
 */
final class TextParts {
  private TextParts() {}

  /**
   * Returns the order in which completions are dealt to parts. Packed completions stay beside
   * others of their prompt, which they share. Padded ones are sorted by length, because all rows of
   * a part are as long as its longest one.
   *
   * @param length maps a completion to its number of tokens
   */
  static List<Integer> arranged(Decoder model, List<Integer> completions, IntUnaryOperator length) {
    Comparator<Integer> order =
        model.isPackable()
            ? Comparator.naturalOrder()
            : Comparator.comparingInt(length::applyAsInt);
    return completions.stream().sorted(order).toList();
  }

  /** Returns the part whose measures are differentiated, [completions, longest]. */
  static GradientSource of(
      Decoder model,
      List<int[]> prompts,
      List<int[]> completions,
      double temperature,
      boolean checkpointed) {
    if (isPacked(model, completions)) {
      return new PackedDifferentiation(
          model, Packed.of(prompts, completions), temperature, checkpointed);
    }
    return new Differentiation(
        model,
        padded(model, prompts, completions),
        temperature,
        longest(prompts),
        longest(completions),
        checkpointed);
  }

  /** Returns the log-probabilities of completions without a gradient, [completions, longest]. */
  static Tensor logProbabilities(
      Decoder model, List<int[]> prompts, List<int[]> completions, double temperature) {
    if (isPacked(model, completions)) {
      return model.logProbabilities(Packed.of(prompts, completions), temperature);
    }
    Padded texts = padded(model, prompts, completions);
    return model.logProbabilities(
        texts.tokens(), texts.mask(), temperature, longest(prompts), longest(completions));
  }

  /** Returns the entropies at the tokens of completions, [completions, longest]. */
  static Tensor entropies(
      Decoder model, List<int[]> prompts, List<int[]> completions, double temperature) {
    if (isPacked(model, completions)) {
      return model.entropies(Packed.of(prompts, completions), temperature);
    }
    Padded texts = padded(model, prompts, completions);
    return model.entropies(
        texts.tokens(), texts.mask(), temperature, longest(prompts), longest(completions));
  }

  private static boolean isPacked(Decoder model, List<int[]> completions) {
    return model.isPackable() && completions.stream().allMatch(own -> own.length > 0);
  }

  private static Padded padded(Decoder model, List<int[]> prompts, List<int[]> completions) {
    int padding = model.config().tokens().padding();
    return Padded.left(prompts, longest(prompts), padding)
        .followedBy(Padded.right(completions, longest(completions), padding));
  }

  private static int longest(List<int[]> texts) {
    return texts.stream().mapToInt(tokens -> tokens.length).max().orElseThrow();
  }
}
