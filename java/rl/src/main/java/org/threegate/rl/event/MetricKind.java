package org.threegate.rl.event;

import java.util.HashMap;
import java.util.Locale;
import java.util.Map;

/**
 * What the value of a metric is. Sinks choose units, formats and axes by it.
 *
 * <pre>{@code
 * String unit = MetricKind.of("divergence/kl_per_token/se").unit();
 * }</pre>
 */
public enum MetricKind {
  /** A number of things, or its mean. */
  COUNT(""),
  /** A number of tokens, or its mean. */
  TOKENS("tokens"),
  /** A share of a whole, from 0 to 1. */
  SHARE(""),
  /** A reward, a score or a spread of these. */
  SCORE(""),
  /** An entropy, a divergence or a difference of log-probabilities. */
  NATS("nats"),
  /** A time. */
  SECONDS("seconds"),
  /** Tokens per second. */
  TOKENS_PER_SECOND("tokens per second"),
  /** A size. */
  BYTES("bytes"),
  /** An angle. */
  RADIANS("radians"),
  /** A ratio, a norm, a weight or a rate, which has no unit and is not negative. */
  FACTOR(""),
  /** A value of a loss, whose scale has no zero. */
  LOSS(""),
  /** A number of which nothing else is known, as those that a user's code returns. */
  NUMBER("");

  private static final Map<String, MetricKind> KINDS = new HashMap<>();

  static {
    put(LOSS, "loss", "policy_loss");
    put(SCORE, "reward", "reward_std", "rewards");
    put(SHARE, "frac_reward_zero_std", "completions/clipped_ratio", "clip_ratio");
    put(SHARE, "cispo_clip_ratio", "verifier/failed_ratio", "pass@1");
    put(SHARE, "environment/cut_ratio", "environment/failed_ratio");
    put(SHARE, "geometry/changed", "geometry/changed_in_step", "geometry/hidden");
    put(SHARE, "geometry/observed", "geometry/principal_energy", "patch/share_of_model");
    put(NATS, "kl", "entropy", "sampling/sampling_logp_difference", "divergence");
    put(TOKENS, "num_tokens", "completions", "environment/tokens");
    put(COUNT, "prompts/too_long", "demonstrations/too_long", "environment/turns");
    put(COUNT, "sampling/rounds", "sampling/version_lag", "patch/version", "patch/changed");
    put(BYTES, "patch/bytes", "patch/model_bytes");
    put(SECONDS, "step_time", "time");
    put(TOKENS_PER_SECOND, "tokens_per_second");
    put(RADIANS, "geometry/angle");
    put(FACTOR, "entropy_coef", "grad_norm", "learning_rate", "vespo/phi_seq_mean");
    put(FACTOR, "sampling/importance_sampling_ratio", "geometry/relative_frobenius");
    put(FACTOR, "geometry/relative_frobenius_bf16", "geometry/nss");
  }

  private final String unit;

  MetricKind(String unit) {
    this.unit = unit;
  }

  private static void put(MetricKind kind, String... names) {
    for (String name : names) {
      KINDS.put(name, kind);
    }
  }

  /**
   * {@return the kind of a metric} A part of a metric, such as its standard error or that of a null
   * model, is of the kind of the metric.
   *
   * @param name the name of the metric
   */
  public static MetricKind of(String name) {
    String whole = name.startsWith("pass@") ? "pass@1" : name;
    while (!KINDS.containsKey(whole)) {
      int slash = whole.lastIndexOf('/');
      if (slash < 0) {
        return NUMBER;
      }
      whole = whole.substring(0, slash);
    }
    return KINDS.get(whole);
  }

  /** {@return the unit; empty where there is none} */
  public String unit() {
    return unit;
  }

  /** {@return whether an axis of values that are not negative begins at zero} */
  public boolean hasZero() {
    return this != LOSS;
  }

  /** {@return whether single values are whole numbers} Means of them need not be. */
  public boolean isWhole() {
    return this == COUNT || this == TOKENS || this == BYTES;
  }

  /** {@return the name in documents} */
  public String label() {
    return name().toLowerCase(Locale.ROOT);
  }
}
