package org.threegate.rl.run;

import org.threegate.rl.objective.PolicyObjective;

/** How the losses of tokens make one number, by TRL's names. */
public enum LossType {
  /** The mean of each completion's tokens, then the mean of completions (arXiv 2402.03300). */
  GRPO(PolicyObjective.Average.SEQUENCES),
  /** The mean of all tokens (arXiv 2503.14476). */
  DAPO(PolicyObjective.Average.TOKENS),
  /** The sum over {@code max_completion_length} for each completion (arXiv 2503.20783). */
  DR_GRPO(PolicyObjective.Average.LENGTH),
  /** The mean of all tokens, with capped ratios as weights (arXiv 2506.13585). */
  CISPO(PolicyObjective.Average.TOKENS);

  private final PolicyObjective.Average average;

  LossType(PolicyObjective.Average average) {
    this.average = average;
  }

  PolicyObjective.Average average() {
    return average;
  }

  PolicyObjective.Surrogate surrogate() {
    return this == CISPO ? PolicyObjective.Surrogate.CAPPED : PolicyObjective.Surrogate.CLIPPED;
  }
}
