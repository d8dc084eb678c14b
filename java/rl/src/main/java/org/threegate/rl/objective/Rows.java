package org.threegate.rl.objective;

import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;

/** Sums over the tokens of completions, [completions, 1]. */
final class Rows {
  private Rows() {}

  static Tensor sums(Tensor values) {
    return values.sum(new long[] {1}, true, null);
  }

  /** Returns the number of tokens of each completion, and 1 for an empty one. */
  static Tensor counts(Tensor mask) {
    return sums(mask).clamp_min(new Scalar(1.0));
  }
}
