package org.threegate.rl.objective;

import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;

/**
 * Estimates of the KL divergence from a reference, of tokens that the policy drew itself (Schulman,
 * "Approximating KL divergence", 2020); d is the policy's log-probability less the reference's.
 */
public enum Divergence {
  /** d: unbiased, of either sign. */
  K1 {
    @Override
    public Tensor of(Tensor own, Tensor reference) {
      return own.sub(reference);
    }
  },
  /** d²/2: biased, and its gradient is that of the divergence. */
  K2 {
    @Override
    public Tensor of(Tensor own, Tensor reference) {
      Tensor apart = own.sub(reference);
      return apart.mul(apart).mul(new Scalar(0.5));
    }
  },
  /** exp(-d) + d - 1: unbiased, never negative. */
  K3 {
    @Override
    public Tensor of(Tensor own, Tensor reference) {
      Tensor apart = reference.sub(own);
      return apart.exp().sub(apart).sub(new Scalar(1.0));
    }
  };

  /** Of each token; log-probabilities of any shape. */
  public abstract Tensor of(Tensor own, Tensor reference);
}
