package org.threegate.rl.verifier;

import java.util.Arrays;
import java.util.List;
import java.util.Locale;

/**
 * Reward functions that come with the library, by their names.
 *
 * <pre>{@code
 * double reward = RewardFunction.of("numeric").verifier().score("It is 18.", "18");
 * }</pre>
 */
public enum RewardFunction {
  /** {@link Verifiers#EXACT}: equal texts. */
  EXACT(Verifiers.EXACT),
  /** {@link Verifiers#NUMERIC}: equal final numbers. */
  NUMERIC(Verifiers.NUMERIC),
  /** {@link Verifiers#MATHEMATICAL}: mathematically equal answers. */
  MATHEMATICAL(Verifiers.MATHEMATICAL),
  /** {@link Verifiers#MATHEMATICAL_SENTENCE}: the same, also in "The answer is 7." */
  MATHEMATICAL_SENTENCE(Verifiers.MATHEMATICAL_SENTENCE),
  /** {@link Verifiers#COUNTDOWN}: an expression with the given numbers and value. */
  COUNTDOWN(Verifiers.COUNTDOWN);

  private final Verifier verifier;

  RewardFunction(Verifier verifier) {
    this.verifier = verifier;
  }

  /** {@return the verifier that scores responses} */
  public Verifier verifier() {
    return verifier;
  }

  /** {@return the name, as in configurations} */
  public String label() {
    return name().toLowerCase(Locale.ROOT);
  }

  /**
   * {@return the reward function with this name}
   *
   * @param label name of a reward function, as {@link #label} returns it
   * @throws IllegalArgumentException for any other name. The message lists those there are
   */
  public static RewardFunction of(String label) {
    List<String> labels = Arrays.stream(values()).map(RewardFunction::label).toList();
    if (!labels.contains(label)) {
      throw new IllegalArgumentException(
          "\""
              + label
              + "\" is not a reward function; the reward functions are "
              + String.join(", ", labels));
    }
    return values()[labels.indexOf(label)];
  }
}
