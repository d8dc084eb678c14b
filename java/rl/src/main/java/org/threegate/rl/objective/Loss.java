package org.threegate.rl.objective;

import java.util.Map;
import org.bytedeco.pytorch.Tensor;

/**
 * The value of an objective on a batch.
 *
 * @param value the loss to differentiate, a scalar
 * @param metrics the metrics by name. Names are those of TRL where TRL has the metric
 */
public record Loss(Tensor value, Map<String, Double> metrics) {
  /**
   * {@return a metric of an update from those of two parts of it}: the smallest or largest value
   * where the name ends with {@code min} or {@code max}, and else the sum of contributions
   *
   * @param name the name of the metric
   * @param first the value of a part
   * @param second the value of another part
   */
  public static double merged(String name, double first, double second) {
    if (name.endsWith("min")) {
      return Math.min(first, second);
    }
    return name.endsWith("max") ? Math.max(first, second) : first + second;
  }
}
