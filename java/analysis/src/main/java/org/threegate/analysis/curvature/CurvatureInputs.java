package org.threegate.analysis.curvature;

import java.util.function.Consumer;
import java.util.function.Predicate;
import org.threegate.analysis.statistics.Accounting;
import org.threegate.checkpoint.Checkpoint;

/**
 * What a study of curvature measures. The study reads its parts and does not close them.
 *
 * @param capture captured inputs and gradients of layers
 * @param base checkpoint before training
 * @param tuned checkpoint after training
 * @param selected selects weights by name
 * @param check throws if the account of the tensors of both checkpoints is not acceptable; it is
 *     called before anything is measured
 */
public record CurvatureInputs(
    Capture capture,
    Checkpoint base,
    Checkpoint tuned,
    Predicate<String> selected,
    Consumer<Accounting> check) {
  /**
   * Accepts any account.
   *
   * @param capture captured inputs and gradients of layers
   * @param base checkpoint before training
   * @param tuned checkpoint after training
   * @param selected selects weights by name
   */
  public CurvatureInputs(
      Capture capture, Checkpoint base, Checkpoint tuned, Predicate<String> selected) {
    this(capture, base, tuned, selected, accounting -> {});
  }
}
