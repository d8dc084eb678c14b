package org.threegate.rl.objective;

/**
 * What is minimized, and how the losses of tokens are averaged, with the names of TRL's {@code
 * loss_type}. The ratio of probabilities is r, the advantage A.
 */
public enum LossType {
  /** -min(r A, clip(r) A), the mean over each completion, then over completions (2402.03300). */
  GRPO(Surrogate.CLIPPED, Average.COMPLETIONS),
  /** The same, the mean over the tokens of the update. */
  BNPO(Surrogate.CLIPPED, Average.TOKENS),
  /** The same, the sum divided by {@code max_completion_length} per completion (2503.20783). */
  DR_GRPO(Surrogate.CLIPPED, Average.LENGTH),
  /** The same, divided by the tokens of all completions of the step, per update (2503.14476). */
  DAPO(Surrogate.CLIPPED, Average.STEP_TOKENS),
  /** -min(r, cap) A log p, where the first factor has no gradient (2506.13585). */
  CISPO(Surrogate.CAPPED, Average.STEP_TOKENS),
  /** A smooth gate instead of the clip (2511.20347). */
  SAPO(Surrogate.SOFT, Average.COMPLETIONS),
  /** GRPO's term, summed over each completion, the mean over completions (2602.05261). */
  LUSPO(Surrogate.CLIPPED, Average.SUMS),
  /** -φ(w) A log p, with a weight φ of the whole completion (2602.10693). */
  VESPO(Surrogate.WEIGHTED, Average.STEP_TOKENS);

  /** The term of a token. */
  enum Surrogate {
    CLIPPED,
    CAPPED,
    SOFT,
    WEIGHTED
  }

  /** The average of the terms. */
  enum Average {
    COMPLETIONS,
    SUMS,
    TOKENS,
    STEP_TOKENS,
    LENGTH
  }

  private final Surrogate surrogate;
  private final Average average;

  LossType(Surrogate surrogate, Average average) {
    this.surrogate = surrogate;
    this.average = average;
  }

  Surrogate surrogate() {
    return surrogate;
  }

  Average average() {
    return average;
  }
}
