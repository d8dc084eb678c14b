package org.threegate.rl.optimizer;

import java.util.List;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;

/**
 * Muon (<a href="https://kellerjordan.github.io/posts/muon/">K. Jordan et al., 2024</a>) as {@code
 * torch.optim.Muon}: the momentum of a matrix is orthogonalized by Newton-Schulz iterations, so
 * that all its singular values become about 1. Embeddings, the output head and vectors are left to
 * AdamW. The iterations run in float32, those of PyTorch in bfloat16.
 *
 * <pre>{@code
 * Optimizer optimizer = Optimizer.of(decoder.parameters(), Muon.DEFAULT, Map.of());
 * }</pre>
 *
 * @param momentum the decay of the mean of gradients
 * @param nesterov whether the step looks ahead along the momentum
 * @param iterations the number of Newton-Schulz iterations
 * @param scaling how the learning rate depends on the shape of a matrix
 * @param rateRatio the learning rate of these matrices divided by that of the other parameters
 * @param weightDecay the decoupled weight decay of these matrices
 * @param others the rule of all other parameters; its norm also clips the gradients
 */
public record Muon(
    double momentum,
    boolean nesterov,
    int iterations,
    Scaling scaling,
    double rateRatio,
    double weightDecay,
    AdamW others)
    implements UpdateRule {
  /** How the learning rate depends on the shape of a matrix. */
  public enum Scaling {
    /** √max(1, rows / columns), as in the first implementation. */
    ORIGINAL,
    /** 0.2 √max(rows, columns): steps are as large as those of AdamW (arXiv 2502.16982). */
    MATCH_RMS_ADAMW;

    double of(Tensor matrix) {
      double rows = matrix.size(0);
      double columns = matrix.size(1);
      return switch (this) {
        case ORIGINAL -> Math.sqrt(Math.max(1, rows / columns));
        case MATCH_RMS_ADAMW -> 0.2 * Math.sqrt(Math.max(rows, columns));
      };
    }
  }

  /**
   * Momentum 0.95 with Nesterov's step, five iterations, steps as large as those of AdamW, no
   * weight decay, and AdamW's defaults for the other parameters.
   */
  public static final Muon DEFAULT =
      new Muon(0.95, true, 5, Scaling.MATCH_RMS_ADAMW, 1, 0, AdamW.DEFAULT);

  private static final int MOST_ITERATIONS = 99;
  // The odd polynomial a x + b x³ + c x⁵, which moves singular values to about 1.
  private static final double A = 3.4445;
  private static final double B = -4.775;
  private static final double C = 2.0315;
  private static final double LEAST_NORM = 1e-7;

  /**
   * Validates the hyperparameters.
   *
   * @throws IllegalArgumentException when one of them is out of its range
   */
  public Muon {
    if (!(momentum >= 0 && momentum < 1)) {
      throw new IllegalArgumentException("momentum must be from 0 to below 1");
    }
    if (iterations < 1 || iterations > MOST_ITERATIONS) {
      throw new IllegalArgumentException("iterations must be from 1 to " + MOST_ITERATIONS);
    }
    if (!(rateRatio > 0 && Double.isFinite(rateRatio) && weightDecay >= 0)) {
      throw new IllegalArgumentException(
          "rateRatio must be above 0 and finite, and weightDecay 0 or more");
    }
  }

  @Override
  public double largestNorm() {
    return others.largestNorm();
  }

  @Override
  public UpdateRule of(String name, Tensor parameter) {
    boolean vocabulary = name.endsWith("embed_tokens.weight") || name.endsWith("lm_head.weight");
    boolean matrix = parameter.dim() == 2 && !name.endsWith("bias");
    return matrix && !vocabulary ? this : others;
  }

  @Override
  public List<String> moments() {
    return List.of("momentum");
  }

  @Override
  public boolean isElementwise() {
    return false;
  }

  @Override
  public Tensor moved(Step step) {
    Tensor mean = step.moments().get(0);
    mean.lerp_(step.gradient(), new Scalar(1 - momentum));
    Tensor direction = nesterov ? step.gradient().lerp(mean, new Scalar(momentum)) : mean;
    double rate = step.rate() * rateRatio;
    return step.weights()
        .mul(new Scalar(1 - rate * weightDecay))
        .sub(orthogonal(direction), new Scalar(rate * scaling.of(step.weights())));
  }

  /** Returns a matrix with the same singular vectors whose singular values are about 1. */
  private Tensor orthogonal(Tensor matrix) {
    boolean tall = matrix.size(0) > matrix.size(1);
    Tensor wide = tall ? matrix.t().contiguous() : matrix;
    Tensor all = wide.div(new Scalar(Math.max(LEAST_NORM, wide.norm().item_double())));
    for (int i = 0; i < iterations; i++) {
      Tensor gram = torch.mm(all, all.t());
      Tensor factor = torch.addmm(gram, gram, gram, new Scalar(B), new Scalar(C));
      all = torch.addmm(all, factor, all, new Scalar(A), new Scalar(1.0));
    }
    return tall ? all.t() : all;
  }
}
