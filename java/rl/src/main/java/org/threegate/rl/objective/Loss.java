package org.threegate.rl.objective;

import java.util.Map;
import org.bytedeco.pytorch.Tensor;

/**
 * The value of an objective on a batch.
 *
 * @param value the loss to differentiate, a scalar
 * @param metrics the metrics by name. Names are those of TRL where TRL has the metric
 */
public record Loss(Tensor value, Map<String, Double> metrics) {}
