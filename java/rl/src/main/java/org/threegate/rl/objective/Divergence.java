package org.threegate.rl.objective;

import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;

/**
 * Estimators of the KL divergence from a reference model, on tokens that the policy sampled
 * (Schulman, "Approximating KL divergence", 2020). Here d is the log-probability under the policy
 * minus that under the reference.
 */
public enum Divergence {
  /** d: unbiased, but may be negative. */
  K1 {
    @Override
    public Tensor of(Tensor own, Tensor reference) {
      return own.sub(reference);
    }
  },
  /** d²/2: biased, but its gradient is an unbiased estimate of the divergence's gradient. */
  K2 {
    @Override
    public Tensor of(Tensor own, Tensor reference) {
      Tensor apart = own.sub(reference);
      return apart.mul(apart).mul(new Scalar(0.5));
    }
  },
  /** exp(-d) + d - 1: unbiased and never negative. It is the estimator of TRL. */
  K3 {
    @Override
    public Tensor of(Tensor own, Tensor reference) {
      Tensor apart = reference.sub(own);
      return apart.exp().sub(apart).sub(new Scalar(1.0));
    }
  };

  /**
   * {@return the estimate for each token} Both tensors have the same shape, as has the result.
   *
   * @param own log-probabilities under the policy
   * @param reference log-probabilities under the reference model
   */
  public abstract Tensor of(Tensor own, Tensor reference);
}
