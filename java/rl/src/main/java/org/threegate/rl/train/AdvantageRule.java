package org.threegate.rl.train;

import java.util.Arrays;
import org.threegate.rl.objective.Advantages;

/** Computes advantages from rewards that are ordered by group. See {@link Advantages}. */
@FunctionalInterface
public interface AdvantageRule {
  AdvantageRule NORMALISED = Advantages::normalised;
  AdvantageRule CENTRED = Advantages::centred;
  AdvantageRule LEAVE_ONE_OUT = Advantages::leaveOneOut;
  AdvantageRule OF_BATCH = (rewards, groupSize) -> Advantages.ofBatch(rewards);
  AdvantageRule OF_BATCH_WITH_BASELINE = Advantages::ofBatchWithBaseline;

  /** Gives every completion the advantage 1, so that the kept completions are imitated. */
  AdvantageRule ONES =
      (rewards, groupSize) -> {
        double[] ones = new double[rewards.length];
        Arrays.fill(ones, 1);
        return ones;
      };

  double[] advantages(double[] rewards, int groupSize);
}
