package org.threegate.analysis.study;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.function.Function;
import java.util.function.ToDoubleFunction;
import java.util.stream.Stream;
import org.threegate.analysis.statistics.Agreement;
import org.threegate.analysis.statistics.Finding;
import org.threegate.analysis.statistics.NullEstimate;
import org.threegate.analysis.statistics.Verdict;

/**
 * The claims of arXiv 2511.08567 put to the runs of a study. What the paper compares at usual rates
 * is compared at matched ones, too, and the matched comparison decides; what it says of one update
 * is held against null models, and both seeds have to agree.
 *
 * <pre>{@code
 * for (StudyClaim claim : StudyClaims.judge(result)) {
 *   System.out.println(claim.verdict().label() + ": " + claim.statement());
 * }
 * }</pre>
 */
public final class StudyClaims {
  private static final String FIRST = "rlvr-1";
  private static final String SECOND = "rlvr-2";
  private static final String USUAL = "sft";
  private static final String EQUAL_NORM = "sft-equal-norm";
  private static final String SMALL =
      "One small model, one task, a hundred steps: magnitudes are not those of large models.";

  private final StudyResult result;
  private final List<StudyClaim> claims = new ArrayList<>();

  private StudyClaims(StudyResult result) {
    this.result = result;
  }

  /** All claims that the runs can say something about, in the order of the paper. */
  public static List<StudyClaim> judge(StudyResult result) {
    StudyClaims judged = new StudyClaims(result);
    judged.learning();
    judged.sparsity();
    judged.hiding();
    judged.nss();
    judged.rotation();
    judged.ofOneUpdate();
    judged.seeds();
    judged.axes();
    judged.divergence();
    judged.curvature();
    judged.masks();
    judged.adapters();
    return List.copyOf(judged.claims);
  }

  private StudyRun run(String id) {
    return find(id)
        .orElseThrow(() -> new IllegalArgumentException("a study without a run \"" + id + '"'));
  }

  private Optional<StudyRun> find(String id) {
    return result.runs().stream().filter(run -> run.id().equals(id)).findFirst();
  }

  private static String text(String format, Object... values) {
    return String.format(Locale.ROOT, format, values);
  }

  private void add(
      String id,
      String source,
      String statement,
      Verdict verdict,
      String seen,
      String limits,
      String measure,
      boolean logarithmic,
      List<StudyClaim.Point> points) {
    claims.add(
        new StudyClaim(id, source, statement, verdict, seen, limits, measure, logarithmic, points));
  }

  private List<StudyClaim.Point> points(Function<StudyRun, StudyClaim.Point> point) {
    return result.runs().stream().map(point).filter(each -> Double.isFinite(each.value())).toList();
  }

  private static StudyClaim.Point point(StudyRun run, StudyRun.Mean mean, NullEstimate... nulls) {
    return new StudyClaim.Point(run.title(), mean.value(), mean.se(), List.of(nulls));
  }

  private static StudyRun.Mean certain(double value) {
    return new StudyRun.Mean(value, Double.NaN);
  }

  private List<StudyClaim.Point> accuracies() {
    List<StudyClaim.Point> points = new ArrayList<>();
    StudyRun.Mean base = result.base().mean();
    points.add(new StudyClaim.Point("base", base.value(), base.se(), List.of()));
    points.addAll(points(run -> point(run, run.stored().mean())));
    return points;
  }

  private void learning() {
    StudyRun.Mean one = run(FIRST).stored().minus(result.base());
    StudyRun.Mean two = run(SECOND).stored().minus(result.base());
    double z = Math.min(Contrast.z(one), Contrast.z(two));
    add(
        "learns",
        "premise",
        "Reinforcement with verifiable rewards raises accuracy on problems that the model has not seen",
        Contrast.verdict(z),
        text(
            "pass@1 of the base is %.3f; the two seeds add %.3f ± %.3f and %.3f ± %.3f, problem by problem.",
            result.base().mean().value(), one.value(), one.se(), two.value(), two.se()),
        "What is learnt here is to say what the model knows already: the base is right in most of many tries.",
        "pass@1, held out",
        false,
        accuracies());
  }

  /** Whether the first run's measure lies above (sign 1) or below (−1) that of SFT. */
  private Verdict above(int sign, ToDoubleFunction<MatrixMeasures> measure) {
    double usual = sign * Contrast.z(Contrast.ofMatrices(run(FIRST), run(USUAL), measure));
    double matched = sign * Contrast.z(Contrast.ofMatrices(run(FIRST), run(EQUAL_NORM), measure));
    return Contrast.verdict(usual, matched);
  }

  private static double mean(StudyRun run, ToDoubleFunction<MatrixMeasures> measure) {
    return run.matrices().stream()
        .mapToDouble(measure)
        .filter(Double::isFinite)
        .average()
        .orElse(Double.NaN);
  }

  private void sparsity() {
    StudyRun own = run(FIRST);
    double usual = run(USUAL).totals().sparsity();
    double equal = run(EQUAL_NORM).totals().sparsity();
    double sparsity = own.totals().sparsity();
    add(
        "sparser-than-sft",
        "section 2, table 1",
        "Reinforcement changes fewer bf16 weights than supervision does",
        above(1, MatrixMeasures::sparsity),
        text(
            "Sparsity is %.3f against %.3f of SFT at its usual rate and %.3f at the same ‖ΔW‖; the entries of the same float32 update at random places give %.3f, so the number follows from how far weights move, not from which. Coherence (how far of lr·T·√N the weights got) is %.2f against %.2f.",
            sparsity,
            usual,
            equal,
            own.sparsityPermuted().mean(),
            own.coherence(),
            run(EQUAL_NORM).coherence()),
        SMALL + " Sparsity depends on rate times steps before anything else.",
        "share of unchanged bf16 weights",
        false,
        points(run -> point(run, certain(run.totals().sparsity()), run.sparsityPermuted())));
  }

  private void hiding() {
    StudyRun own = run(FIRST);
    StudyRun.Mean lost = own.exact().minus(own.stored());
    double hidden = own.hidden() / (double) own.totals().total();
    add(
        "bf16-hides",
        "section 3.3, Gate III",
        "Rounding to bf16 hides most of what reinforcement changes",
        own.hidden() > own.totals().changed() ? Verdict.SUPPORTED : Verdict.CONTRADICTED,
        text(
            "%.1f %% of the weights changed in float32 alone, %.1f %% in bf16, too; accuracy of the float32 masters is %.3f, after rounding %.3f (difference %.3f ± %.3f).",
            100 * hidden,
            100 * (1 - own.totals().sparsity()),
            own.exact().mean().value(),
            own.stored().mean().value(),
            lost.value(),
            lost.se()),
        "Which part is hidden is set by the rate: at 1e-6 nearly all of it.",
        "share of weights that changed in float32 alone",
        false,
        points(run -> point(run, certain(run.hidden() / (double) run.totals().total()))));
  }

  private String geometry(
      String name,
      ToDoubleFunction<MatrixMeasures> measure,
      ToDoubleFunction<MatrixMeasures> turned) {
    StudyRun own = run(FIRST);
    return text(
        "%s is %s (mean of matrices), %s of SFT at its usual rate, %s at the same ‖ΔW‖; the same singular values in random directions give %s.",
        name,
        known(mean(own, measure)),
        known(mean(run(USUAL), measure)),
        known(mean(run(EQUAL_NORM), measure)),
        known(mean(own, turned)));
  }

  /** There is no matrix left where gaps decide all angles. */
  private static String known(double value) {
    return Double.isNaN(value) ? "decided by the gap in every matrix" : text("%.2e", value);
  }

  private void nss() {
    add(
        "drifts-less-than-sft",
        "section 4.1",
        "Reinforcement keeps singular values where they are, and supervision does not",
        above(-1, matrix -> Math.log(matrix.nss())),
        geometry("NSS", MatrixMeasures::nss, MatrixMeasures::nssNull),
        SMALL,
        "spectral drift NSS",
        true,
        points(
            run ->
                point(
                    run,
                    certain(mean(run, MatrixMeasures::nss)),
                    NullEstimate.analytic(
                        "spectrum-preserving", mean(run, MatrixMeasures::nssNull), Double.NaN))));
  }

  private static double angle(MatrixMeasures matrix) {
    return matrix.gapLimited() ? Double.NaN : matrix.angle();
  }

  private static double angleNull(MatrixMeasures matrix) {
    return matrix.gapLimited() ? Double.NaN : matrix.angleNull();
  }

  private void rotation() {
    add(
        "rotates-less-than-sft",
        "section 4.1",
        "Reinforcement turns leading subspaces less than supervision does",
        above(-1, matrix -> Math.log(angle(matrix))),
        geometry("The largest angle", StudyClaims::angle, StudyClaims::angleNull),
        SMALL + " Matrices whose gap decides the angle are left out, of each run its own.",
        "largest principal angle, radians",
        true,
        points(
            run ->
                point(
                    run,
                    certain(mean(run, StudyClaims::angle)),
                    NullEstimate.analytic(
                        "spectrum-preserving", mean(run, StudyClaims::angleNull), Double.NaN))));
  }

  /** Claims about where one update lies: both seeds have to say the same. */
  private void ofOneUpdate() {
    both(
        "preserves-spectrum",
        "section 4.1",
        "The update preserves singular values better than random ones of its norm",
        "spectral drift NSS",
        true);
    both(
        "avoids-principal-weights",
        "section 4.2, figure 5",
        "The update avoids principal weights",
        "overlap with M_princ",
        false);
    both(
        "prefers-small-weights",
        "section 4.2, figure 5",
        "The update prefers small weights",
        "overlap with M_low",
        false);
    both(
        "avoids-principal-directions",
        "section 4, Gate II",
        "The update avoids the principal directions",
        "share of energy in the leading directions",
        true);
  }

  private void both(
      String id, String source, String statement, String measure, boolean logarithmic) {
    Optional<Finding> one = run(FIRST).finding(id);
    Optional<Finding> two = run(SECOND).finding(id);
    if (one.isEmpty() || two.isEmpty()) {
      return;
    }
    Verdict verdict =
        one.get().verdict() == two.get().verdict() ? one.get().verdict() : Verdict.UNDETERMINED;
    String masks =
        id.equals("avoids-principal-weights")
            ? text(
                " Of the half of entries that moved farthest %.3f are principal (chance 0.5).",
                run(FIRST).principalOfLargest())
            : id.equals("prefers-small-weights")
                ? text(
                    " Of the half of entries that moved farthest %.3f are small (chance 0.5).",
                    run(FIRST).lowOfLargest())
                : "";
    add(
        id,
        source,
        statement,
        verdict,
        said(one.get()) + " Seed 2: " + two.get().verdict().label() + "." + masks,
        SMALL,
        measure,
        logarithmic,
        points(
            run ->
                run.finding(id)
                    .filter(finding -> finding.evidence().matrices() > 0)
                    .map(finding -> point(run, finding))
                    .orElse(point(run, certain(Double.NaN)))));
  }

  /** What a finding says behind its claim. */
  private static String said(Finding finding) {
    String text = finding.text().substring(finding.text().indexOf(": ") + 2);
    return text.substring(0, 1).toUpperCase(Locale.ROOT) + text.substring(1);
  }

  private static StudyClaim.Point point(StudyRun run, Finding finding) {
    Finding.Evidence evidence = finding.evidence();
    List<NullEstimate> nulls = new ArrayList<>();
    nulls.add(NullEstimate.analytic("strictest null", evidence.nullMean(), Double.NaN));
    evidence
        .naiveMean()
        .ifPresent(mean -> nulls.add(NullEstimate.analytic("chance", mean, Double.NaN)));
    return new StudyClaim.Point(run.title(), evidence.observed(), Double.NaN, nulls);
  }

  private static Agreement sum(Stream<Agreement> agreements) {
    return agreements.reduce(Agreement.NONE, Agreement::plus);
  }

  private static StudyClaim.Point point(String label, Agreement agreement) {
    return new StudyClaim.Point(
        label,
        agreement.jaccard(),
        Double.NaN,
        List.of(
            NullEstimate.analytic(
                "magnitude-matched", agreement.magnitudeJaccard(), agreement.magnitudeSd()),
            NullEstimate.analytic("independent", agreement.bernoulliJaccard(), Double.NaN)));
  }

  private void seeds() {
    for (Finding finding : result.consensus()) {
      add(
          "seeds-agree",
          "section 2.2, table 2",
          "Two seeds change the same weights",
          finding.verdict(),
          said(finding),
          SMALL + " Both seeds learn one task.",
          "Jaccard index of the changed entries",
          false,
          List.of(point("two seeds, all matrices", sum(result.seeds().values().stream()))));
    }
  }

  private Agreement of(Map<String, Agreement> agreements, boolean turned) {
    return sum(
        agreements.entrySet().stream()
            .filter(entry -> result.rotatedMatrices().contains(entry.getKey()) == turned)
            .map(Map.Entry::getValue));
  }

  private static double excess(Agreement agreement) {
    return agreement.jaccard() - agreement.magnitudeJaccard();
  }

  /** What other axes take away of the agreement, matrix by matrix. */
  private void axes() {
    if (result.rotated().isEmpty()) {
      return;
    }
    List<double[]> turned = new ArrayList<>();
    List<double[]> others = new ArrayList<>();
    result
        .seeds()
        .forEach(
            (name, agreement) -> {
              double[] pair = {excess(agreement), excess(result.rotated().get(name))};
              (result.rotatedMatrices().contains(name) ? turned : others).add(pair);
            });
    StudyRun.Mean lost = Contrast.pairedMean(column(turned, 0), column(turned, 1));
    StudyRun.Mean elsewhere = Contrast.pairedMean(column(others, 0), column(others, 1));
    double error = Math.hypot(lost.se(), elsewhere.se());
    StudyRun.Mean difference = new StudyRun.Mean(lost.value() - elsewhere.value(), error);
    Agreement same = of(result.seeds(), true);
    Agreement after = of(result.rotated(), true);
    add(
        "axes-decide",
        "section 4.3",
        "Which weights change is decided by the axes that the weights are written in",
        Contrast.verdict(Contrast.z(difference)),
        text(
            "In the %d matrices that were rotated the seeds' Jaccard index falls from %.3f (magnitude alone: %.3f) to %.3f (%.3f), elsewhere from %.3f to %.3f.",
            turned.size(),
            same.jaccard(),
            same.magnitudeJaccard(),
            after.jaccard(),
            after.magnitudeJaccard(),
            of(result.seeds(), false).jaccard(),
            of(result.rotated(), false).jaccard()),
        "Rotations do not leave Adam, whose steps are taken axis by axis, as it was: the optimizer's axes explain this as well as the model's geometry does.",
        "Jaccard index of the changed entries",
        false,
        List.of(
            point("rotated matrices, same base", same),
            point("rotated matrices, rotated base", after),
            point("others, same base", of(result.seeds(), false)),
            point("others, rotated base", of(result.rotated(), false))));
  }

  private static double[] column(List<double[]> rows, int column) {
    return rows.stream().mapToDouble(row -> row[column]).toArray();
  }

  private static StudyRun.Mean difference(StudyRun.Mean first, StudyRun.Mean second) {
    return new StudyRun.Mean(first.value() - second.value(), Math.hypot(first.se(), second.se()));
  }

  private void divergence() {
    StudyRun own = run(FIRST);
    StudyRun.Mean usual = difference(run(USUAL).klPerToken(), own.klPerToken());
    StudyRun.Mean matched = difference(run(EQUAL_NORM).klPerToken(), own.klPerToken());
    add(
        "kl-leash",
        "section 3.1, Gate I",
        "Reinforcement stays closer to the base's distribution than supervision does",
        Contrast.verdict(Contrast.z(usual), Contrast.z(matched)),
        text(
            "KL(base ‖ tuned) is %.4f ± %.4f nats a token, %.4f ± %.4f of SFT at its usual rate and %.4f ± %.4f at the same ‖ΔW‖; ½ΔᵀFΔ of the linear layers predicts %.4f for reinforcement.",
            own.klPerToken().value(),
            own.klPerToken().se(),
            run(USUAL).klPerToken().value(),
            run(USUAL).klPerToken().se(),
            run(EQUAL_NORM).klPerToken().value(),
            run(EQUAL_NORM).klPerToken().se(),
            own.klPredicted().map(StudyRun.Mean::value).orElse(Double.NaN)),
        "The other style of answers is part of what supervision had to learn.",
        "KL(base ‖ tuned), nats a token",
        true,
        points(
            run ->
                point(
                    run,
                    run.klPerToken(),
                    run.klPredicted()
                        .map(
                            predicted ->
                                new NullEstimate[] {
                                  NullEstimate.analytic("½ΔᵀFΔ", predicted.value(), predicted.se())
                                })
                        .orElse(new NullEstimate[0]))));
  }

  private void curvature() {
    for (Finding finding : result.curvature()) {
      add(
          finding.id(),
          "section 3.2",
          finding.id().equals("low-curvature")
              ? "The update avoids directions of high curvature"
              : "The principal part of the update meets more curvature than the rest of it",
          finding.verdict(),
          said(finding),
          SMALL + " Each layer is measured by itself.",
          "curvature of a unit step along it",
          true,
          result.curvatureAlong().entrySet().stream()
              .map(
                  along ->
                      new StudyClaim.Point(along.getKey(), along.getValue(), Double.NaN, List.of()))
              .toList());
    }
  }

  /** A difference of single runs: what two seeds differ by counts as its error, too. */
  private StudyRun.Mean betweenRuns(StudyRun first, StudyRun second) {
    StudyRun.Mean own = first.stored().minus(second.stored());
    StudyRun.Mean seeds = run(FIRST).stored().minus(run(SECOND).stored());
    double between = Math.max(0, seeds.value() * seeds.value() - seeds.se() * seeds.se());
    return new StudyRun.Mean(own.value(), Math.sqrt(own.se() * own.se() + between));
  }

  private void masks() {
    mask(
        "safe-mask-matters",
        "safe",
        "random-safe",
        1,
        "Training only weights that are small or not principal works better than training as many others");
    mask(
        "principal-mask-hurts",
        "principal",
        "random-half",
        -1,
        "Training only principal weights works worse than training as many others");
  }

  private void mask(String id, String masked, String random, int sign, String statement) {
    if (find(masked).isEmpty() || find(random).isEmpty()) {
      return;
    }
    StudyRun own = run(masked);
    StudyRun.Mean usual = betweenRuns(own, run(FIRST));
    StudyRun.Mean matched = betweenRuns(own, run(random));
    add(
        id,
        "section 5, table 4",
        statement,
        Contrast.verdict(sign * Contrast.z(usual), sign * Contrast.z(matched)),
        text(
            "With %.0f %% of the weights pass@1 is %.3f; with as many at random places %.3f (difference %.3f ± %.3f), with all %.3f.",
            100 * own.trainable(),
            own.stored().mean().value(),
            run(random).stored().mean().value(),
            matched.value(),
            matched.se(),
            run(FIRST).stored().mean().value()),
        "One run each; errors count what two seeds differ by.",
        "pass@1, held out",
        false,
        accuracies());
  }

  private void adapters() {
    if (find("lora").isEmpty() || find("pissa").isEmpty()) {
      return;
    }
    StudyRun.Mean difference = betweenRuns(run("lora"), run("pissa"));
    add(
        "pissa-degrades",
        "section 5, figure 10",
        "Adapters that begin in the principal directions do worse than those that do not",
        Contrast.verdict(Contrast.z(difference)),
        text(
            "At one rate and rank pass@1 is %.3f with LoRA and %.3f with PiSSA (difference %.3f ± %.3f); KL from the base %.3f and %.3f nats a token.",
            run("lora").stored().mean().value(),
            run("pissa").stored().mean().value(),
            difference.value(),
            difference.se(),
            run("lora").klPerToken().value(),
            run("pissa").klPerToken().value()),
        "One run each at one rate: PiSSA's factors are larger, so that the same rate moves weights farther.",
        "pass@1, held out",
        false,
        accuracies());
  }
}
