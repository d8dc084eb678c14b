package org.threegate.analysis.statistics;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.threegate.testing.Seeds;

class JudgeTest {
  private static final double LARGE = Math.log(2);

  private static Against against(String model, double log, double se) {
    return new Against(
        NullEstimate.analytic(model, 1, se), new Effect(log, se, Double.POSITIVE_INFINITY));
  }

  /** A claim on matrices whose effects beyond both nulls are given, one row per matrix. */
  private static Claim claim(int sign, String setting, double[][] effects) {
    List<Claim.Test> tests = new ArrayList<>();
    for (int i = 0; i < effects.length; i++) {
      Against naive = against("density", effects[i][0], 0.02);
      tests.add(
          new Claim.Test(
              "w" + i,
              new Claim.Place("q", "layer " + i),
              1,
              Optional.of(naive),
              List.of(naive, against("matched", effects[i][1], 0.02)),
              1));
    }
    return new Claim(
        "id",
        "A claim",
        new Claim.Measure("measure", setting, SmallestEffect.Scale.RATIO),
        sign,
        tests,
        "");
  }

  private static double[][] matrices(int count, double naive, double matched) {
    double[][] effects = new double[count][];
    for (int i = 0; i < count; i++) {
      double noise = 0.02 * Math.sin(5 * i);
      effects[i] = new double[] {naive + noise, matched - noise};
    }
    return effects;
  }

  private static Finding finding(Claim... claims) {
    return Judge.findings(List.of(claims)).get(0);
  }

  @Test
  void verdictsNeedSignificanceAndSizeBeyondEveryNull() {
    assertThat(finding(claim(1, "", matrices(5, LARGE, LARGE))).verdict())
        .isEqualTo(Verdict.SUPPORTED);
    assertThat(finding(claim(-1, "", matrices(5, LARGE, LARGE))).verdict())
        .isEqualTo(Verdict.CONTRADICTED);
    assertThat(finding(claim(1, "", matrices(5, LARGE, 0))).verdict())
        .isEqualTo(Verdict.EXPLAINED_BY_NULL);
    assertThat(finding(claim(1, "", matrices(5, 0.01, 0))).verdict())
        .isEqualTo(Verdict.CONSISTENT_WITH_CHANCE);
    // Significant, but smaller than the smallest effect of interest.
    Finding small = finding(claim(1, "", matrices(8, 0.1, 0.1)));
    assertThat(small.evidence().nulls().get(0).pooled().effect().pValue()).isLessThan(1e-5);
    assertThat(small.verdict()).isEqualTo(Verdict.CONSISTENT_WITH_CHANCE);
    Finding between = finding(claim(1, "", matrices(5, LARGE, -LARGE)));
    assertThat(between.verdict()).isEqualTo(Verdict.EXPLAINED_BY_NULL);
    assertThat(between.text())
        .contains(
            "between null models (ratio 2.00 to density, 0.500 to matched), so it shows neither");
    assertThat(finding(claim(1, "", matrices(5, LARGE, 0))).text())
        .doesNotContain("between null models");
    Finding none =
        finding(
            new Claim(
                "id",
                "A claim",
                new Claim.Measure("m", "", SmallestEffect.Scale.RATIO),
                1,
                List.of(),
                "none there"));
    assertThat(none.verdict()).isEqualTo(Verdict.UNDETERMINED);
    assertThat(none.text()).isEqualTo("A claim: none there.");
  }

  @Test
  void fewMatricesThatDisagreeAreUndeterminedAndSayHowManyWouldDecide() {
    Finding finding =
        finding(claim(1, "", new double[][] {{1.2, 1.2}, {0.1, 0.1}, {0.6, 0.6}, {0.3, 0.3}}));
    assertThat(finding.verdict()).isEqualTo(Verdict.UNDETERMINED);
    assertThat(finding.text()).contains("matrices would decide");
    assertThat(finding.evidence().nulls().get(0).pooled().heterogeneity()).isGreaterThan(0.9);
  }

  @Test
  void settingsWithOtherVerdictsAreMarked() {
    Finding finding =
        finding(
            claim(1, "α 0.5", matrices(5, LARGE, LARGE)),
            claim(1, "α 0.05", matrices(5, LARGE, 0)));
    assertThat(finding.verdict()).isEqualTo(Verdict.SUPPORTED);
    assertThat(finding.dependsOnSetting()).isTrue();
    assertThat(finding.text()).contains("with α 0.05: explained-by-null");
    assertThat(finding.settings()).hasSize(2);
  }

  @Test
  void matricesWithoutADefinedNullAreNamed() {
    double[][] effects = matrices(4, LARGE, LARGE);
    effects[2] = new double[] {Double.NaN, Double.NaN};
    Finding finding = finding(claim(1, "", effects));
    assertThat(finding.verdict()).isEqualTo(Verdict.SUPPORTED);
    assertThat(finding.text()).contains("undefined: w2");
    assertThat(finding.evidence().votes().matrices()).isEqualTo(3);
  }

  /** With fewer null models than a verdict needs, an effect would pass more easily. */
  @Test
  void aClaimWithoutAllOfItsNullModelsGetsNoVerdictForOrAgainstIt() {
    Claim supported = claim(1, "", matrices(5, LARGE, LARGE));
    Finding finding = finding(supported.without(List.of("sign-flipped", "permuted-update")));
    assertThat(finding.verdict()).isEqualTo(Verdict.UNDETERMINED);
    assertThat(finding.text())
        .contains("without the null models that were not drawn: sign-flipped, permuted-update")
        .doesNotContain("would decide");
    assertThat(finding.evidence().votes().supporting()).isZero();
    // A null that was drawn and explains the observation still does.
    Claim explained = claim(1, "", matrices(5, LARGE, 0));
    assertThat(finding(explained.without(List.of("sign-flipped"))).verdict())
        .isEqualTo(Verdict.EXPLAINED_BY_NULL);
    // Other claims are corrected as if the incomplete one had shown nothing.
    List<Finding> both =
        Judge.findings(List.of(supported, supported.without(List.of("sign-flipped"))));
    assertThat(both.get(0).settings()).hasSize(2);
    assertThat(both.get(0).settings().get(0).verdict()).isEqualTo(Verdict.SUPPORTED);
    assertThat(both.get(0).settings().get(1).verdict()).isEqualTo(Verdict.UNDETERMINED);
  }

  /** One undefined null model of two would leave the weaker one to decide. */
  @Test
  void aMatrixWithAnUndefinedNullIsLeftOut() {
    double[][] effects = matrices(4, LARGE, LARGE);
    for (double[] own : effects) {
      own[1] = Double.NaN;
    }
    Finding finding = finding(claim(1, "", effects));
    assertThat(finding.verdict()).isEqualTo(Verdict.UNDETERMINED);
    assertThat(finding.text()).contains("undefined: w0, w1, w2, w3");
  }

  /** Layers are the units from five on. Below, their spread says too little. */
  @Test
  void layersAreUnitsWhereThereAreEnough() {
    List<Effect> effects = new ArrayList<>();
    List<String> layers = new ArrayList<>();
    for (int layer = 0; layer < 6; layer++) {
      for (int matrix = 0; matrix < 4; matrix++) {
        effects.add(new Effect(0.1 * layer + 0.001 * matrix, 0.01, Double.POSITIVE_INFINITY));
        layers.add(Integer.toString(layer));
      }
    }
    PooledEffect pooled = PooledEffect.of(effects, layers);
    assertThat(pooled.clusters()).isEqualTo(6);
    assertThat(pooled.effect().df()).isEqualTo(5);
    // The standard deviation of the six layers, divided by the root of six.
    assertThat(pooled.effect().se()).isCloseTo(0.18708 / Math.sqrt(6), within(1e-3));
    PooledEffect few = PooledEffect.of(effects.subList(0, 16), layers.subList(0, 16));
    assertThat(few.clusters()).isEqualTo(16);
    // Equal effects have the error that their own errors give.
    PooledEffect equal =
        PooledEffect.of(Collections.nCopies(9, effects.get(0)), Collections.nCopies(9, "0"));
    assertThat(equal.effect().se()).isCloseTo(0.01 / 3, within(1e-9));
    assertThat(equal.tau()).isZero();
  }

  /**
   * Effects without a cause get no verdict, although those of one layer share most of their noise.
   */
  @Test
  void dependentMatricesKeepTheFalseDiscoveryRate() {
    Random random = Seeds.random("dependentMatricesKeepTheFalseDiscoveryRate");
    int rounds = 400;
    int claims = 7;
    Map<Verdict, Integer> verdicts = new EnumMap<>(Verdict.class);
    for (int round = 0; round < rounds; round++) {
      List<Claim> all = new ArrayList<>();
      for (int c = 0; c < claims; c++) {
        List<Claim.Test> tests = new ArrayList<>();
        for (int layer = 0; layer < 4; layer++) {
          double shared = 0.3 * random.nextGaussian();
          for (int matrix = 0; matrix < 7; matrix++) {
            Against null0 = against("null", shared + 0.1 * random.nextGaussian(), 0.1);
            tests.add(
                new Claim.Test(
                    layer + "." + matrix,
                    new Claim.Place("q", Integer.toString(layer)),
                    1,
                    Optional.empty(),
                    List.of(null0),
                    1));
          }
        }
        all.add(
            new Claim(
                "claim " + c,
                "A claim",
                new Claim.Measure("m", "", SmallestEffect.Scale.RATIO),
                1,
                tests,
                ""));
      }
      Judge.findings(all).forEach(own -> verdicts.merge(own.verdict(), 1, Integer::sum));
    }
    double decided =
        Arrays.stream(Verdict.values())
            .filter(Verdict::isDecided)
            .mapToInt(verdict -> verdicts.getOrDefault(verdict, 0))
            .sum();
    assertThat(decided / (rounds * claims)).isLessThan(0.05);
  }

  /** Drawn nulls have Student's tails, whatever the number of draws. */
  @Test
  void effectsOfDrawnNullsKeepTheirLevel() {
    Random random = Seeds.random("effectsOfDrawnNullsKeepTheirLevel");
    int rounds = 20_000;
    for (int draws : new int[] {4, 20}) {
      int below = 0;
      for (int round = 0; round < rounds; round++) {
        double[] drawn = new double[draws];
        Arrays.setAll(drawn, i -> Math.exp(0.1 * random.nextGaussian()));
        double observed = Math.exp(0.1 * random.nextGaussian());
        below += Effect.ofRatio(observed, NullEstimate.of("m", drawn)).pValue() < 0.05 ? 1 : 0;
      }
      assertThat(below / (double) rounds).as("%s draws", draws).isCloseTo(0.05, within(0.008));
    }
    Effect overlap = Effect.ofOverlap(120, 100, 25);
    assertThat(overlap.log()).isEqualTo(0.8);
    assertThat(overlap.t()).isCloseTo(4, within(1e-12));
    assertThat(Effect.ofOverlap(1, 1, 0).isDefined()).isFalse();
    assertThat(Effect.ofRatio(0, NullEstimate.analytic("m", 1, 0.1)).ratio())
        .isCloseTo(1e-6, within(1e-7));
  }
}
