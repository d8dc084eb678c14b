package org.threegate.rl.objective;

import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;

/**
 * The clipped surrogate objective of policy gradient methods: probability ratios times advantages.
 * The constants are presets of well-known algorithms. The algorithms also differ in their {@link
 * Advantages}.
 *
 * <pre>{@code
 * PolicyObjective objective = PolicyObjective.DAPO.withDivergence(Divergence.K3, 0.01);
 * }</pre>
 *
 * @param ratio the level at which probability ratios are computed
 * @param surrogate how ratios far from 1 are limited
 * @param clipLow the lower clipping range: ratios are clipped below {@code 1 - clipLow}
 * @param clipHigh the upper clipping range: ratios are clipped above {@code 1 + clipHigh}. For
 *     {@link Surrogate#CAPPED} it is the cap itself
 * @param average how the losses of tokens are averaged
 * @param length the number of tokens that {@link Average#LENGTH} divides by
 * @param divergence the estimator of the KL divergence from the reference, if it is penalized
 * @param weight the weight of the divergence, TRL's {@code beta}
 */
public record PolicyObjective(
    Ratio ratio,
    Surrogate surrogate,
    double clipLow,
    double clipHigh,
    Average average,
    int length,
    Optional<Divergence> divergence,
    double weight) {
  /** The level at which probability ratios are computed. */
  public enum Ratio {
    /** One ratio per token. */
    TOKEN,
    /** The geometric mean of the tokens' ratios of a completion (GSPO, arXiv 2507.18071). */
    SEQUENCE_MEAN,
    /** The ratio of the completion's probabilities: the product of the tokens' ratios. */
    SEQUENCE
  }

  /** The term that is minimized, for a ratio r and an advantage A. */
  public enum Surrogate {
    /** -min(r A, clip(r) A) (PPO, arXiv 1707.06347). */
    CLIPPED,
    /** -min(r, cap) A log p, where the first factor has no gradient (CISPO, arXiv 2506.13585). */
    CAPPED
  }

  /** How the losses of tokens are averaged. */
  public enum Average {
    /**
     * The mean over each completion, then over completions (GRPO). Short ones weigh more per token.
     */
    SEQUENCES,
    /** The mean over all tokens of the batch (DAPO). */
    TOKENS,
    /** The sum divided by a constant number of tokens per completion (Dr. GRPO). */
    LENGTH
  }

  /** GRPO (arXiv 2402.03300), without a divergence. */
  public static final PolicyObjective GRPO =
      new PolicyObjective(
          Ratio.TOKEN, Surrogate.CLIPPED, 0.2, 0.2, Average.SEQUENCES, 0, Optional.empty(), 0);

  /** DAPO (arXiv 2503.14476). */
  public static final PolicyObjective DAPO =
      GRPO.withClip(0.2, 0.28).withAverage(Average.TOKENS, 0);

  /** GSPO (arXiv 2507.18071), with the clipping ranges that the paper recommends. */
  public static final PolicyObjective GSPO =
      new PolicyObjective(
          Ratio.SEQUENCE_MEAN,
          Surrogate.CLIPPED,
          3e-4,
          4e-4,
          Average.SEQUENCES,
          0,
          Optional.empty(),
          0);

  /** CISPO (arXiv 2506.13585). */
  public static final PolicyObjective CISPO =
      new PolicyObjective(
          Ratio.TOKEN, Surrogate.CAPPED, 0, 5, Average.TOKENS, 0, Optional.empty(), 0);

  /** RLOO (arXiv 2402.14740), with ratios for more than one update per batch. */
  public static final PolicyObjective RLOO =
      new PolicyObjective(
          Ratio.SEQUENCE, Surrogate.CLIPPED, 0.2, 0.2, Average.SEQUENCES, 0, Optional.empty(), 0);

  /** REINFORCE++ (arXiv 2501.03262). */
  public static final PolicyObjective REINFORCE_PLUS_PLUS = GRPO.withAverage(Average.TOKENS, 0);

  /**
   * Validates the objective.
   *
   * @throws IllegalArgumentException when a component is out of its range, or does not fit the
   *     others
   */
  public PolicyObjective {
    boolean capped = surrogate == Surrogate.CAPPED;
    require(capped || (clipLow > 0 && clipLow <= 1), "clipLow must be above 0 and at most 1");
    require(clipHigh > 0, "clipHigh must be above 0");
    require(!capped || ratio == Ratio.TOKEN, "a capped surrogate requires token-level ratios");
    require(average != Average.LENGTH || length > 0, "length must be 1 or more");
    require(
        weight >= 0 && (divergence.isPresent() || weight == 0),
        "weight must be 0 or more, and 0 without a divergence");
  }

  private static void require(boolean holds, String text) {
    if (!holds) {
      throw new IllegalArgumentException(text);
    }
  }

  /**
   * {@return the objective of Dr. GRPO (arXiv 2503.20783)} Its advantages are {@link
   * Advantages#centred}.
   *
   * @param longestCompletion the maximal number of tokens of a completion, by which sums are
   *     divided
   */
  public static PolicyObjective drGrpo(int longestCompletion) {
    return GRPO.withAverage(Average.LENGTH, longestCompletion);
  }

  /**
   * Returns this objective with other clipping ranges.
   *
   * @param low the lower clipping range, above 0 and at most 1 unless the surrogate is capped
   * @param high the upper clipping range, above 0
   * @return the objective
   */
  public PolicyObjective withClip(double low, double high) {
    return new PolicyObjective(ratio, surrogate, low, high, average, length, divergence, weight);
  }

  /**
   * Returns this objective with another average.
   *
   * @param over how the losses of tokens are averaged
   * @param tokens the number of tokens that {@link Average#LENGTH} divides by
   * @return the objective
   */
  public PolicyObjective withAverage(Average over, int tokens) {
    return new PolicyObjective(
        ratio, surrogate, clipLow, clipHigh, over, tokens, divergence, weight);
  }

  /**
   * Returns this objective with a penalty of the divergence from the reference model.
   *
   * @param estimate the estimator of the divergence
   * @param factor the weight of the divergence, 0 or more
   * @return the objective
   */
  public PolicyObjective withDivergence(Divergence estimate, double factor) {
    return new PolicyObjective(
        ratio, surrogate, clipLow, clipHigh, average, length, Optional.of(estimate), factor);
  }

  /**
   * Computes the loss of a batch.
   *
   * @param batch the completions
   * @return the loss and its metrics
   * @throws IllegalArgumentException when the objective has a divergence and the batch no reference
   */
  public Loss loss(PolicyBatch batch) {
    Tensor advantages = batch.advantages().unsqueeze(1);
    Tensor ratios = ratios(batch);
    Tensor each = surrogate(batch, ratios, advantages);
    Map<String, Double> metrics = new LinkedHashMap<>();
    if (divergence.isPresent()) {
      Tensor reference =
          batch
              .reference()
              .orElseThrow(
                  () ->
                      new IllegalArgumentException(
                          "a divergence needs the log-probabilities of a reference model"));
      Tensor apart = divergence.get().of(batch.logProbabilities(), reference);
      each = each.add(apart.mul(new Scalar(weight)));
      metrics.put("kl", mean(apart, batch.mask()));
    }
    clipped(batch.mask(), ratios.detach(), advantages, metrics);
    return new Loss(averaged(each, batch.mask()), metrics);
  }

  /** Returns log ratios, [completions, tokens] or [completions, 1]. */
  private Tensor ratios(PolicyBatch batch) {
    Tensor logRatios = batch.logProbabilities().sub(batch.before());
    if (ratio == Ratio.TOKEN) {
      return logRatios.exp();
    }
    Tensor sums = rowSums(logRatios.mul(batch.mask()));
    return (ratio == Ratio.SEQUENCE ? sums : sums.div(counts(batch.mask()))).exp();
  }

  private static Tensor rowSums(Tensor values) {
    return values.sum(new long[] {1}, true, null);
  }

  /** Returns the number of tokens of each completion, and 1 for an empty one. */
  private static Tensor counts(Tensor mask) {
    return rowSums(mask).clamp_min(new Scalar(1.0));
  }

  private Tensor surrogate(PolicyBatch batch, Tensor ratios, Tensor advantages) {
    if (surrogate == Surrogate.CAPPED) {
      return ratios
          .clamp_max(new Scalar(clipHigh))
          .detach()
          .mul(advantages)
          .mul(batch.logProbabilities())
          .neg();
    }
    Tensor limited = ratios.clamp_min(new Scalar(1 - clipLow)).clamp_max(new Scalar(1 + clipHigh));
    return torch.minimum(ratios.mul(advantages), limited.mul(advantages)).neg();
  }

  private Tensor averaged(Tensor each, Tensor mask) {
    Tensor sums = rowSums(each.mul(mask));
    return switch (average) {
      case SEQUENCES -> sums.div(counts(mask)).mean();
      case TOKENS -> sums.sum().div(mask.sum().clamp_min(new Scalar(1.0)));
      case LENGTH -> sums.sum().div(new Scalar((double) length * mask.size(0)));
    };
  }

  private void clipped(Tensor mask, Tensor ratios, Tensor advantages, Map<String, Double> metrics) {
    Scalar zero = new Scalar(0.0);
    if (surrogate == Surrogate.CAPPED) {
      Tensor above = ratios.gt(new Scalar(clipHigh)).logical_and(advantages.gt(zero));
      metrics.put("cispo_clip_ratio", share(above, mask));
      return;
    }
    Tensor low = ratios.lt(new Scalar(1 - clipLow)).logical_and(advantages.lt(zero));
    Tensor high = ratios.gt(new Scalar(1 + clipHigh)).logical_and(advantages.gt(zero));
    metrics.put("clip_ratio/low_mean", share(low, mask));
    metrics.put("clip_ratio/low_min", rows(low, mask).min().item_double());
    metrics.put("clip_ratio/high_mean", share(high, mask));
    metrics.put("clip_ratio/high_max", rows(high, mask).max().item_double());
    metrics.put("clip_ratio/region_mean", share(low.logical_or(high), mask));
  }

  private static double share(Tensor which, Tensor mask) {
    return which.size(1) == 1
        ? which.to(ScalarType.Double).mean().item_double()
        : mean(which.to(ScalarType.Double), mask);
  }

  private static Tensor rows(Tensor which, Tensor mask) {
    Tensor values = which.to(ScalarType.Double);
    return values.size(1) == 1 ? values : rowSums(values.mul(mask)).div(counts(mask));
  }

  private static double mean(Tensor values, Tensor mask) {
    Tensor counted = values.detach().mul(mask);
    return counted.sum().div(mask.sum().clamp_min(new Scalar(1.0))).item_double();
  }
}
