package org.threegate.analysis.statistics;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import java.util.List;
import java.util.Random;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.threegate.testing.Seeds;

class NullStatisticsTest {
  @Test
  void pValuesAreUniformUnderTheNull() {
    Random random = Seeds.random("pValuesAreUniformUnderTheNull");
    int rounds = 20_000;
    for (int draws : new int[] {2, 4, 20}) {
      int below = 0;
      for (int round = 0; round < rounds; round++) {
        double[] drawn =
            IntStream.range(0, draws).mapToDouble(i -> random.nextGaussian()).toArray();
        below += NullEstimate.of("m", drawn).pValue(random.nextGaussian()) < 0.05 ? 1 : 0;
      }
      assertThat(below / (double) rounds).as("%s draws", draws).isCloseTo(0.05, within(0.008));
    }
    NullEstimate exact = NullEstimate.analytic("m", 1, 2);
    assertThat(exact.pValue(1 + 2 * 1.959963984540054)).isCloseTo(0.05, within(1e-12));
    assertThat(exact.z(-3)).isEqualTo(-2);
    assertThat(NullEstimate.analytic("m", 1, 0).pValue(2)).isZero();
    assertThat(NullEstimate.analytic("m", 1, 0).z(1)).isZero();
    assertThat(NullEstimate.of("m", new double[] {1}).pValue(5)).isEqualTo(1);
  }

  /** The example of Benjamini and Hochberg's paper, which rejects four of fifteen hypotheses. */
  @Test
  void falseDiscoveriesAreControlled() {
    double[] pValues = {
      0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459, 0.3240, 0.4262,
      0.5719, 0.6528, 0.7590, 1.0
    };
    assertThat(BenjaminiHochberg.threshold(pValues, 0.05)).isEqualTo(0.0095);
    assertThat(BenjaminiHochberg.threshold(new double[] {0.5, 0.9}, 0.05)).isNegative();
    assertThat(BenjaminiHochberg.threshold(new double[0], 0.05)).isNegative();
  }

  private static short bf16(double value) {
    int bits = Float.floatToRawIntBits((float) value);
    return (short) (bits + 0x7fff + (bits >>> 16 & 1) >>> 16);
  }

  /**
   * Compares with rounding itself, on magnitudes that include zeros, powers of two and subnormals.
   */
  @Test
  void theRoundTripIsWhatRoundingDoes() {
    Random random = Seeds.random("theRoundTripIsWhatRoundingDoes");
    int entries = 400_000;
    for (double deviation : new double[] {1e-5, 1e-4, 1e-3, 0.1}) {
      long[] codes = new long[32768];
      double squares = 0;
      int unchanged = 0;
      for (int i = 0; i < entries; i++) {
        short code =
            i % 50 == 0 ? bf16(Math.scalb(1, -i % 12)) : bf16(0.02 * random.nextGaussian());
        codes[code & 0x7fff]++;
        double weight = Float.intBitsToFloat(code << 16);
        double after = Float.intBitsToFloat(bf16(weight + deviation * random.nextGaussian()) << 16);
        squares += (after - weight) * (after - weight);
        unchanged += after == weight ? 1 : 0;
      }
      assertThat(RoundTrip.expectedSquares(codes, deviation))
          .isCloseTo(squares, within(0.03 * squares));
      NullEstimate share = RoundTrip.unchanged(codes, deviation);
      assertThat(unchanged / (double) entries)
          .isCloseTo(share.mean(), within(6 * share.sd() + 1e-3));
      assertThat(RoundTrip.deviation(codes, squares))
          .isCloseTo(deviation, within(0.03 * deviation));
    }
    assertThat(RoundTrip.deviation(new long[32768], 1)).isZero();
  }

  /** Checks one weight of each kind: a power of two, another number, and a subnormal. */
  @Test
  void momentsByCodeAreThoseOfRounding() {
    Random random = Seeds.random("momentsByCodeAreThoseOfRounding");
    int draws = 400_000;
    for (int code : new int[] {0x3c80, 0x3c8f, 0x0003}) {
      double weight = Float.intBitsToFloat(code << 16);
      double spacing = Float.intBitsToFloat(code + 1 << 16) - weight;
      for (double steps : new double[] {0.25, 0.6, 1.5, 10}) {
        double squares = 0;
        double fourths = 0;
        for (int i = 0; i < draws; i++) {
          double moved = weight + steps * spacing * random.nextGaussian();
          double update = (Float.intBitsToFloat(bf16(moved) << 16) - weight) / spacing;
          squares += update * update / draws;
          fourths += update * update * update * update / draws;
        }
        double variance = RoundTrip.variances(steps * spacing)[code] / (spacing * spacing);
        double cumulant = RoundTrip.fourthCumulants(steps * spacing)[code] / Math.pow(spacing, 4);
        // Steps beyond a binade meet another spacing, so the formula is less accurate.
        double allowed = steps > 5 ? 0.15 : 0.05;
        assertThat(variance).as(code + ", " + steps).isCloseTo(squares, within(allowed * squares));
        assertThat(cumulant + 3 * variance * variance)
            .as("fourth moment of " + code + ", " + steps)
            .isCloseTo(fourths, within(2 * allowed * fourths));
      }
    }
  }

  @Test
  void membershipsOfIndependentSetsAreBinomial() {
    long[] all = new long[100];
    long[] half = new long[100];
    long[] none = new long[100];
    java.util.Arrays.fill(all, 128);
    java.util.Arrays.fill(half, 64);
    MagnitudeBins bins = MagnitudeBins.of(all);
    assertThat(bins.ends()).hasSize(100);
    assertThat(bins.changedByRuns(all, List.of(half, half, none)))
        .containsExactly(new double[] {3200, 6400, 3200, 0}, within(1e-9));
    assertThat(bins.shares(all, half)[17]).isEqualTo(0.5);
  }

  @Test
  void agreementIsHeldAgainstDensityAndMagnitude() {
    Agreement runs = new Agreement(1000, 400, 500, 300, 250, 100);
    assertThat(runs.jaccard()).isEqualTo(0.5);
    assertThat(runs.bernoulliJaccard()).isCloseTo(0.2 / 0.7, within(1e-15));
    assertThat(runs.magnitudeJaccard()).isCloseTo(250.0 / 650, within(1e-15));
    assertThat(runs.magnitudeZ()).isEqualTo(5);
    assertThat(runs.magnitudeSd()).isCloseTo(10 * 900 / (650.0 * 650), within(1e-15));
    assertThat(runs.plus(Agreement.NONE)).isEqualTo(runs);
  }

  @Test
  void aLineIsLinearAndAWalkIsNot() {
    double[] steps = {0, 1, 2, 3};
    double[][] line = new double[4][4];
    double[][] walk = new double[4][4];
    for (int i = 0; i < 4; i++) {
      for (int j = 0; j < 4; j++) {
        line[i][j] = (i - j) * (i - j);
        walk[i][j] = Math.abs(i - j);
      }
    }
    assertThat(Trajectories.linearity(steps, line)).isCloseTo(1, within(1e-14));
    double linearity = Trajectories.linearity(steps, walk);
    // The walk has three orthogonal unit increments. Regressions by hand explain 1.7 of 2.5.
    assertThat(linearity).isCloseTo(0.68, within(1e-14));
    assertThat(Trajectories.walkLinearity(steps, walk)).isCloseTo(linearity, within(1e-14));
    assertThat(Trajectories.randomLocking(1, 10).sd())
        .isCloseTo(Math.sqrt(2 * 9 / (100.0 * 12)), within(1e-15));
    assertThat(Trajectories.randomLocking(3, 3).mean()).isEqualTo(1);
    assertThat(Trajectories.randomLocking(3, 3).sd()).isZero();
  }
}
