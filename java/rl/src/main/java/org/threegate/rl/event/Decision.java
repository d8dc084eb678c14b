package org.threegate.rl.event;

import java.util.Optional;
import java.util.OptionalDouble;

/**
 * What a {@link TrainingCallback} decides about the rest of a run.
 *
 * <pre>{@code
 * Decision slower = Decision.learningRate(1e-6);
 * Decision end = Decision.stop("the reward is high enough");
 * }</pre>
 *
 * @param stopReason why the run ends after this step, if it does
 * @param learningRate the peak learning rate of later steps, if it changes. The schedule goes on
 */
public record Decision(Optional<String> stopReason, OptionalDouble learningRate) {
  /** The run goes on as it is. */
  public static final Decision GO_ON = new Decision(Optional.empty(), OptionalDouble.empty());

  private static final int LONGEST_REASON = 1000; // characters

  /**
   * Validates the decision.
   *
   * @throws IllegalArgumentException when the rate is not above 0 and finite, or the reason has no
   *     character or more than 1,000
   */
  public Decision {
    double rate = learningRate.orElse(1);
    if (!(rate > 0 && Double.isFinite(rate))) {
      throw new IllegalArgumentException(
          "the learning rate must be above 0 and finite, but is " + rate);
    }
    int length = stopReason.map(String::length).orElse(1);
    if (length < 1 || length > LONGEST_REASON) {
      throw new IllegalArgumentException(
          "a reason must have 1 to " + LONGEST_REASON + " characters, but has " + length);
    }
  }

  /**
   * {@return the end of the run}
   *
   * @param reason why it ends, in a line
   */
  public static Decision stop(String reason) {
    return new Decision(Optional.of(reason), OptionalDouble.empty());
  }

  /**
   * {@return another learning rate}
   *
   * @param peak the peak learning rate of later steps, which the schedule multiplies
   */
  public static Decision learningRate(double peak) {
    return new Decision(Optional.empty(), OptionalDouble.of(peak));
  }
}
