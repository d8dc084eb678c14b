package org.threegate.analysis.statistics;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import java.util.Arrays;
import java.util.Random;
import java.util.stream.IntStream;
import java.util.stream.LongStream;
import org.junit.jupiter.api.Test;
import org.threegate.testing.Seeds;

/** Constants are of scipy 1.x: its distributions, and a minimiser for the restricted likelihood. */
class EffectStatisticsTest {
  private static final double[] ESTIMATES = {0.12, 0.31, -0.05, 0.22, 0.48, 0.09, 0.27, 0.18};
  private static final double[] ERRORS = {0.08, 0.11, 0.07, 0.10, 0.15, 0.06, 0.12, 0.09};
  private static final long[] LAYERS = {0, 0, 1, 1, 2, 2, 3, 3};

  private static long[] alone(int count) {
    return LongStream.range(0, count).toArray();
  }

  @Test
  void effectsArePooledByRestrictedLikelihood() {
    RandomEffects pooled = RandomEffects.of(ESTIMATES, ERRORS, alone(8));
    assertThat(pooled.heterogeneity().variance()).isCloseTo(0.0125009678, within(1e-8));
    assertThat(pooled.heterogeneity().q()).isCloseTo(17.641094316385548, within(1e-12));
    assertThat(pooled.heterogeneity().share()).isCloseTo(0.603199219138112, within(1e-12));
    assertThat(pooled.heterogeneity().pValue()).isCloseTo(0.013698633299641855, within(1e-12));
    StudentEstimate effect = pooled.effect();
    assertThat(effect.value()).isCloseTo(0.17192443937776844, within(1e-8));
    assertThat(effect.error()).isCloseTo(0.053101376176469046, within(1e-8));
    assertThat(effect.interval(0.95).low()).isCloseTo(0.04635963747793842, within(1e-7));
    assertThat(effect.interval(0.95).high()).isCloseTo(0.29748924127759846, within(1e-7));
    assertThat(effect.pValue()).isCloseTo(0.014299197035821358, within(1e-7));
  }

  @Test
  void layersAreTheUnits() {
    RandomEffects pooled = RandomEffects.of(ESTIMATES, ERRORS, LAYERS);
    assertThat(pooled.clusters()).isEqualTo(4);
    assertThat(pooled.estimates()).isEqualTo(8);
    assertThat(pooled.effect().error()).isCloseTo(0.03710772696427707, within(1e-8));
    assertThat(pooled.effect().freedom()).isEqualTo(3);
    assertThat(pooled.effect().pValue()).isCloseTo(0.018941770238973404, within(1e-7));
  }

  @Test
  void equalEffectsHaveNoHeterogeneity() {
    RandomEffects pooled =
        RandomEffects.of(new double[] {0.1, 0.11, 0.09}, new double[] {0.1, 0.1, 0.1}, alone(3));
    assertThat(pooled.heterogeneity().variance()).isZero();
    assertThat(pooled.heterogeneity().share()).isZero();
    assertThat(pooled.effect().value()).isCloseTo(0.1, within(1e-15));
  }

  @Test
  void oneLayerSaysNothing() {
    RandomEffects pooled =
        RandomEffects.of(new double[] {0.1, 0.2}, new double[] {0.1, 0.1}, new long[] {5, 5});
    assertThat(pooled.effect().pValue()).isEqualTo(1);
    assertThat(pooled.effect().interval(0.95).low()).isEqualTo(Double.NEGATIVE_INFINITY);
    assertThat(pooled.effect().equivalencePValue(-1, 1)).isEqualTo(1);
    assertThat(pooled.effect().unitsToSettle(1, 0)).isInfinite();
    assertThatThrownBy(() -> RandomEffects.of(new double[0], new double[0], new long[0]))
        .hasMessage("0 estimates, 0 errors, 0 clusters");
    assertThatThrownBy(() -> RandomEffects.of(new double[1], new double[1], new long[1]))
        .hasMessage("estimate 0 is 0.0 with the error 0.0");
  }

  /** The intervals contain the true effect as often as they say, with layers that share a part. */
  @Test
  void pooledIntervalsCoverWhatTheySay() {
    Random random = Seeds.random("pooledIntervalsCoverWhatTheySay");
    int experiments = 1500;
    int covered = 0;
    int naive = 0;
    int matrices = 7;
    int layers = 12;
    long[] clusters = IntStream.range(0, layers * matrices).mapToLong(i -> i / matrices).toArray();
    for (int experiment = 0; experiment < experiments; experiment++) {
      double[] estimates = new double[clusters.length];
      double[] errors = new double[clusters.length];
      double shared = 0;
      for (int i = 0; i < estimates.length; i++) {
        shared = i % matrices == 0 ? 0.2 * random.nextGaussian() : shared;
        errors[i] = 0.05 + 0.2 * random.nextDouble();
        estimates[i] =
            0.3 + shared + 0.1 * random.nextGaussian() + errors[i] * random.nextGaussian();
      }
      covered +=
          RandomEffects.of(estimates, errors, clusters).effect().interval(0.95).contains(0.3)
              ? 1
              : 0;
      naive +=
          RandomEffects.of(estimates, errors, alone(estimates.length))
                  .effect()
                  .interval(0.95)
                  .contains(0.3)
              ? 1
              : 0;
    }
    assertThat(covered / (double) experiments).isCloseTo(0.95, within(0.02));
    assertThat(naive / (double) experiments).isLessThan(0.85);
  }

  @Test
  void equivalenceTakesTheWorseOfTwoTests() {
    StudentEstimate estimate = new StudentEstimate(0.05, 0.03, 11);
    assertThat(estimate.equivalencePValue(-0.2, 0.1))
        .isCloseTo(0.061884509674504054, within(1e-12));
    assertThat(estimate.equivalencePValue(-0.2, 1)).isCloseTo(2.210831170964331e-06, within(1e-12));
    StudentEstimate known = new StudentEstimate(0.05, 0.03, Double.POSITIVE_INFINITY);
    assertThat(known.equivalencePValue(-0.2, 0.1)).isCloseTo(0.0477903522728147, within(1e-12));
    assertThat(new StudentEstimate(0, 0, 3).equivalencePValue(-0.1, 0.1)).isZero();
    assertThat(new StudentEstimate(0.1, 0, 3).equivalencePValue(-0.1, 0.1)).isEqualTo(1);
    assertThatThrownBy(() -> estimate.equivalencePValue(1, 1))
        .hasMessage("no interval from 1.0 to 1.0");
  }

  @Test
  void differencesHaveWelchsFreedom() {
    StudentEstimate difference =
        StudentEstimate.difference(
            new StudentEstimate(1.48, Math.sqrt(0.0604), 4),
            new StudentEstimate(1.48 + 1.1485714285714286, Math.sqrt(0.03605442176870748), 6));
    assertThat(difference.freedom()).isCloseTo(8.242676179722931, within(1e-10));
    assertThat(difference.pValue()).isCloseTo(0.005748552595394815, within(1e-12));
    assertThat(difference.interval(0.95).low()).isCloseTo(-1.8610960845654523, within(1e-10));
    assertThat(difference.interval(0.95).high()).isCloseTo(-0.43604677257740476, within(1e-10));
  }

  /** The p-value of one more draw is uniform, for as few as four draws. */
  @Test
  void aFurtherDrawIsWithinItsInterval() {
    Random random = Seeds.random("aFurtherDrawIsWithinItsInterval");
    int covered = 0;
    int experiments = 4000;
    for (int i = 0; i < experiments; i++) {
      double[] draws = random.doubles(4).map(unused -> random.nextGaussian()).toArray();
      StudentEstimate next = StudentEstimate.ofDraws(draws);
      double observed = random.nextGaussian();
      covered += next.interval(0.95).contains(observed) ? 1 : 0;
      assertThat(next.pValue(observed))
          .isCloseTo(NullEstimate.of("draws", draws).pValue(observed), within(1e-12));
    }
    assertThat(covered / (double) experiments).isCloseTo(0.95, within(0.014));
    assertThatThrownBy(() -> StudentEstimate.ofDraws(new double[1]))
        .hasMessage("1 draws; at least 2 are required");
  }

  @Test
  void unitsThatWouldDecide() {
    StudentEstimate estimate = new StudentEstimate(0.1, 0.05, 7);
    assertThat(estimate.unitsToSettle(8, 0)).isEqualTo(18);
    assertThat(estimate.unitsToSettle(8, 0.08)).isEqualTo(395);
    assertThat(new StudentEstimate(0.5, 0.01, 7).unitsToSettle(8, 0)).isEqualTo(2);
    assertThat(estimate.unitsToSettle(8, 0.1)).isInfinite();
  }

  @Test
  void sharesOfRescalings() {
    RescalingShare share = RescalingShare.of(0.3, 0.1, 0.05, 2);
    assertThat(share.value()).isEqualTo(0.15);
    assertThat(share.noise()).isEqualTo(0.05);
    assertThat(share.z()).isCloseTo(4, within(1e-12));
    assertThat(share.excess().low()).isCloseTo(0.1 - 1.959964 * 0.025, within(1e-7));
    assertThat(RescalingShare.of(0, 0, 0, 0).z()).isZero();
    assertThat(RescalingShare.chance(63, 4096)).isEqualTo(63.0 / 4096);
  }

  @Test
  void binsOfCodesAreTheirRanges() {
    long[] all = new long[10];
    all[2] = 100;
    all[5] = 100;
    all[9] = 30;
    assertThat(MagnitudeBins.of(all).binOfCode()).containsExactly(0, 0, 0, 1, 1, 1, 1, 1, 1, 1);
  }

  /** Codes that no entry has do not matter. */
  @Test
  void fewCodesGiveTheStatisticsOfAllCodes() {
    Random random = Seeds.random("fewCodesGiveTheStatisticsOfAllCodes");
    long[] all = new long[32768];
    long[] set = new long[all.length];
    for (int i = 0; i < 300; i++) {
      int code = 0x3a00 + random.nextInt(0x200);
      all[code] += 1 + random.nextInt(60);
      set[code] = all[code] / 3;
    }
    all[0x7f80] = 2; // infinite entries
    int[] codes = IntStream.range(0, all.length).filter(code -> all[code] > 0).toArray();
    long[] own = Arrays.stream(codes).mapToLong(code -> all[code]).toArray();
    long[] ownSet = Arrays.stream(codes).mapToLong(code -> set[code]).toArray();
    MagnitudeBins bins = MagnitudeBins.of(all);
    assertThat(MagnitudeBins.of(codes, own, all.length).ends()).isEqualTo(bins.ends());
    assertThat(bins.sums(codes, own)).isEqualTo(bins.sums(all));
    double[] shares = bins.shares(all, set);
    assertThat(bins.shares(codes, own, ownSet))
        .isEqualTo(Arrays.stream(codes).mapToDouble(code -> shares[code]).toArray());
    double deviation = RoundTrip.deviation(all, 1e-3);
    assertThat(RoundTrip.deviation(codes, own, 1e-3)).isEqualTo(deviation);
    assertThat(RoundTrip.unchanged(codes, own, deviation))
        .isEqualTo(RoundTrip.unchanged(all, deviation));
  }
}
