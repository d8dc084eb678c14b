package org.threegate.rl.train;

import java.util.Arrays;
import org.threegate.rl.objective.Advantages;

/** Computes advantages from rewards that are ordered by group. See {@link Advantages}. */
@FunctionalInterface
public interface AdvantageRule {
  /** Advantages normalized within groups, as {@link Advantages#normalised} computes them. */
  AdvantageRule NORMALISED = Advantages::normalised;

  /** Centred rewards scaled by the batch, as {@link Advantages#scaledByBatch} computes them. */
  AdvantageRule SCALED_BY_BATCH = Advantages::scaledByBatch;

  /** Rewards minus the mean of their group, as {@link Advantages#centred} computes them. */
  AdvantageRule CENTRED = Advantages::centred;

  /** Rewards minus the mean of the others of their group; see {@link Advantages#leaveOneOut}. */
  AdvantageRule LEAVE_ONE_OUT = Advantages::leaveOneOut;

  /** The same, normalized over the batch; see {@link Advantages#leaveOneOutNormalised}. */
  AdvantageRule LEAVE_ONE_OUT_NORMALISED = Advantages::leaveOneOutNormalised;

  /** Rewards normalized over the batch, as {@link Advantages#ofBatch} computes them. */
  AdvantageRule OF_BATCH = (rewards, groupSize) -> Advantages.ofBatch(rewards);

  /** Centred rewards normalized over the batch; see {@link Advantages#ofBatchWithBaseline}. */
  AdvantageRule OF_BATCH_WITH_BASELINE = Advantages::ofBatchWithBaseline;

  /** Gives every completion the advantage 1, so that the kept completions are imitated. */
  AdvantageRule ONES =
      (rewards, groupSize) -> {
        double[] ones = new double[rewards.length];
        Arrays.fill(ones, 1);
        return ones;
      };

  /**
   * Computes the advantages.
   *
   * @param rewards the rewards, ordered by group
   * @param groupSize the number of completions per prompt, 2 or more
   * @return one advantage per reward
   */
  double[] advantages(double[] rewards, int groupSize);
}
