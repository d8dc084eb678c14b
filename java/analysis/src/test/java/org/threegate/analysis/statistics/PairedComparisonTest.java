package org.threegate.analysis.statistics;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import java.util.Arrays;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.threegate.testing.Seeds;

class PairedComparisonTest {
  private static final int SEQUENCES = 100;
  private static final int TOKENS = 20;
  private static final int EXPERIMENTS = 4000;

  /**
   * Returns squared slopes of tokens. The tokens of a sequence share a part of their slopes. The
   * mean of the squares is 2.
   */
  private static double[] squares(Random random) {
    double[] values = new double[SEQUENCES * TOKENS];
    for (int sequence = 0; sequence < SEQUENCES; sequence++) {
      double shared = random.nextGaussian();
      for (int token = 0; token < TOKENS; token++) {
        double slope = shared + random.nextGaussian();
        values[sequence * TOKENS + token] = slope * slope;
      }
    }
    return values;
  }

  private static long[] sequences() {
    long[] clusters = new long[SEQUENCES * TOKENS];
    Arrays.setAll(clusters, i -> 7 - i / TOKENS);
    return clusters;
  }

  /** 95 % of the intervals contain the true mean. Without clusters far fewer do. */
  @Test
  void intervalsCoverWhatTheySay() {
    Random random = Seeds.random("intervalsCoverWhatTheySay");
    long[] clusters = sequences();
    long[] tokens = new long[clusters.length];
    Arrays.setAll(tokens, i -> i);
    int covered = 0;
    int naive = 0;
    int differences = 0;
    for (int i = 0; i < EXPERIMENTS; i++) {
      double[] values = squares(random);
      ClusteredMean mean = ClusteredMean.of(values, clusters);
      covered += mean.intervalOfSkew(0.95).contains(2) ? 1 : 0;
      ClusteredMean alone = ClusteredMean.of(values, tokens);
      naive += alone.intervalOfSkew(0.95).contains(2) ? 1 : 0;
      PairedComparison none = PairedComparison.of(values, squares(random), clusters);
      differences += none.difference().interval(0.95).contains(0) ? 1 : 0;
    }
    assertThat(covered / (double) EXPERIMENTS).isCloseTo(0.95, within(0.02));
    assertThat(naive / (double) EXPERIMENTS).isLessThan(0.8);
    assertThat(differences / (double) EXPERIMENTS).isCloseTo(0.95, within(0.02));
  }

  /** A difference of the minimum detectable size is found as often as the power promises. */
  @Test
  void whatIsDetectableIsDetected() {
    Random random = Seeds.random("whatIsDetectableIsDetected");
    long[] clusters = sequences();
    // The mean of the minimum detectable difference over independent experiments.
    int trials = 200;
    double effect = 0;
    for (int i = 0; i < trials; i++) {
      effect +=
          PairedComparison.of(squares(random), squares(random), clusters).minimumDetectable()
              / trials;
    }
    double planted = effect;
    int found = 0;
    int imagined = 0;
    int signs = 0;
    for (int i = 0; i < EXPERIMENTS; i++) {
      double[] first = squares(random);
      double[] second = squares(random);
      PairedComparison none = PairedComparison.of(first, second, clusters);
      imagined += none.difference().pValue() < 0.05 ? 1 : 0;
      signs += none.signTestPValue() < 0.05 ? 1 : 0;
      double[] more = Arrays.stream(first).map(value -> value + planted).toArray();
      found += PairedComparison.of(more, second, clusters).difference().pValue() < 0.05 ? 1 : 0;
    }
    assertThat(found / (double) EXPERIMENTS).isCloseTo(PairedComparison.POWER, within(0.05));
    assertThat(imagined / (double) EXPERIMENTS).isCloseTo(0.05, within(0.025));
    // The sign test is discrete, so it rejects at most as often as its level.
    assertThat(signs / (double) EXPERIMENTS).isLessThan(0.07);
  }

  /**
   * The number of clusters grows with the square of the ratio of detectable to observed difference.
   */
  @Test
  void saysHowManyWouldSettleIt() {
    double[] zeros = new double[8];
    long[] clusters = {0, 1, 2, 3, 4, 5, 6, 7};
    double[] first = {1, -1, 1, -1, 1, -1, 1, 0};
    PairedComparison compared = PairedComparison.of(first, zeros, clusters);
    assertThat(compared.positive()).isEqualTo(4);
    assertThat(compared.negative()).isEqualTo(3);
    assertThat(compared.signTestPValue()).isEqualTo(1);
    double ratio = compared.minimumDetectable() / compared.difference().value();
    assertThat(compared.clustersToSettle()).isEqualTo(Math.ceil(8 * ratio * ratio));
    double[] all = {1, 1, 1, 1, 1, 1, 1, 2};
    assertThat(PairedComparison.of(all, zeros, clusters).signTestPValue())
        .isCloseTo(2 * Math.pow(0.5, 8), within(1e-15));
    PairedComparison same = PairedComparison.of(zeros, zeros, clusters);
    assertThat(same.difference().pValue()).isEqualTo(1);
    assertThat(same.signTestPValue()).isEqualTo(1);
    assertThat(same.clustersToSettle()).isInfinite();
  }

  @Test
  void clustersAreWhatCounts() {
    // Each value occurs three times in its cluster. The copies add no information.
    double[] once = {1, 2, 4, 9};
    double[] thrice = {1, 1, 1, 2, 2, 2, 4, 4, 4, 9, 9, 9};
    ClusteredMean few = ClusteredMean.of(once, new long[] {0, 1, 2, 3});
    ClusteredMean many = ClusteredMean.of(thrice, new long[] {5, 5, 5, 6, 6, 6, 7, 7, 7, 8, 8, 8});
    assertThat(many.value()).isEqualTo(few.value());
    assertThat(many.se()).isCloseTo(few.se(), within(1e-15));
    // Independent values have the usual standard error.
    assertThat(few.se()).isCloseTo(Math.sqrt(38.0 / 3 / 4), within(1e-12));
    ClusteredMean single = ClusteredMean.of(once, new long[4]);
    assertThat(single.se()).isNaN();
    assertThat(single.interval(0.95).contains(1e300)).isTrue();
    assertThat(single.pValue()).isEqualTo(1);
    assertThatThrownBy(() -> ClusteredMean.of(once, new long[3]))
        .hasMessage("3 clusters for 4 values");
    assertThatThrownBy(() -> PairedComparison.of(once, thrice, new long[4]))
        .hasMessage("4 values and 12");
  }
}
