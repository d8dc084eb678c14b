package org.threegate.rl.run;

import org.threegate.rl.objective.PolicyObjective;

/** How the losses of tokens are averaged, with TRL's names. */
public enum LossType {
  /** The mean over the tokens of each completion, then over completions (arXiv 2402.03300). */
  GRPO(PolicyObjective.Average.SEQUENCES),
  /** The mean over all tokens of the batch (arXiv 2503.14476). */
  DAPO(PolicyObjective.Average.TOKENS),
  /** The sum, divided by {@code max_completion_length} per completion (arXiv 2503.20783). */
  DR_GRPO(PolicyObjective.Average.LENGTH),
  /** The mean over all tokens, weighted by capped ratios (arXiv 2506.13585). */
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
