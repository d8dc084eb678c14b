package org.threegate.rl.verifier;

import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * What a reward function says about an attempt.
 *
 * @param value the score, a finite number, or NaN when it is missing
 * @param metrics other values by name, which become metrics and do not count; NaN where missing
 */
public record Scores(double value, Map<String, Double> metrics) {
  /**
   * No score, as TRL's {@code None}: the attempt counts neither in the mean of the function nor in
   * the sum of the functions.
   */
  public static final Scores MISSING = of(Double.NaN);

  /** Copies the metrics. */
  public Scores {
    metrics = Collections.unmodifiableMap(new LinkedHashMap<>(metrics));
  }

  /**
   * {@return a score without metrics}
   *
   * @param value the score, by convention 1 for a correct answer and 0 for a wrong one
   */
  public static Scores of(double value) {
    return new Scores(value, Map.of());
  }
}
