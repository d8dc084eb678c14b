package org.threegate.rl.optimizer;

import java.util.List;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;

/**
 * Stochastic gradient descent with momentum, as {@code torch.optim.SGD} without dampening. Weight
 * decay is added to the gradient, so that momentum applies to it, too.
 *
 * <pre>{@code
 * Optimizer optimizer = Optimizer.of(decoder.parameters(), Sgd.DEFAULT, Map.of());
 * }</pre>
 *
 * @param momentum the decay of the sum of gradients; 0 turns momentum off
 * @param nesterov whether the step looks ahead along the momentum
 * @param weightDecay the weight decay of matrices; vectors have none
 * @param largestNorm the global norm to which gradients are clipped; infinity turns clipping off
 */
public record Sgd(double momentum, boolean nesterov, double weightDecay, double largestNorm)
    implements UpdateRule {
  /** Momentum 0.9, no weight decay, and clipping to norm 1. */
  public static final Sgd DEFAULT = new Sgd(0.9, false, 0, 1);

  /**
   * Validates the hyperparameters.
   *
   * @throws IllegalArgumentException when one of them is out of its range
   */
  public Sgd {
    if (!(momentum >= 0 && momentum < 1)) {
      throw new IllegalArgumentException("momentum must be from 0 to below 1");
    }
    if (nesterov && momentum == 0) {
      throw new IllegalArgumentException("nesterov needs a momentum above 0");
    }
    if (!(weightDecay >= 0 && largestNorm > 0)) {
      throw new IllegalArgumentException("largestNorm must be above 0, and weightDecay 0 or more");
    }
  }

  @Override
  public List<String> moments() {
    return momentum > 0 ? List.of("momentum") : List.of();
  }

  @Override
  public boolean isElementwise() {
    return true;
  }

  @Override
  public Tensor moved(Step step) {
    Tensor direction =
        step.decays() && weightDecay > 0
            ? step.gradient().add(step.weights(), new Scalar(weightDecay))
            : step.gradient();
    if (momentum > 0) {
      Tensor sum = step.moments().get(0).mul_(new Scalar(momentum)).add_(direction);
      direction = nesterov ? direction.add(sum, new Scalar(momentum)) : sum;
    }
    return step.weights().sub(direction, new Scalar(step.rate()));
  }
}
