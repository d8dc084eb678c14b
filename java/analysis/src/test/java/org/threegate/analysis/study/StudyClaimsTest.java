package org.threegate.analysis.study;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Random;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.threegate.analysis.statistics.Agreement;
import org.threegate.analysis.statistics.NullEstimate;
import org.threegate.analysis.statistics.Totals;
import org.threegate.analysis.statistics.Verdict;

/** Tests that verdicts follow from matched controls, with runs as the replicates. */
class StudyClaimsTest {
  private static final int MATRICES = 12;
  private static final int PROBLEMS = 400;

  /** The spread of measures between seeds, as a share. */
  private static final double SPREAD = 0.01;

  /** Measures of a way of training, before the spread of its seeds. */
  private record Way(
      String id, double accuracy, double sparsity, double permuted, double nss, double divergence) {
    static Way of(String id, double accuracy, double sparsity, double nss, double divergence) {
      return new Way(id, accuracy, sparsity, 0.5, nss, divergence);
    }

    List<StudyRun> seeds(int count) {
      return IntStream.rangeClosed(1, count).mapToObj(seed -> run(this, seed, SPREAD)).toList();
    }
  }

  /** Returns the runs of a way of training in a variation, whose seeds are even. */
  private static List<StudyRun> varied(String variation, Way way) {
    return IntStream.of(2, 4)
        .mapToObj(seed -> run(way, seed, SPREAD))
        .map(
            run ->
                new StudyRun(
                    new StudyRun.Recipe(
                        variation, way.id(), run.recipe().seed(), variation, "by hand", 1e-5),
                    run.steps(),
                    run.behaviour(),
                    run.update(),
                    run.series(),
                    run.patches(),
                    run.matrices(),
                    List.of()))
        .toList();
  }

  /** Returns a run that scatters around its way. Its matrices scatter further by 1 %. */
  private static StudyRun run(Way way, int seed, double spread) {
    Random random = new Random(31L * way.id().hashCode() + seed);
    double sparsity = way.sparsity() * (1 + spread * random.nextGaussian());
    double nss = way.nss() * (1 + spread * random.nextGaussian());
    double divergence = way.divergence() * (1 + spread * random.nextGaussian());
    double accuracy = way.accuracy() * (1 + spread * random.nextGaussian());
    List<MatrixMeasures> matrices = new ArrayList<>();
    for (int i = 0; i < MATRICES; i++) {
      double scatter = 1 + 0.01 * random.nextGaussian();
      matrices.add(
          new MatrixMeasures(
              "m" + i,
              "q_proj",
              OptionalInt.of(i / 4),
              sparsity * scatter,
              new MatrixMeasures.Measure(nss * scatter, nss / 2),
              new MatrixMeasures.Measure(nss * scatter, nss / 2),
              i == 0,
              new MatrixMeasures.Measure(0.5, 0.5),
              new MatrixMeasures.Measure(0.5, 0.5),
              new MatrixMeasures.Measure(0.1, 0.01)));
    }
    double[] shares = new double[PROBLEMS];
    // The same problems are hard for all runs.
    Arrays.setAll(shares, i -> accuracy + 0.2 * Math.sin(i));
    long changed = Math.round(1_000_000 * (1 - sparsity));
    return new StudyRun(
        new StudyRun.Recipe("", way.id(), seed, way.id().toUpperCase(Locale.ROOT), "by hand", 1e-5),
        32,
        new StudyRun.Behaviour(
            Accuracy.of(shares),
            Accuracy.of(shares),
            new Mean(divergence, divergence / 100),
            Optional.of(new Mean(divergence, divergence / 100))),
        new StudyRun.Update(
            new Totals(
                new Totals.Counts(
                    1_000_000, changed, changed, 1_000_000, 1_000_000 - changed, 0, 0),
                new Totals.Sums(100, 1, 0, 1)),
            0.7,
            1_000_000 - changed,
            1,
            0.3,
            NullEstimate.analytic("permuted-update", way.permuted(), 1e-3),
            0.5,
            0.5),
        IntStream.rangeClosed(1, 32)
            .mapToObj(
                step -> new StudyRun.Step(step, 0.2, 0.025 * step, 1 - 0.025 * step, 1e-3 * step))
            .toList(),
        List.of(new StudyRun.PatchSize(1, 10, 1000, 40, 2000)),
        matrices,
        List.of());
  }

  private static Map<String, Agreement> agreements(double ofTurned) {
    Map<String, Agreement> agreements = new LinkedHashMap<>();
    for (int i = 0; i < MATRICES; i++) {
      double share = i < 4 ? ofTurned : 0.8;
      agreements.put(
          "m" + i, new Agreement(10_000, 5000, 5000, Math.round(5000 * share) + i, 3000, 1000));
    }
    return agreements;
  }

  private static StudyResult result(boolean quick, List<StudyRun> runs) {
    return result(quick, runs, List.of());
  }

  private static StudyResult result(
      boolean quick, List<StudyRun> runs, List<StudyResult.Variation> variations) {
    double[] base = new double[PROBLEMS];
    Arrays.setAll(base, i -> 0.3 + 0.2 * Math.sin(i) + 0.01 * Math.cos(3 * i));
    return new StudyResult(
        quick,
        Accuracy.of(base),
        746_368,
        runs,
        List.of(agreements(0.8), agreements(0.81)),
        List.of(agreements(0.5), agreements(0.52)),
        List.of("m0", "m1", "m2", "m3"),
        variations,
        List.of(),
        List.of(),
        Map.of());
  }

  private static Map<String, StudyClaim> judge(List<StudyRun> runs) {
    Map<String, StudyClaim> claims = new LinkedHashMap<>();
    StudyClaims.judge(result(false, runs)).forEach(claim -> claims.put(claim.id(), claim));
    return claims;
  }

  private static Map<String, StudyClaim> judge(int seeds, Way... ways) {
    return judge(Stream.of(ways).flatMap(way -> way.seeds(seeds).stream()).toList());
  }

  private static final Way RLVR = Way.of("rlvr", 0.45, 0.6, 2e-4, 0.02);
  private static final Way SFT = Way.of("sft", 0.6, 0.1, 8e-3, 2);

  @Test
  void matchedControlsDecide() {
    Map<String, StudyClaim> claims =
        judge(
            4,
            RLVR,
            SFT,
            Way.of("sft-equal-norm", 0.35, 0.4, 1e-4, 0.05),
            Way.of("rejection", 0.45, 0.4, 1.2e-4, 0.05));
    assertThat(claims.get("learns").verdict()).isEqualTo(Verdict.SUPPORTED);
    assertThat(claims.get("sparser-than-sft").verdict()).isEqualTo(Verdict.SUPPORTED);
    assertThat(claims.get("kl-leash").verdict()).isEqualTo(Verdict.SUPPORTED);
    // The drift is 40 times less than that of supervised fine-tuning at its usual rate, but nearly
    // twice as much as that of the matched controls.
    assertThat(claims.get("drifts-less-than-sft").verdict()).isEqualTo(Verdict.CONTRADICTED);
    assertThat(claims.get("axes-decide").verdict()).isEqualTo(Verdict.SUPPORTED);
    assertThat(claims.get("bf16-hides").verdict()).isEqualTo(Verdict.SUPPORTED);
    // There are no claims about missing runs.
    assertThat(claims).doesNotContainKeys("safe-mask-matters", "pissa-degrades", "low-curvature");
    assertThat(claims.get("sparser-than-sft").plot().points()).hasSize(4);
  }

  @Test
  void rejectionSamplingExplainsWhatItMatches() {
    Way[] ways = {
      RLVR,
      SFT,
      Way.of("sft-equal-norm", 0.35, 0.4, 1e-4, 0.05),
      Way.of("rejection", 0.45, 0.6, 2e-4, 0.02)
    };
    for (int seeds : new int[] {2, 4}) {
      Map<String, StudyClaim> claims = judge(seeds, ways);
      assertThat(claims.get("sparser-than-sft").verdict()).isEqualTo(Verdict.EXPLAINED_BY_NULL);
      assertThat(claims.get("kl-leash").verdict()).isEqualTo(Verdict.EXPLAINED_BY_NULL);
      assertThat(claims.get("kl-leash").limits()).contains("the cause to test");
    }
  }

  /** A large difference from all controls follows from the sizes of the moves alone. */
  @Test
  void randomPlacesExplainSparsity() {
    Map<String, StudyClaim> claims =
        judge(
            4,
            new Way("rlvr", 0.45, 0.645, 0.644, 2e-4, 0.02),
            SFT,
            Way.of("sft-equal-norm", 0.35, 0.4, 2e-4, 0.02),
            Way.of("rejection", 0.45, 0.4, 2e-4, 0.02));
    assertThat(claims.get("sparser-than-sft").verdict()).isEqualTo(Verdict.EXPLAINED_BY_NULL);
  }

  @Test
  void seedsAreTheReplicates() {
    Way safe = Way.of("safe", 0.55, 0.6, 2e-4, 0.02);
    Way random = Way.of("random-safe", 0.45, 0.6, 2e-4, 0.02);
    Way equal = Way.of("sft-equal-norm", 0.35, 0.6, 2e-4, 0.1);
    assertThat(judge(4, RLVR, SFT, equal, safe, random).get("safe-mask-matters").verdict())
        .isEqualTo(Verdict.SUPPORTED);
    // With a single seed the spread is unknown, however many matrices and problems there are.
    judge(1, RLVR, SFT, equal, safe, random)
        .forEach(
            (id, claim) -> {
              if (!id.equals("axes-decide")) {
                assertThat(claim.verdict()).as(id).isEqualTo(Verdict.UNDETERMINED);
                assertThat(claim.seen()).contains("no error");
              }
            });
    // Seeds that scatter by as much as the ways differ decide nothing, and the text says how many
    // would.
    List<StudyRun> runs = new ArrayList<>();
    for (Way way : List.of(RLVR, SFT, equal, safe, random)) {
      for (int seed = 1; seed <= 2; seed++) {
        runs.add(run(way, seed, 0.1));
      }
    }
    StudyClaim noisy = judge(runs).get("safe-mask-matters");
    assertThat(noisy.verdict()).isEqualTo(Verdict.UNDETERMINED);
    assertThat(noisy.seen()).containsPattern("about \\d+ seeds would decide");
    assertThatThrownBy(() -> judge(SFT.seeds(2))).hasMessageContaining("\"rlvr\"");
  }

  /**
   * Ways that differ only in their seeds are not found to differ, although their matrices separate
   * them: each run moves all of its matrices by a random factor.
   */
  @Test
  void oneSeedAgainstAnotherIsNoFinding() {
    Random random = new Random(7);
    int studies = 200;
    int decided = 0;
    for (int study = 0; study < studies; study++) {
      List<StudyRun> runs = new ArrayList<>();
      for (String id : List.of("rlvr", "sft", "sft-equal-norm", "rejection")) {
        for (int seed = 1; seed <= 4; seed++) {
          double sparsity = 0.5 + 0.03 * random.nextGaussian();
          double size = Math.exp(0.3 * random.nextGaussian());
          runs.add(
              run(new Way(id, 0.4, sparsity, sparsity / 2, 2e-4 * size, 0.02 * size), seed, 0));
        }
      }
      Map<String, StudyClaim> claims = judge(runs);
      for (String id : List.of("sparser-than-sft", "drifts-less-than-sft", "kl-leash")) {
        decided += claims.get(id).verdict().isDecided() ? 1 : 0;
      }
    }
    assertThat(decided).isLessThanOrEqualTo(studies * 3 / 20);
    // Two seeds of one way, each given out as a way of its own.
    StudyClaim two =
        judge(
                List.of(
                    run(RLVR, 1, 0.05),
                    run(new Way("sft", 0.45, 0.6, 0.5, 2e-4, 0.02), 2, 0.05),
                    run(new Way("sft-equal-norm", 0.45, 0.6, 0.5, 2e-4, 0.02), 2, 0.05)))
            .get("sparser-than-sft");
    assertThat(two.verdict()).isEqualTo(Verdict.UNDETERMINED);
  }

  /** At one rate most changes are hidden, and at another few: the rate and the steps explain it. */
  @Test
  void whatBf16HidesIsACurve() {
    Way[] controls = {SFT, Way.of("sft-equal-norm", 0.35, 0.4, 2e-4, 0.02)};
    Way fast = Way.of("rlvr", 0.45, 0.39, 2e-4, 0.02);
    StudyClaim one = judge(4, fast, controls[0], controls[1]).get("bf16-hides");
    assertThat(one.verdict()).isEqualTo(Verdict.CONTRADICTED);
    assertThat(one.seen())
        .contains(
            "0.975 at 1.0e-05, 0.750 at 1.0e-04, 0.200 at 3.2e-04; it falls below one half at 2.1e-04.");
    assertThat(one.limits()).contains("one rate was tried");
    StudyClaim two =
        judge(4, fast, Way.of("rlvr-slow", 0.4, 0.9, 2e-5, 1e-4), controls[0], controls[1])
            .get("bf16-hides");
    assertThat(two.verdict()).isEqualTo(Verdict.EXPLAINED_BY_NULL);
    assertThat(two.seen()).contains("one half, RLVR-SLOW");
  }

  @Test
  void adaptersAreComparedAtTheirBestRates() {
    Way[] ways = {
      RLVR,
      SFT,
      Way.of("sft-equal-norm", 0.35, 0.4, 2e-4, 0.02),
      Way.of("lora", 0.6, 0.1, 2e-3, 0.2),
      Way.of("pissa", 0.4, 0.1, 2e-3, 0.2)
    };
    assertThat(judge(4, ways).get("pissa-degrades").verdict()).isEqualTo(Verdict.SUPPORTED);
    Way[] swept = Arrays.copyOf(ways, ways.length + 1);
    swept[ways.length] = Way.of("pissa-slow", 0.6, 0.1, 2e-3, 0.2);
    StudyClaim claim = judge(4, swept).get("pissa-degrades");
    assertThat(claim.verdict()).isEqualTo(Verdict.EXPLAINED_BY_NULL);
    assertThat(claim.seen()).contains("Best: LORA and PISSA-SLOW.");
  }

  private static StudyResult.Variation variation(String id, double first, double second) {
    double[] base = new double[PROBLEMS];
    Arrays.setAll(base, i -> 0.3 + 0.2 * Math.sin(i));
    return new StudyResult.Variation(
        id,
        id,
        Accuracy.of(base),
        600_000,
        Double.isNaN(first) ? List.of() : List.of(agreements(first), agreements(second)),
        List.of());
  }

  /** That something does not matter is shown by equivalence, not by the lack of a difference. */
  @Test
  void invarianceNeedsEquivalence() {
    List<StudyRun> runs =
        Stream.of(RLVR, SFT, Way.of("sft-equal-norm", 0.35, 0.4, 1e-4, 0.05))
            .flatMap(way -> way.seeds(4).stream())
            .toList();
    Map<String, StudyClaim> claims = new LinkedHashMap<>();
    StudyClaims.judge(
            result(
                false,
                runs,
                List.of(
                    variation("equal", 0.801, 0.812),
                    variation("other", 0.5, 0.512),
                    variation("noisy", 0.8, 0.7),
                    variation("elsewhere", Double.NaN, Double.NaN))))
        .forEach(claim -> claims.put(claim.id(), claim));
    assertThat(claims.get("equal-as-seeds").verdict())
        .as(claims.get("equal-as-seeds").seen())
        .isEqualTo(Verdict.SUPPORTED);
    assertThat(claims.get("other-as-seeds").verdict()).isEqualTo(Verdict.CONTRADICTED);
    assertThat(claims.get("noisy-as-seeds").verdict()).isEqualTo(Verdict.UNDETERMINED);
    assertThat(claims).doesNotContainKeys("elsewhere-as-seeds", "equal-repeats");
    assertThat(claims.get("equal-as-seeds").plot().points()).hasSize(4);
  }

  /** The verdicts of another base are compared with those of the main part. */
  @Test
  void verdictsAreRepeated() {
    Way equal = Way.of("sft-equal-norm", 0.35, 0.4, 1e-4, 0.05);
    Way rejection = Way.of("rejection", 0.45, 0.6, 2e-4, 0.02);
    List<StudyRun> main =
        Stream.of(RLVR, SFT, equal, rejection).flatMap(way -> way.seeds(4).stream()).toList();
    for (boolean alike : new boolean[] {true, false}) {
      List<StudyRun> runs = new ArrayList<>(main);
      runs.addAll(varied("wide", RLVR));
      runs.addAll(varied("wide", equal));
      // Here, rejection sampling does not explain how close reinforcement stays to the base.
      runs.addAll(varied("wide", alike ? rejection : Way.of("rejection", 0.45, 0.4, 1e-4, 0.1)));
      runs.addAll(varied("sgd", RLVR));
      List<StudyClaim> claims =
          StudyClaims.judge(
              result(
                  false,
                  runs,
                  List.of(variation("wide", Double.NaN, 0), variation("sgd", 0.7, 0.7))));
      StudyClaim wide =
          claims.stream()
              .filter(claim -> claim.id().equals("wide-repeats"))
              .findAny()
              .orElseThrow();
      if (alike) {
        assertThat(wide.verdict()).isNotEqualTo(Verdict.CONTRADICTED);
        assertThat(wide.seen()).contains("sparser-than-sft (explained-by-null)");
      } else {
        assertThat(wide.verdict()).isEqualTo(Verdict.CONTRADICTED);
        assertThat(wide.seen()).contains("kl-leash (supported, not explained-by-null)");
      }
      assertThat(wide.plot().points()).hasSize(4);
      // Runs of variations are in no other claim.
      StudyClaim learns = claims.get(0);
      assertThat(learns.plot().points()).hasSize(5);
      assertThat(learns.contrasts().get(0).runs()).isEqualTo(4);
      assertThat(claims.stream().map(StudyClaim::id)).contains("sgd-repeats");
    }
  }

  @Test
  void textsFollowTheRuns() {
    List<StudyRun> runs =
        Stream.of(RLVR, SFT, Way.of("sft-equal-norm", 0.35, 0.4, 1e-4, 0.02))
            .flatMap(way -> way.seeds(2).stream())
            .toList();
    for (StudyClaim claim : StudyClaims.judge(result(true, runs))) {
      assertThat(claim.limits())
          .contains("0.75 million weights", "32 steps", "400 held-out problems and 2 seeds")
          .doesNotContain("  ");
      assertThat(claim.seen()).doesNotContain("NaN").endsWith(".");
    }
    assertThat(StudyClaims.judge(result(false, runs)).get(0).limits()).doesNotContain("quick");
  }

  @Test
  void samplesLimitTheError() {
    Contrast seeds = Contrast.paired("a", true, new double[] {0.1, 0.12, 0.11, 0.09});
    assertThat(seeds.withErrorOf(1e-4)).isEqualTo(seeds);
    assertThat(seeds.withErrorOf(Double.NaN)).isEqualTo(seeds);
    Contrast samples = seeds.withErrorOf(0.1);
    assertThat(samples.estimate().value()).isEqualTo(seeds.estimate().value());
    assertThat(samples.interval().high()).isCloseTo(Math.exp(0.105 + 1.96 * 0.1), within(1e-4));
    // A single seed has no interval, which samples do not make narrower.
    assertThat(Contrast.paired("a", true, new double[] {0.1}).withErrorOf(0.1).isDefined())
        .isFalse();
  }

  @Test
  void differencesArePaired() {
    Mean mean = Mean.ofPairs(new double[] {3, 5, 7}, new double[] {1, 2, 6});
    assertThat(mean.value()).isEqualTo(2);
    assertThat(mean.se()).isCloseTo(1 / Math.sqrt(3), within(1e-12));
    assertThat(Mean.ofPairs(new double[0], new double[0]).value()).isNaN();
    assertThatThrownBy(() -> Mean.ofPairs(new double[1], new double[2]))
        .hasMessage("arrays of different lengths: 1 and 2");
  }
}
