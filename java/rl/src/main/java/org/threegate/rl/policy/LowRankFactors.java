package org.threegate.rl.policy;

import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;

/**
 * What is added to a weight: scale · B A (LoRA, arXiv 2106.09685).
 *
 * @param a rank x inputs
 * @param b outputs x rank
 */
public record LowRankFactors(Tensor a, Tensor b, double scale) {
  public LowRankFactors {
    if (a.dim() != 2 || b.dim() != 2 || a.size(0) != b.size(1)) {
      throw new IllegalArgumentException("factors whose ranks differ");
    }
  }

  public long rank() {
    return a.size(0);
  }

  /** Of rows: scale · x Aᵀ Bᵀ. */
  Tensor product(Tensor rows) {
    return torch
        .linear(torch.linear(rows.to(a.scalar_type()), a), b)
        .mul(new Scalar(scale))
        .to(rows.scalar_type());
  }
}
