package org.threegate.rl.objective;

import java.util.Map;
import org.bytedeco.pytorch.Tensor;

/**
 * What an objective came to.
 *
 * @param value to be differentiated
 * @param metrics by the names that TRL gives them
 */
public record Loss(Tensor value, Map<String, Double> metrics) {}
