package org.threegate.analysis.statistics;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import java.util.Random;
import org.junit.jupiter.api.Test;

class RatioProfileTest {
  @Test
  void smallCaseByHand() {
    RatioProfile profile = RatioProfile.of(new long[] {1, 3}, 4);
    assertThat(profile.mean()).isEqualTo(0.5);
    assertThat(profile.sd()).isEqualTo(0.25);
    assertThat(profile.max()).isEqualTo(0.75);
    assertThat(profile.maxIndex()).isEqualTo(1);
    assertThat(profile.nullSd()).isEqualTo(0.25);
    assertThat(profile.dispersionZ()).isCloseTo((2 - 1) / Math.sqrt(2), within(1e-12));
  }

  @Test
  void degenerateProfilesHaveNoDispersion() {
    assertThat(RatioProfile.of(new long[] {0, 0}, 5).dispersionZ()).isZero();
    assertThat(RatioProfile.of(new long[] {5, 5}, 5).dispersionZ()).isZero();
    assertThat(RatioProfile.of(new long[0], 5).mean()).isZero();
    assertThat(RatioProfile.of(new long[] {3}, 5).dispersionZ()).isZero();
  }

  /**
   * Independent changes give z that is about standard normal. Twice the density in half of the rows
   * gives a far larger z.
   */
  @Test
  void theNullHoldsOnIndependentChangesAndFailsOnOthers() {
    Random random = new Random(11);
    int trials = 200;
    double sum = 0;
    double squares = 0;
    for (int trial = 0; trial < trials; trial++) {
      double z = RatioProfile.of(counts(random, 400, 300, 0.2, 0.2), 300).dispersionZ();
      sum += z;
      squares += z * z;
    }
    double mean = sum / trials;
    // Allows four standard errors of the mean and of the variance of 200 draws.
    assertThat(mean).isBetween(-4 / Math.sqrt(trials), 4 / Math.sqrt(trials));
    assertThat(squares / trials - mean * mean)
        .isBetween(1 - 4 * Math.sqrt(2.0 / trials), 1 + 4 * Math.sqrt(2.0 / trials));
    assertThat(RatioProfile.of(counts(random, 400, 300, 0.1, 0.2), 300).dispersionZ())
        .isGreaterThan(20);
  }

  private static long[] counts(Random random, int rows, int length, double even, double odd) {
    long[] counts = new long[rows];
    for (int i = 0; i < rows; i++) {
      for (int j = 0; j < length; j++) {
        counts[i] += random.nextDouble() < (i % 2 == 0 ? even : odd) ? 1 : 0;
      }
    }
    return counts;
  }

  @Test
  void totalsAddUpAndDefineTheirRatios() {
    Totals totals =
        new Totals(new Totals.Counts(10, 2, 3, 4, 2, 1, 1), new Totals.Sums(4, 1, 1, 0.5))
            .plus(
                new Totals(
                    new Totals.Counts(10, 0, 0, 0, 0, 0, 0), new Totals.Sums(5, 0, 0, 0.25)));
    assertThat(totals.sparsity()).isEqualTo(0.9);
    assertThat(totals.relativeFrobenius()).isCloseTo(1.0 / 3, within(1e-15));
    assertThat(totals.cosine()).isCloseTo(1.0 / 3, within(1e-15));
    assertThat(totals.cosineNullSd()).isCloseTo(1 / Math.sqrt(19), within(1e-15));
    assertThat(totals.sums().maxAbs()).isEqualTo(0.5);
    assertThat(Totals.ZERO.sparsity()).isEqualTo(1);
    assertThat(Totals.ZERO.relativeFrobenius()).isZero();
    assertThat(
            new Totals(new Totals.Counts(1, 1, 1, 1, 0, 0, 0), new Totals.Sums(0, 1, 0, 1))
                .relativeFrobenius())
        .isNaN();
  }
}
