package org.threegate.rl.policy;

import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;

/**
 * A low-rank update of a weight: scale · B A (LoRA, arXiv 2106.09685).
 *
 * @param a the factor A, [rank, inputs]
 * @param b the factor B, [outputs, rank]
 * @param scale the scale of the product
 */
public record LowRankFactors(Tensor a, Tensor b, double scale) {
  /**
   * Checks the shapes.
   *
   * @throws IllegalArgumentException when the factors are no matrices, or have different ranks
   */
  public LowRankFactors {
    if (a.dim() != 2 || b.dim() != 2 || a.size(0) != b.size(1)) {
      throw new IllegalArgumentException("a must be [rank, inputs] and b [outputs, rank]");
    }
  }

  /** {@return the rank of the product} */
  public long rank() {
    return a.size(0);
  }

  /** Applies the update to rows x: scale · x Aᵀ Bᵀ. */
  Tensor product(Tensor rows) {
    return torch
        .linear(torch.linear(rows.to(a.scalar_type()), a), b)
        .mul(new Scalar(scale))
        .to(rows.scalar_type());
  }
}
