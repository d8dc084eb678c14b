package org.threegate.analysis.study;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.threegate.analysis.statistics.Agreement;
import org.threegate.analysis.statistics.NullEstimate;
import org.threegate.analysis.statistics.Totals;
import org.threegate.analysis.statistics.Verdict;

/** Tests that verdicts follow from the matched control, not from the usual one. */
class StudyClaimsTest {
  private static final int MATRICES = 12;
  private static final int PROBLEMS = 400;
  private static final NullEstimate PERMUTED = NullEstimate.analytic("permuted-update", 0.5, 1e-3);

  /** Returns a run whose matrices scatter by 1 % around the given measures. */
  private static StudyRun run(
      String id, double accuracy, double sparsity, double nss, double divergence) {
    Random random = new Random(id.hashCode());
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
    Arrays.setAll(shares, i -> Math.min(1, accuracy + 0.2 * Math.sin(i)));
    long changed = Math.round(1000 * (1 - sparsity));
    return new StudyRun(
        new StudyRun.Recipe(id, id.toUpperCase(), "by hand", 1e-5),
        100,
        new StudyRun.Behaviour(
            Accuracy.of(shares),
            Accuracy.of(shares),
            new Mean(divergence, divergence / 20),
            Optional.of(new Mean(divergence, divergence / 20))),
        new StudyRun.Update(
            new Totals(
                new Totals.Counts(1000, changed, changed, 1000, 1000 - changed, 0, 0),
                new Totals.Sums(100, 1, 0, 1)),
            0.7,
            1000 - changed,
            1,
            0.3,
            PERMUTED,
            0.5,
            0.5),
        List.of(new StudyRun.Step(1, 0.2, 0.1, 1e-3)),
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

  private static StudyResult result(StudyRun... runs) {
    double[] base = new double[PROBLEMS];
    Arrays.setAll(base, i -> 0.3 + 0.2 * Math.sin(i) + 0.01 * Math.cos(3 * i));
    return new StudyResult(
        Accuracy.of(base),
        1000,
        List.of(runs),
        agreements(0.8),
        agreements(0.5),
        List.of("m0", "m1", "m2", "m3"),
        List.of(),
        List.of(),
        Map.of());
  }

  private static Map<String, StudyClaim> judge(StudyRun... runs) {
    Map<String, StudyClaim> claims = new LinkedHashMap<>();
    StudyClaims.judge(result(runs)).forEach(claim -> claims.put(claim.id(), claim));
    return claims;
  }

  @Test
  void theMatchedControlDecides() {
    Map<String, StudyClaim> claims =
        judge(
            run("rlvr-1", 0.4, 0.6, 2e-4, 0.02),
            run("rlvr-2", 0.41, 0.6, 2e-4, 0.02),
            run("sft", 0.6, 0.1, 8e-3, 2),
            run("sft-equal-norm", 0.35, 0.4, 1e-4, 0.02));
    assertThat(claims.get("learns").verdict()).isEqualTo(Verdict.SUPPORTED);
    assertThat(claims.get("sparser-than-sft").verdict()).isEqualTo(Verdict.SUPPORTED);
    // The drift is 40 times less than that of supervised fine-tuning at its usual rate, but twice
    // as much as at the same norm.
    assertThat(claims.get("drifts-less-than-sft").verdict()).isEqualTo(Verdict.CONTRADICTED);
    assertThat(claims.get("drifts-less-than-sft").seen()).contains("2.0", "8.0", "1.0");
    assertThat(claims.get("kl-leash").verdict()).isEqualTo(Verdict.EXPLAINED_BY_NULL);
    assertThat(claims.get("axes-decide").verdict()).isEqualTo(Verdict.SUPPORTED);
    assertThat(claims.get("bf16-hides").verdict()).isEqualTo(Verdict.SUPPORTED);
    // There are no claims about missing runs.
    assertThat(claims).doesNotContainKeys("safe-mask-matters", "pissa-degrades", "low-curvature");
    assertThat(claims.get("sparser-than-sft").plot().points())
        .hasSize(4)
        .allMatch(point -> point.nulls().equals(List.of(PERMUTED)));
  }

  @Test
  void whatTheMatchingExplainsIsNotSupported() {
    Map<String, StudyClaim> claims =
        judge(
            run("rlvr-1", 0.4, 0.6, 2e-4, 0.02),
            run("rlvr-2", 0.4, 0.6, 2e-4, 0.02),
            run("sft", 0.6, 0.1, 8e-3, 2),
            run("sft-equal-norm", 0.35, 0.6, 2e-4, 0.1));
    assertThat(claims.get("sparser-than-sft").verdict()).isEqualTo(Verdict.EXPLAINED_BY_NULL);
    assertThat(claims.get("drifts-less-than-sft").verdict()).isEqualTo(Verdict.EXPLAINED_BY_NULL);
    assertThat(claims.get("rotates-less-than-sft").verdict()).isEqualTo(Verdict.EXPLAINED_BY_NULL);
    assertThat(claims.get("kl-leash").verdict()).isEqualTo(Verdict.SUPPORTED);
  }

  @Test
  void singleRunsAreJudgedByWhatSeedsDifferBy() {
    StudyRun[] runs = {
      run("rlvr-1", 0.4, 0.6, 2e-4, 0.02),
      run("rlvr-2", 0.4, 0.6, 2e-4, 0.02),
      run("sft", 0.6, 0.1, 8e-3, 2),
      run("sft-equal-norm", 0.35, 0.6, 2e-4, 0.1),
      run("safe", 0.42, 0.6, 2e-4, 0.02),
      run("random-safe", 0.4, 0.6, 2e-4, 0.02),
      run("lora", 0.5, 0.6, 2e-4, 0.02),
      run("pissa", 0.4, 0.6, 2e-4, 0.02)
    };
    assertThat(judge(runs).get("safe-mask-matters").verdict()).isEqualTo(Verdict.SUPPORTED);
    assertThat(judge(runs).get("pissa-degrades").verdict()).isEqualTo(Verdict.SUPPORTED);
    // The seeds differ by as much as the masks do, so the claim is undetermined.
    runs[1] = run("rlvr-2", 0.38, 0.6, 2e-4, 0.02);
    assertThat(judge(runs).get("safe-mask-matters").verdict()).isEqualTo(Verdict.UNDETERMINED);
    assertThat(judge(runs).get("pissa-degrades").verdict()).isEqualTo(Verdict.SUPPORTED);
    assertThatThrownBy(() -> judge(runs[0])).hasMessageContaining("\"rlvr-2\"");
  }

  @Test
  void differencesArePaired() {
    Mean mean = Mean.ofPairs(new double[] {3, 5, 7}, new double[] {1, 2, 6});
    assertThat(mean.value()).isEqualTo(2);
    assertThat(mean.se()).isCloseTo(1 / Math.sqrt(3), within(1e-12));
    assertThat(mean.z()).isCloseTo(2 * Math.sqrt(3), within(1e-12));
    assertThat(Mean.ofPairs(new double[0], new double[0]).z()).isZero();
    assertThatThrownBy(() -> Mean.ofPairs(new double[1], new double[2]))
        .hasMessage("arrays of different lengths: 1 and 2");
  }
}
