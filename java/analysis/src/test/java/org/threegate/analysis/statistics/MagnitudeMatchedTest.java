package org.threegate.analysis.statistics;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import java.util.Random;
import org.junit.jupiter.api.Test;
import org.threegate.testing.Seeds;

class MagnitudeMatchedTest {
  @Test
  void handComputedValues() {
    // Codes 0 and 1 share a bin of 100 entries. Codes 2 and 3 share another one, because 30 entries
    // are too few for a bin.
    long[] all = {40, 60, 70, 30};
    long[] first = {10, 10, 35, 15};
    long[] second = {20, 30, 10, 10};
    long[] both = {7, 6, 9, 4};
    MagnitudeMatched matched = MagnitudeMatched.of(all, first, second, both);
    assertThat(matched.observed()).isEqualTo(26);
    assertThat(matched.expected()).isCloseTo(50 * 20 / 100.0 + 20 * 50 / 100.0, within(1e-12));
    double variance = (50.0 * 50 * 20 * 80 + 20.0 * 80 * 50 * 50) / (100.0 * 100 * 99);
    assertThat(matched.sd()).isCloseTo(Math.sqrt(variance), within(1e-12));
    assertThat(matched.z()).isCloseTo(6 / Math.sqrt(variance), within(1e-12));
  }

  @Test
  void fewEntriesAreOneBin() {
    MagnitudeMatched matched =
        MagnitudeMatched.of(
            new long[] {3, 0, 1}, new long[] {1, 0, 1}, new long[] {2, 0, 0}, new long[3]);
    assertThat(matched.expected()).isEqualTo(1);
    assertThat(MagnitudeMatched.of(new long[2], new long[2], new long[2], new long[2]).z())
        .isZero();
  }

  /** The sets are chosen independently within each magnitude, so z is standard normal. */
  @Test
  void independentSetsAreExplained() {
    Random random = Seeds.random("independentSetsAreExplained");
    int rounds = 400;
    double sum = 0;
    double squares = 0;
    for (int round = 0; round < rounds; round++) {
      int codes = 50;
      long[][] counts = new long[4][codes];
      for (int code = 0; code < codes; code++) {
        // The first set prefers small codes and the second one large codes. A naive null model
        // would be wrong.
        double p = 0.9 - 0.8 * code / codes;
        for (int i = 0; i < 100; i++) {
          boolean a = random.nextDouble() < p;
          boolean b = random.nextDouble() < 1 - p;
          counts[0][code]++;
          counts[1][code] += a ? 1 : 0;
          counts[2][code] += b ? 1 : 0;
          counts[3][code] += a && b ? 1 : 0;
        }
      }
      double z = MagnitudeMatched.of(counts[0], counts[1], counts[2], counts[3]).z();
      sum += z;
      squares += z * z;
    }
    // Allows five standard errors of the mean and of the variance of 400 standard normal values.
    assertThat(sum / rounds).isCloseTo(0, within(5 / Math.sqrt(rounds)));
    assertThat(squares / rounds).isCloseTo(1, within(5 * Math.sqrt(2.0 / rounds)));
  }
}
