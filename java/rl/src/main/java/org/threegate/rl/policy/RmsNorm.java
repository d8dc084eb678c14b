package org.threegate.rl.policy;

import org.bytedeco.pytorch.DoubleOptional;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptional;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;

/**
 * The root-mean-square norm (arXiv 1910.07467) of a family of decoders. The kinds differ in where
 * they round to the dtype of the model, as they do in transformers.
 *
 * <pre>{@code
 * RmsNorm norm = new RmsNorm(RmsNorm.Kind.ROUNDED, 1e-6);
 * }</pre>
 *
 * @param kind how the weight is applied
 * @param epsilon the term that is added to the mean square ({@code rms_norm_eps})
 */
public record RmsNorm(Kind kind, double epsilon) {
  /** How the weight of a norm is applied. */
  public enum Kind {
    /** The normalized states are rounded, and then multiplied by the weight (Llama). */
    ROUNDED,
    /** The normalized states are multiplied by the weight, and then rounded (gpt-oss). */
    EXACT,
    /** As {@link #EXACT}, with a factor of 1 + weight (Gemma). */
    CENTRED;

    /** Returns the weight that changes nothing. */
    float neutral() {
      return this == CENTRED ? 0 : 1;
    }
  }

  /**
   * Normalizes the last dimension.
   *
   * @param exact the dtype in which the norm is computed
   */
  Tensor apply(Tensor states, Tensor weight, ScalarType exact) {
    ScalarType stored = states.scalar_type().intern();
    Tensor factor = kind == Kind.CENTRED ? weight.to(exact).add(new Scalar(1.0)) : weight;
    if (stored == exact) {
      return torch.rms_norm(
          states,
          new long[] {states.size(-1)},
          new TensorOptional(factor),
          new DoubleOptional(epsilon));
    }
    Tensor wide = states.to(exact);
    Tensor squares = wide.mul(wide).mean(new long[] {-1}, true, null);
    Tensor normal = wide.mul(squares.add(new Scalar(epsilon)).rsqrt());
    return kind == Kind.ROUNDED
        ? normal.to(stored).mul(factor)
        : normal.mul(factor.to(exact)).to(stored);
  }
}
