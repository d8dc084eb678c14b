package org.threegate.rl.optimizer;

import java.util.List;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;

/**
 * AdamW (arXiv 1711.05101).
 *
 * <pre>{@code
 * Optimizer optimizer = Optimizer.of(decoder.parameters(), AdamW.DEFAULT, Map.of());
 * }</pre>
 *
 * @param firstDecay the decay of the mean of gradients (beta 1)
 * @param secondDecay the decay of the mean of squared gradients (beta 2)
 * @param epsilon the term that is added to the denominator
 * @param weightDecay the decoupled weight decay of matrices; vectors and biases have none
 * @param largestNorm the global norm to which gradients are clipped; infinity turns clipping off
 */
public record AdamW(
    double firstDecay, double secondDecay, double epsilon, double weightDecay, double largestNorm)
    implements UpdateRule {
  /** Betas 0.9 and 0.999, epsilon 1e-8, no weight decay, and clipping to norm 1. */
  public static final AdamW DEFAULT = new AdamW(0.9, 0.999, 1e-8, 0, 1);

  /**
   * Validates the hyperparameters.
   *
   * @throws IllegalArgumentException when one of them is out of its range
   */
  public AdamW {
    if (!(firstDecay >= 0 && firstDecay < 1 && secondDecay >= 0 && secondDecay < 1)) {
      throw new IllegalArgumentException("firstDecay and secondDecay must be from 0 to below 1");
    }
    if (!(epsilon > 0 && weightDecay >= 0 && largestNorm > 0)) {
      throw new IllegalArgumentException(
          "epsilon and largestNorm must be above 0, and weightDecay 0 or more");
    }
  }

  @Override
  public List<String> moments() {
    return List.of("mean", "squares");
  }

  @Override
  public boolean isElementwise() {
    return true;
  }

  @Override
  public Tensor moved(Step step) {
    Tensor mean = step.moments().get(0);
    Tensor squares = step.moments().get(1);
    Tensor gradient = step.gradient();
    mean.mul_(new Scalar(firstDecay)).add_(gradient, new Scalar(1 - firstDecay));
    squares.mul_(new Scalar(secondDecay)).addcmul_(gradient, gradient, new Scalar(1 - secondDecay));
    double firstBias = 1 - Math.pow(firstDecay, step.number());
    double secondBias = Math.sqrt(1 - Math.pow(secondDecay, step.number()));
    Tensor below = squares.sqrt().div(new Scalar(secondBias)).add(new Scalar(epsilon));
    double kept = step.decays() ? 1 - step.rate() * weightDecay : 1;
    return step.weights()
        .mul(new Scalar(kept))
        .sub(mean.div(below).mul(new Scalar(step.rate() / firstBias)));
  }
}
