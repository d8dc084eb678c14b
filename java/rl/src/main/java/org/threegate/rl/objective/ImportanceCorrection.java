package org.threegate.rl.objective;

import java.util.Map;
import java.util.OptionalDouble;
import org.bytedeco.pytorch.DoubleOptional;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;

/**
 * Corrects for a sampler whose probabilities differ from those of the trained model, with TRL's
 * {@code vllm_importance_sampling_*}: each loss is multiplied by the ratio of both probabilities.
 *
 * @param mode the level of the ratios, and what happens to ratios out of bounds
 * @param clipMin the lower bound of ratios, if there is one
 * @param clipMax the upper bound of ratios, if there is one
 */
public record ImportanceCorrection(Mode mode, OptionalDouble clipMin, OptionalDouble clipMax) {
  /** The level of the ratios, and what happens to those out of bounds, with TRL's names. */
  public enum Mode {
    /** Ratios of tokens, clipped to the bounds. */
    TOKEN_TRUNCATE,
    /** Ratios of tokens, 0 outside of the bounds. */
    TOKEN_MASK,
    /** Ratios of whole completions, clipped to the bounds. */
    SEQUENCE_TRUNCATE,
    /** Ratios of whole completions, 0 outside of the bounds. */
    SEQUENCE_MASK;

    private boolean isOfSequences() {
      return this == SEQUENCE_TRUNCATE || this == SEQUENCE_MASK;
    }

    private boolean isMasking() {
      return this == TOKEN_MASK || this == SEQUENCE_MASK;
    }
  }

  /**
   * Validates the bounds.
   *
   * @throws IllegalArgumentException when they are not in order, or missing for a mode that clips
   */
  public ImportanceCorrection {
    if (clipMin.isPresent()
        && clipMax.isPresent()
        && clipMin.getAsDouble() >= clipMax.getAsDouble()) {
      throw new IllegalArgumentException("clipMin must be below clipMax");
    }
    if (!mode.isMasking() && clipMin.isEmpty() && clipMax.isEmpty()) {
      throw new IllegalArgumentException("a mode that truncates needs a bound");
    }
  }

  /** Returns the ratios, [completions, tokens] or [completions, 1]. */
  Tensor ratios(PolicyBatch batch) {
    Tensor apart = apart(batch);
    Tensor ratios = (mode.isOfSequences() ? Rows.sums(apart) : apart).exp();
    if (mode.isMasking()) {
      Tensor outside =
          ratios
              .lt(new Scalar(clipMin.orElse(Double.NEGATIVE_INFINITY)))
              .logical_or(ratios.gt(new Scalar(clipMax.orElse(Double.POSITIVE_INFINITY))));
      return ratios.masked_fill(outside, new Scalar(0.0));
    }
    Tensor raised = clipMin.isPresent() ? ratios.clamp_min(scalar(clipMin)) : ratios;
    return clipMax.isPresent() ? raised.clamp_max(scalar(clipMax)) : raised;
  }

  private static Scalar scalar(OptionalDouble value) {
    return new Scalar(value.orElseThrow());
  }

  private static Tensor apart(PolicyBatch batch) {
    Tensor sampling =
        batch
            .sampling()
            .orElseThrow(
                () ->
                    new IllegalArgumentException(
                        "an importance correction needs the sampler's log-probabilities"));
    return known(batch.before().sub(sampling).mul(batch.mask()));
  }

  /** Replaces NaN, where the sampler reported nothing, by 0. */
  static Tensor known(Tensor values) {
    return values.nan_to_num(new DoubleOptional(0), new DoubleOptional(), new DoubleOptional());
  }

  /** Adds TRL's metrics of the ratios. */
  void describe(
      PolicyBatch batch, Tensor ratios, UpdateTotals totals, Map<String, Double> metrics) {
    Tensor counted = batch.mask().to(ScalarType.Bool);
    Tensor distances = apart(batch).abs();
    metrics.put(
        "sampling/sampling_logp_difference/mean",
        distances.sum().item_double() / Math.max(1, totals.tokens()));
    metrics.put("sampling/sampling_logp_difference/max", distances.max().item_double());
    Tensor flat = mode.isOfSequences() ? ratios : ratios.masked_select(counted);
    if (flat.numel() > 0) {
      double all = mode.isOfSequences() ? totals.completions() : Math.max(1, totals.tokens());
      metrics.put("sampling/importance_sampling_ratio/min", flat.min().item_double());
      metrics.put("sampling/importance_sampling_ratio/mean", flat.sum().item_double() / all);
      metrics.put("sampling/importance_sampling_ratio/max", flat.max().item_double());
    }
  }
}
