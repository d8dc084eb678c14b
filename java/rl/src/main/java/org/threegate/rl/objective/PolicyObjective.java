package org.threegate.rl.objective;

import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalDouble;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;

/**
 * The objective of policy gradient methods, as TRL's {@code GRPOTrainer} computes it. Options have
 * the names and the defaults of TRL's {@code GRPOConfig}. The constants are well-known algorithms,
 * which also differ in their {@link Advantages}.
 *
 * <pre>{@code
 * PolicyObjective objective =
 *     PolicyObjective.builder().loss(LossType.DAPO).clip(0.2, 0.28).beta(0.01).build();
 * }</pre>
 *
 * @param lossType the term of a token, and how terms are averaged
 * @param level the level of the ratios of probabilities
 * @param clip the limits of ratios
 * @param maxCompletionLength the number of tokens that {@link LossType#DR_GRPO} divides by
 * @param penalty the penalty of the divergence from a reference model
 * @param soft the parameters of the smooth losses
 * @param topEntropyQuantile the share of tokens, those of the highest entropy, that the policy's
 *     loss is restricted to
 * @param entropyBonus the reward of entropy
 * @param offPolicyMaskThreshold the mean of log π_old - log π, in nats per token, above which
 *     completions with negative advantages are left out, if there is one
 * @param correction the correction for the sampler's probabilities, if there is one
 */
public record PolicyObjective(
    LossType lossType,
    ImportanceSamplingLevel level,
    Clip clip,
    int maxCompletionLength,
    Penalty penalty,
    Soft soft,
    double topEntropyQuantile,
    EntropyBonus entropyBonus,
    OptionalDouble offPolicyMaskThreshold,
    Optional<ImportanceCorrection> correction) {
  /**
   * The limits of ratios.
   *
   * @param epsilon ratios are clipped below 1 - epsilon
   * @param epsilonHigh ratios are clipped above 1 + epsilonHigh. For {@link LossType#CISPO} it is
   *     the cap itself
   * @param delta the largest ratio where the clip does not apply (two-sided GRPO, arXiv
   *     2505.07291), if there is one
   */
  public record Clip(double epsilon, double epsilonHigh, OptionalDouble delta) {}

  /**
   * The penalty of the divergence from a reference model.
   *
   * @param beta its weight; 0 turns it off
   * @param estimator the estimator of the divergence
   * @param isBiasCorrected whether the estimate is multiplied by the ratio of probabilities, whose
   *     gradient makes that of the divergence unbiased (arXiv 2512.02556)
   */
  public record Penalty(double beta, Divergence estimator, boolean isBiasCorrected) {
    /** No penalty. */
    public static final Penalty NONE = new Penalty(0, Divergence.K3, true);
  }

  /**
   * The parameters of the smooth losses. Each has a value for positive and one for negative
   * advantages.
   *
   * @param sapoTemperatureNeg the temperature of {@link LossType#SAPO}
   * @param sapoTemperaturePos the temperature of {@link LossType#SAPO}
   * @param vespoKPos the exponent of {@link LossType#VESPO}
   * @param vespoLambdaPos the decay of {@link LossType#VESPO}
   * @param vespoKNeg the exponent of {@link LossType#VESPO}
   * @param vespoLambdaNeg the decay of {@link LossType#VESPO}
   */
  public record Soft(
      double sapoTemperatureNeg,
      double sapoTemperaturePos,
      double vespoKPos,
      double vespoLambdaPos,
      double vespoKNeg,
      double vespoLambdaNeg) {
    /** The values that TRL has. */
    public static final Soft DEFAULT = new Soft(1.05, 1.0, 2.0, 3.0, 3.0, 2.0);
  }

  /** GRPO (arXiv 2402.03300), without a divergence. */
  public static final PolicyObjective GRPO = builder().loss(LossType.GRPO).build();

  /** DAPO (arXiv 2503.14476). */
  public static final PolicyObjective DAPO = builder().clip(0.2, 0.28).build();

  /** GSPO (arXiv 2507.18071), with the clipping ranges that the paper recommends. */
  public static final PolicyObjective GSPO =
      builder()
          .loss(LossType.GRPO)
          .level(ImportanceSamplingLevel.SEQUENCE)
          .clip(3e-4, 4e-4)
          .build();

  /** CISPO (arXiv 2506.13585). */
  public static final PolicyObjective CISPO = builder().loss(LossType.CISPO).clip(0.2, 5).build();

  /** RLOO (arXiv 2402.14740), with ratios for more than one update per step. */
  public static final PolicyObjective RLOO =
      builder().loss(LossType.GRPO).level(ImportanceSamplingLevel.SEQUENCE_PRODUCT).build();

  /** REINFORCE++ (arXiv 2501.03262). */
  public static final PolicyObjective REINFORCE_PLUS_PLUS = builder().build();

  // The weight of a completion in VESPO is clamped to this range of logarithms.
  private static final double LEAST_LOG = Math.log(1e-8);
  private static final double MOST_LOG = 20;

  /**
   * Validates the objective.
   *
   * @throws IllegalArgumentException when a component is out of its range, or does not fit the
   *     others
   */
  public PolicyObjective {
    require(clip.epsilon() > 0 && clip.epsilon() <= 1, "epsilon must be above 0 and at most 1");
    require(clip.epsilonHigh() > 0, "epsilonHigh must be above 0");
    require(clip.delta().orElse(1) > 0, "delta must be above 0");
    require(
        lossType != LossType.DR_GRPO || maxCompletionLength > 0,
        "maxCompletionLength must be 1 or more");
    require(penalty.beta() >= 0, "beta must be 0 or more");
    require(
        topEntropyQuantile >= 0 && topEntropyQuantile <= 1,
        "topEntropyQuantile must be from 0 to 1");
    require(offPolicyMaskThreshold.orElse(1) > 0, "offPolicyMaskThreshold must be above 0");
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
    return builder().loss(LossType.DR_GRPO).maxCompletionLength(longestCompletion).build();
  }

  /** {@return a builder with the defaults of TRL} */
  public static Builder builder() {
    return new Builder();
  }

  /** {@return a builder with the components of this objective} */
  public Builder toBuilder() {
    Builder builder = new Builder();
    builder.lossType = lossType;
    builder.level = level;
    builder.clip = clip;
    builder.maxCompletionLength = maxCompletionLength;
    builder.penalty = penalty;
    builder.soft = soft;
    builder.topEntropyQuantile = topEntropyQuantile;
    builder.entropyBonus = entropyBonus;
    builder.offPolicyMaskThreshold = offPolicyMaskThreshold;
    builder.correction = correction;
    return builder;
  }

  /** Builds objectives. */
  public static final class Builder {
    private LossType lossType = LossType.DAPO;
    private ImportanceSamplingLevel level = ImportanceSamplingLevel.TOKEN;
    private Clip clip = new Clip(0.2, 0.2, OptionalDouble.empty());
    private int maxCompletionLength = 0;
    private Penalty penalty = Penalty.NONE;
    private Soft soft = Soft.DEFAULT;
    private double topEntropyQuantile = 1;
    private EntropyBonus entropyBonus = EntropyBonus.NONE;
    private OptionalDouble offPolicyMaskThreshold = OptionalDouble.empty();
    private Optional<ImportanceCorrection> correction = Optional.empty();

    private Builder() {}

    /**
     * Sets the term of a token and the average.
     *
     * @param value the type of the loss
     * @return this builder
     */
    public Builder loss(LossType value) {
      lossType = value;
      return this;
    }

    /**
     * Sets the level of ratios.
     *
     * @param value the level
     * @return this builder
     */
    public Builder level(ImportanceSamplingLevel value) {
      level = value;
      return this;
    }

    /**
     * Sets the limits of ratios.
     *
     * @param epsilon the lower clipping range, above 0 and at most 1
     * @param epsilonHigh the upper clipping range, above 0
     * @return this builder
     */
    public Builder clip(double epsilon, double epsilonHigh) {
      clip = new Clip(epsilon, epsilonHigh, clip.delta());
      return this;
    }

    /**
     * Sets the largest ratio where the clip does not apply.
     *
     * @param value the ratio, above 0
     * @return this builder
     */
    public Builder delta(double value) {
      clip = new Clip(clip.epsilon(), clip.epsilonHigh(), OptionalDouble.of(value));
      return this;
    }

    /**
     * Sets the number of tokens that {@link LossType#DR_GRPO} divides by.
     *
     * @param value the number of tokens, 1 or more
     * @return this builder
     */
    public Builder maxCompletionLength(int value) {
      maxCompletionLength = value;
      return this;
    }

    /**
     * Penalizes the divergence from a reference model, as TRL does by default.
     *
     * @param value the weight, 0 or more
     * @return this builder
     */
    public Builder beta(double value) {
      return penalty(new Penalty(value, Divergence.K3, true));
    }

    /**
     * Penalizes the divergence from a reference model.
     *
     * @param value the penalty
     * @return this builder
     */
    public Builder penalty(Penalty value) {
      penalty = value;
      return this;
    }

    /**
     * Sets the parameters of the smooth losses.
     *
     * @param value the parameters
     * @return this builder
     */
    public Builder soft(Soft value) {
      soft = value;
      return this;
    }

    /**
     * Restricts the policy's loss to the tokens of highest entropy.
     *
     * @param value the share of tokens, from 0 to 1
     * @return this builder
     */
    public Builder topEntropyQuantile(double value) {
      topEntropyQuantile = value;
      return this;
    }

    /**
     * Rewards entropy.
     *
     * @param value the reward
     * @return this builder
     */
    public Builder entropyBonus(EntropyBonus value) {
      entropyBonus = value;
      return this;
    }

    /**
     * Leaves out completions with negative advantages that the policy has moved away from.
     *
     * @param value the threshold in nats per token, above 0
     * @return this builder
     */
    public Builder offPolicyMaskThreshold(double value) {
      offPolicyMaskThreshold = OptionalDouble.of(value);
      return this;
    }

    /**
     * Corrects for the sampler's probabilities.
     *
     * @param value the correction
     * @return this builder
     */
    public Builder correction(ImportanceCorrection value) {
      correction = Optional.of(value);
      return this;
    }

    /**
     * {@return the objective}
     *
     * @throws IllegalArgumentException when a value is out of its range
     */
    public PolicyObjective build() {
      return new PolicyObjective(
          lossType,
          level,
          clip,
          maxCompletionLength,
          penalty,
          soft,
          topEntropyQuantile,
          entropyBonus,
          offPolicyMaskThreshold,
          correction);
    }
  }

  /** {@return whether the loss needs the log-probabilities of a reference model} */
  public boolean isPenalized() {
    return penalty.beta() > 0;
  }

  /** {@return whether the policy's loss is restricted to the tokens of highest entropy} */
  public boolean isFocused() {
    return topEntropyQuantile < 1;
  }

  /**
   * Returns the entropy that tokens of the policy's loss have at least: the linearly interpolated
   * quantile, in float32 as in TRL.
   *
   * @param entropies the entropies of all counted tokens of an update
   * @return the least entropy, or infinity if there is no token
   */
  public float leastEntropy(float[] entropies) {
    if (entropies.length == 0) {
      return Float.POSITIVE_INFINITY;
    }
    float[] sorted = entropies.clone();
    Arrays.sort(sorted);
    float rank = (float) (1 - topEntropyQuantile) * (sorted.length - 1);
    int below = (int) Math.floor(rank);
    int above = (int) Math.ceil(rank);
    float weight = rank - below;
    float difference = sorted[above] - sorted[below];
    return weight < 0.5f
        ? sorted[below] + weight * difference
        : sorted[above] - difference * (1 - weight);
  }

  /**
   * Computes the loss of a batch that is a whole update.
   *
   * @param batch the completions
   * @return the loss and its metrics
   * @throws IllegalArgumentException when the objective needs a tensor that the batch lacks
   */
  public Loss loss(PolicyBatch batch) {
    return loss(batch, UpdateTotals.of(batch, entropyBonus.coef()));
  }

  /**
   * Computes the contribution of a batch to the loss of an update. Contributions add up; their
   * metrics are merged by {@link Loss#merged}.
   *
   * @param batch the completions
   * @param totals the sizes of the update
   * @return the loss and its metrics
   * @throws IllegalArgumentException when the objective needs a tensor that the batch lacks
   */
  public Loss loss(PolicyBatch batch, UpdateTotals totals) {
    Terms terms = new Terms(batch.counted(), totals);
    Tensor each = terms.restricted(terms.surrogate());
    if (isPenalized()) {
      each = each.add(terms.penalty().mul(new Scalar(penalty.beta())));
    }
    Tensor value = terms.averaged(each);
    if (entropyBonus.isActive()) {
      terms.metrics.put("policy_loss", value.item_double());
      value = value.sub(terms.meanEntropy().mul(new Scalar(totals.entropyCoefficient())));
    }
    batch
        .entropies()
        .ifPresent(own -> terms.metrics.put("entropy", terms.mean(own.detach().mul(batch.mask()))));
    return new Loss(value, terms.metrics);
  }

  /** The terms of one batch. Tensors of ratios are [completions, tokens] or [completions, 1]. */
  private final class Terms {
    final PolicyBatch batch;
    final UpdateTotals totals;
    final Map<String, Double> metrics = new LinkedHashMap<>();
    private final Tensor mask;
    private final Tensor advantages;
    private final Tensor logRatios;
    private final Tensor ratios;
    private final Optional<Tensor> corrections;

    Terms(PolicyBatch batch, UpdateTotals totals) {
      this.batch = batch;
      this.totals = totals;
      this.mask = batch.mask();
      this.advantages = batch.advantages().unsqueeze(1);
      this.logRatios = batch.logProbabilities().sub(batch.before());
      this.ratios = logOfRatios().exp();
      this.corrections = correction.map(own -> own.ratios(batch));
      correction.ifPresent(own -> own.describe(batch, corrections.orElseThrow(), totals, metrics));
    }

    private Tensor logOfRatios() {
      return switch (level) {
        case TOKEN -> logRatios;
        case SEQUENCE -> Rows.sums(logRatios.mul(mask)).div(Rows.counts(mask));
        case SEQUENCE_PRODUCT -> Rows.sums(logRatios.mul(mask));
      };
    }

    Tensor surrogate() {
      return switch (lossType.surrogate()) {
        case CLIPPED -> clipped();
        case CAPPED -> capped();
        case SOFT -> soft();
        case WEIGHTED -> weighted();
      };
    }

    private Tensor clipped() {
      Tensor limited =
          ratios
              .clamp_min(new Scalar(1 - clip.epsilon()))
              .clamp_max(new Scalar(1 + clip.epsilonHigh()));
      Tensor bounded =
          clip.delta().isPresent()
              ? ratios.clamp_max(new Scalar(clip.delta().getAsDouble()))
              : ratios;
      Scalar zero = new Scalar(0.0);
      Tensor plain = bounded.detach();
      Tensor low = plain.lt(new Scalar(1 - clip.epsilon())).logical_and(advantages.lt(zero));
      Tensor high = plain.gt(new Scalar(1 + clip.epsilonHigh())).logical_and(advantages.gt(zero));
      metrics.put("clip_ratio/low_mean", share(low));
      metrics.put("clip_ratio/high_mean", share(high));
      metrics.put("clip_ratio/region_mean", share(low.logical_or(high)));
      Tensor counted = Rows.sums(mask).gt(zero);
      if (counted.any().item_bool()) {
        metrics.put("clip_ratio/low_min", rows(low).masked_select(counted).min().item_double());
        metrics.put("clip_ratio/high_max", rows(high).masked_select(counted).max().item_double());
      }
      return torch.minimum(bounded.mul(advantages), limited.mul(advantages)).neg();
    }

    private Tensor capped() {
      Scalar cap = new Scalar(clip.epsilonHigh());
      Tensor above = ratios.detach().gt(cap).logical_and(advantages.gt(new Scalar(0.0)));
      metrics.put("cispo_clip_ratio", share(above));
      return ratios.clamp_max(cap).detach().mul(advantages).mul(batch.logProbabilities()).neg();
    }

    private Tensor soft() {
      Tensor temperatures =
          bySign(
              advantages.gt(new Scalar(0.0)), soft.sapoTemperaturePos(), soft.sapoTemperatureNeg());
      return temperatures
          .mul(ratios.sub(new Scalar(1.0)))
          .sigmoid()
          .mul(new Scalar(4.0))
          .div(temperatures)
          .mul(advantages)
          .neg();
    }

    private Tensor bySign(Tensor positive, double above, double below) {
      Tensor like = advantages.mul(new Scalar(0.0));
      return torch.where(positive, like.add(new Scalar(above)), like.add(new Scalar(below)));
    }

    /** Weights completions by φ(w) = exp(λ) w^k exp(-λ w), of the ratio w of the completion. */
    private Tensor weighted() {
      Tensor logs =
          Rows.sums(
              logRatios
                  .detach()
                  .clamp_min(new Scalar(-MOST_LOG))
                  .clamp_max(new Scalar(MOST_LOG))
                  .mul(mask));
      if (corrections.isPresent()) {
        logs = logs.add(Rows.sums(limited(corrections.get().log())));
      }
      Tensor log = limited(logs);
      Tensor positive = advantages.ge(new Scalar(0.0));
      Tensor power = bySign(positive, soft.vespoKPos(), soft.vespoKNeg());
      Tensor decay =
          bySign(
              positive,
              Math.max(1e-4, soft.vespoLambdaPos()),
              Math.max(1e-4, soft.vespoLambdaNeg()));
      Tensor weights = decay.add(power.mul(log)).sub(decay.mul(log.exp())).exp().detach();
      metrics.put("vespo/phi_seq_mean", share(weights));
      return weights.mul(advantages).mul(batch.logProbabilities()).neg();
    }

    private Tensor limited(Tensor logs) {
      return logs.clamp_min(new Scalar(LEAST_LOG)).clamp_max(new Scalar(MOST_LOG));
    }

    /** Applies the masks and the correction of the policy's loss. */
    Tensor restricted(Tensor each) {
      Tensor own = each;
      if (offPolicyMaskThreshold.isPresent()) {
        own = own.mul(onPolicy());
      }
      if (isFocused()) {
        own = own.mul(needed(batch.focus(), "a restriction to tokens of high entropy needs them"));
      }
      if (corrections.isPresent() && lossType != LossType.VESPO) {
        own = own.mul(corrections.get());
      }
      return own;
    }

    private Tensor onPolicy() {
      Tensor sampled = correction.isPresent() ? batch.sampling().orElseThrow() : batch.before();
      Tensor apart =
          ImportanceCorrection.known(sampled.sub(batch.logProbabilities().detach())).mul(mask);
      Tensor near =
          Rows.sums(apart)
              .div(Rows.counts(mask))
              .le(new Scalar(offPolicyMaskThreshold.orElseThrow()));
      return advantages.ge(new Scalar(0.0)).logical_or(near).to(mask.scalar_type());
    }

    Tensor penalty() {
      Tensor reference =
          needed(
              batch.reference(), "a divergence needs the log-probabilities of a reference model");
      Tensor apart = penalty.estimator().of(batch.logProbabilities(), reference);
      Tensor own = penalty.isBiasCorrected() ? apart.mul(ratios) : apart;
      metrics.put("kl", mean(own.detach().mul(mask)));
      return own;
    }

    Tensor averaged(Tensor each) {
      Tensor counted = each.mul(mask);
      return switch (lossType.average()) {
        case COMPLETIONS ->
            divided(Rows.sums(counted).div(Rows.counts(mask)), totals.completions());
        case SUMS -> divided(counted, totals.completions());
        case TOKENS -> divided(counted, Math.max(1, totals.tokens()));
        case STEP_TOKENS -> divided(counted, Math.max(1, totals.stepTokens()));
        case LENGTH -> divided(counted, totals.completions() * maxCompletionLength);
      };
    }

    private static Tensor divided(Tensor values, double by) {
      return values.sum().div(new Scalar(by));
    }

    /** Returns the mean entropy of the tokens that the policy's loss has. */
    Tensor meanEntropy() {
      Tensor entropies = needed(batch.entropies(), "a reward of entropy needs the entropies");
      Tensor counted = batch.focus().map(focus -> focus.mul(mask)).orElse(mask);
      Tensor mean = divided(entropies.mul(counted), Math.max(1, totals.focusTokens()));
      metrics.put("entropy/focus", mean.item_double());
      return mean;
    }

    private static Tensor needed(Optional<Tensor> tensor, String text) {
      return tensor.orElseThrow(() -> new IllegalArgumentException(text));
    }

    /** Returns the contribution of masked values to the mean over the tokens of the update. */
    double mean(Tensor masked) {
      return masked.sum().item_double() / Math.max(1, totals.tokens());
    }

    /** Returns the contribution to a mean over tokens, or over completions. */
    private double share(Tensor which) {
      Tensor values = which.to(ScalarType.Double);
      return values.size(1) == 1
          ? values.sum().item_double() / totals.completions()
          : mean(values.mul(mask));
    }

    /** Returns the mean of each completion. */
    private Tensor rows(Tensor which) {
      Tensor values = which.to(ScalarType.Double);
      return values.size(1) == 1 ? values : Rows.sums(values.mul(mask)).div(Rows.counts(mask));
    }
  }
}
