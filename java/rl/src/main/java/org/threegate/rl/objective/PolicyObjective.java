package org.threegate.rl.objective;

import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;

/**
 * A policy gradient's surrogate: probability ratios times advantages, clipped. The well-known ones
 * are its presets; what else they differ in is in {@link Advantages}.
 *
 * <pre>{@code
 * PolicyObjective objective = PolicyObjective.DAPO.withDivergence(Divergence.K3, 0.01);
 * }</pre>
 *
 * @param ratio of what
 * @param surrogate what becomes of ratios far from one
 * @param clipLow ratios below {@code 1 - clipLow} are clipped where that helps
 * @param clipHigh ratios above {@code 1 + clipHigh}; of {@link Surrogate#CAPPED} the cap itself
 * @param average over what
 * @param length of {@link Average#LENGTH}, tokens
 * @param divergence from the reference that is added, if any
 * @param weight of the divergence
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
  /** Of which probabilities. */
  public enum Ratio {
    /** Each token's. */
    TOKEN,
    /** Their geometric mean over a completion (GSPO, arXiv 2507.18071). */
    SEQUENCE_MEAN,
    /** The whole completion's. */
    SEQUENCE
  }

  /** What is minimised of a ratio r and an advantage A. */
  public enum Surrogate {
    /** - min(r A, clip(r) A) (PPO, arXiv 1707.06347). */
    CLIPPED,
    /** - min(r, cap) A log p, the first factor a constant (CISPO, arXiv 2506.13585). */
    CAPPED
  }

  /** How tokens make one number. */
  public enum Average {
    /** The mean of each completion, then of completions: short ones count more a token. */
    SEQUENCES,
    /** Of all tokens. */
    TOKENS,
    /** Over a constant number of tokens for each completion (Dr. GRPO). */
    LENGTH
  }

  /** arXiv 2402.03300, without a divergence. */
  public static final PolicyObjective GRPO =
      new PolicyObjective(
          Ratio.TOKEN, Surrogate.CLIPPED, 0.2, 0.2, Average.SEQUENCES, 0, Optional.empty(), 0);

  /** arXiv 2503.14476. */
  public static final PolicyObjective DAPO =
      GRPO.withClip(0.2, 0.28).withAverage(Average.TOKENS, 0);

  /** arXiv 2507.18071, with the clipping that it recommends. */
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

  /** arXiv 2506.13585. */
  public static final PolicyObjective CISPO =
      new PolicyObjective(
          Ratio.TOKEN, Surrogate.CAPPED, 0, 5, Average.TOKENS, 0, Optional.empty(), 0);

  /** arXiv 2402.14740, with ratios for more than one update a batch. */
  public static final PolicyObjective RLOO =
      new PolicyObjective(
          Ratio.SEQUENCE, Surrogate.CLIPPED, 0.2, 0.2, Average.SEQUENCES, 0, Optional.empty(), 0);

  /** arXiv 2501.03262. */
  public static final PolicyObjective REINFORCE_PLUS_PLUS = GRPO.withAverage(Average.TOKENS, 0);

  public PolicyObjective {
    boolean capped = surrogate == Surrogate.CAPPED;
    require(capped || (clipLow > 0 && clipLow <= 1), "the lower clip lies between 0 and 1");
    require(clipHigh > 0, "the upper clip is above 0");
    require(!capped || ratio == Ratio.TOKEN, "a capped surrogate has ratios of tokens");
    require(average != Average.LENGTH || length > 0, "a constant length is 1 at least");
    require(weight >= 0 && (divergence.isPresent() || weight == 0), "a divergence has a weight");
  }

  private static void require(boolean holds, String text) {
    if (!holds) {
      throw new IllegalArgumentException(text);
    }
  }

  /** arXiv 2503.20783; its advantages are {@link Advantages#centred}. */
  public static PolicyObjective drGrpo(int longestCompletion) {
    return GRPO.withAverage(Average.LENGTH, longestCompletion);
  }

  public PolicyObjective withClip(double low, double high) {
    return new PolicyObjective(ratio, surrogate, low, high, average, length, divergence, weight);
  }

  /**
   * @param tokens of {@link Average#LENGTH}
   */
  public PolicyObjective withAverage(Average over, int tokens) {
    return new PolicyObjective(
        ratio, surrogate, clipLow, clipHigh, over, tokens, divergence, weight);
  }

  public PolicyObjective withDivergence(Divergence estimate, double factor) {
    return new PolicyObjective(
        ratio, surrogate, clipLow, clipHigh, average, length, Optional.of(estimate), factor);
  }

  /**
   * The loss of a batch.
   *
   * @throws IllegalArgumentException when a divergence is asked for and the batch has no reference
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
                          "a divergence, and no reference to measure it from"));
      Tensor apart = divergence.get().of(batch.logProbabilities(), reference);
      each = each.add(apart.mul(new Scalar(weight)));
      metrics.put("kl", mean(apart, batch.mask()));
    }
    clipped(batch.mask(), ratios.detach(), advantages, metrics);
    return new Loss(averaged(each, batch.mask()), metrics);
  }

  /** [completions, tokens], or [completions, 1]. */
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

  /** Tokens of each completion; 1 of one that is empty. */
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
