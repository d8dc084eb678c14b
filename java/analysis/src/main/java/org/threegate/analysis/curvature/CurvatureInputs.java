package org.threegate.analysis.curvature;

import java.util.function.Predicate;
import org.threegate.checkpoint.Checkpoint;

/**
 * What a study of curvature measures. The study reads its parts and does not close them.
 *
 * @param capture captured inputs and gradients of layers
 * @param base checkpoint before training
 * @param tuned checkpoint after training
 * @param selected selects weights by name
 */
public record CurvatureInputs(
    Capture capture, Checkpoint base, Checkpoint tuned, Predicate<String> selected) {}
