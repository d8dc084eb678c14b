package org.threegate.rl.train;

import org.threegate.rl.objective.Advantages;

/** How rewards become advantages, of groups one behind the other. */
@FunctionalInterface
public interface AdvantageRule {
  AdvantageRule NORMALISED = Advantages::normalised;
  AdvantageRule CENTRED = Advantages::centred;
  AdvantageRule LEAVE_ONE_OUT = Advantages::leaveOneOut;
  AdvantageRule OF_BATCH = (rewards, groupSize) -> Advantages.ofBatch(rewards);
  AdvantageRule OF_BATCH_WITH_BASELINE = Advantages::ofBatchWithBaseline;

  double[] advantages(double[] rewards, int groupSize);
}
