package org.threegate.analysis.study;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import java.util.TreeSet;
import java.util.function.Function;
import java.util.function.ToDoubleFunction;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.threegate.analysis.statistics.Finding;
import org.threegate.analysis.statistics.NullEstimate;

/**
 * Access to the runs of a study for the claims.
 *
 * @param result measurements of the study
 */
record StudyRuns(StudyResult result) {
  static final String RLVR = "rlvr";
  static final String USUAL = "sft";
  static final String EQUAL_NORM = "sft-equal-norm";
  static final String REJECTION = "rejection";

  /** Reinforcement at a lower rate. */
  static final String SLOW = "rlvr-slow";

  static final RunMeasure ACCURACY =
      RunMeasure.share("pass@1, held out", run -> run.behaviour().stored().mean().value());

  /** Returns the runs of a way of training, by seed. */
  List<StudyRun> arm(String arm) {
    List<StudyRun> runs = result.arm(arm);
    if (runs.isEmpty()) {
      throw new IllegalArgumentException("the study has no run of \"" + arm + '"');
    }
    return runs;
  }

  boolean has(String... arms) {
    return Arrays.stream(arms).noneMatch(arm -> result.arm(arm).isEmpty());
  }

  StudyRun first() {
    return arm(RLVR).get(0);
  }

  String title(String arm) {
    return arm(arm).get(0).recipe().title();
  }

  static String text(String format, Object... values) {
    return String.format(Locale.ROOT, format, values);
  }

  /** Returns the summary of a finding as a sentence. */
  static String seen(Finding finding) {
    return finding.seen().substring(0, 1).toUpperCase(Locale.ROOT) + finding.seen().substring(1);
  }

  /** Returns the limits of the evidence of this study, after those of a claim. */
  String limits(String own) {
    List<String> sentences = new ArrayList<>();
    if (!own.isEmpty()) {
      sentences.add(own);
    }
    long steps = first().steps();
    sentences.add(
        text(
            "The model has %.2f million weights and is tuned for %d %s of reinforcement learning, so magnitudes differ from those of large models.",
            result.weights() * 1e-6, steps, steps == 1 ? "step" : "steps"));
    if (result.quick()) {
      sentences.add(
          text(
              "This quick study has %d held-out problems and %d seeds. A full study has more seeds, steps and problems, so its verdict may differ.",
              result.base().shares().length, arm(RLVR).size()));
    }
    return String.join(" ", sentences);
  }

  /** Returns the controls that decide whether reinforcement differs from supervision. */
  List<String> matchedControls() {
    return Stream.of(EQUAL_NORM, REJECTION).filter(this::has).toList();
  }

  /** Returns what the control by rejection sampling means, if there is one. */
  String ofData() {
    return has(REJECTION)
        ? "Rejection sampling has a supervised loss on samples of the policy, which are the data of reinforcement learning. Where it matches, such data is the cause to test, and not the objective."
        : "There is no run of rejection sampling, the control with the same data and a supervised loss.";
  }

  /**
   * Returns the contrasts of reinforcement with supervision: the usual control, and the matched
   * ones.
   */
  List<Contrast> ofSupervision(RunMeasure measure) {
    List<Contrast> contrasts = new ArrayList<>();
    if (has(USUAL)) {
      contrasts.add(between(measure, RLVR, USUAL, false));
    }
    matchedControls().forEach(control -> contrasts.add(between(measure, RLVR, control, true)));
    return contrasts;
  }

  /**
   * Returns the difference of two ways of training. Runs that draw the same prompts in the same
   * order are paired by seed. Others are independent.
   */
  Contrast between(RunMeasure measure, String own, String other, boolean matched) {
    ToDoubleFunction<StudyRun> value = run -> measure.log(measure.of(run));
    if (!drawsPrompts(own) || !drawsPrompts(other)) {
      return Contrast.independent(
          title(other),
          matched,
          arm(own).stream().mapToDouble(value).toArray(),
          arm(other).stream().mapToDouble(value).toArray());
    }
    return Contrast.paired(
        title(other),
        matched,
        arm(own).stream()
            .flatMap(
                one ->
                    arm(other).stream()
                        .filter(two -> two.recipe().seed() == one.recipe().seed())
                        .map(two -> value.applyAsDouble(one) - value.applyAsDouble(two)))
            .mapToDouble(Double::doubleValue)
            .toArray());
  }

  private static boolean drawsPrompts(String arm) {
    return !arm.startsWith(USUAL);
  }

  /**
   * Returns the contrasts of a measure of matrices. Each run has one value: the geometric mean over
   * the matrices in which the measure is finite in all runs of both ways.
   */
  List<Contrast> ofMatrices(String name, ToDoubleFunction<MatrixMeasures> measure) {
    List<Contrast> contrasts = new ArrayList<>();
    withControls().stream()
        .skip(1)
        .forEach(
            other -> {
              Set<String> common =
                  common(Stream.concat(arm(RLVR).stream(), arm(other).stream()).toList(), measure);
              RunMeasure mean =
                  RunMeasure.size(name, "%.2e", run -> geometricMean(run, common, measure));
              contrasts.add(between(mean, RLVR, other, !other.equals(USUAL)));
            });
    return contrasts;
  }

  private static Set<String> common(List<StudyRun> runs, ToDoubleFunction<MatrixMeasures> measure) {
    Set<String> common = new TreeSet<>();
    runs.get(0).matrices().forEach(matrix -> common.add(matrix.name()));
    for (StudyRun run : runs) {
      common.retainAll(
          run.matrices().stream()
              .filter(matrix -> Double.isFinite(Math.log(measure.applyAsDouble(matrix))))
              .map(MatrixMeasures::name)
              .collect(Collectors.toSet()));
    }
    return common;
  }

  private static double geometricMean(
      StudyRun run, Set<String> names, ToDoubleFunction<MatrixMeasures> measure) {
    return Math.exp(
        run.matrices().stream()
            .filter(matrix -> names.contains(matrix.name()))
            .mapToDouble(matrix -> Math.log(measure.applyAsDouble(matrix)))
            .average()
            .orElse(Double.NaN));
  }

  /** Returns the difference in accuracy, with at least the error that problems cause. */
  Contrast ofAccuracy(String own, String other, boolean matched) {
    double[] first = shares(arm(own));
    double[] second = shares(arm(other));
    return between(ACCURACY, own, other, matched).withErrorOf(errorOfProblems(first, second));
  }

  /** Returns the gain in accuracy over the base. */
  Contrast gain() {
    double base = ACCURACY.log(result.base().mean().value());
    double[] gains =
        arm(RLVR).stream().mapToDouble(run -> ACCURACY.log(ACCURACY.of(run)) - base).toArray();
    return Contrast.paired("the base", true, gains)
        .withErrorOf(errorOfProblems(shares(arm(RLVR)), result.base().shares()));
  }

  private static double[] shares(List<StudyRun> runs) {
    double[] mean = runs.get(0).behaviour().stored().shares();
    for (StudyRun run : runs.subList(1, runs.size())) {
      double[] own = run.behaviour().stored().shares();
      Arrays.setAll(mean, i -> mean[i] + own[i]);
    }
    Arrays.setAll(mean, i -> mean[i] / runs.size());
    return mean;
  }

  /** The error of the difference of log odds, to first order. */
  private static double errorOfProblems(double[] first, double[] second) {
    double mean =
        (Arrays.stream(first).average().orElse(Double.NaN)
                + Arrays.stream(second).average().orElse(Double.NaN))
            / 2;
    return Mean.ofPairs(first, second).se() / (mean * (1 - mean));
  }

  /** Returns the mean of a measure over the seeds of a way of training. */
  double mean(RunMeasure measure, String arm) {
    return over(measure, arm(arm)).value();
  }

  private static Mean over(RunMeasure measure, List<StudyRun> runs) {
    double[] values = runs.stream().mapToDouble(measure::of).filter(Double::isFinite).toArray();
    Mean mean = Mean.ofPairs(values, new double[values.length]);
    return values.length > 1 ? mean : Mean.certain(mean.value());
  }

  /** Returns the values of ways of training as a sentence. */
  String values(RunMeasure measure, List<String> arms) {
    List<String> values = new ArrayList<>();
    for (String arm : arms) {
      double mean = mean(measure, arm);
      values.add(
          (Double.isNaN(mean) ? "undefined" : text(measure.format(), mean))
              + " ("
              + title(arm)
              + ")");
    }
    return text("%s, mean over seeds: %s.", measure.name(), String.join(", ", values));
  }

  /** Returns reinforcement and its controls. */
  List<String> withControls() {
    return Stream.concat(Stream.of(RLVR, USUAL).filter(this::has), matchedControls().stream())
        .toList();
  }

  /**
   * Returns a plot with one point for each way of training.
   *
   * @param nulls null models of one run
   */
  StudyClaim.Plot plot(RunMeasure measure, Function<StudyRun, List<NullEstimate>> nulls) {
    List<StudyClaim.Point> points = new ArrayList<>();
    for (List<StudyRun> runs : mainArms()) {
      Mean mean = over(measure, runs);
      if (Double.isFinite(mean.value())) {
        points.add(
            new StudyClaim.Point(
                runs.get(0).recipe().title(),
                mean.value(),
                mean.se(),
                averaged(runs.stream().flatMap(run -> nulls.apply(run).stream()).toList())));
      }
    }
    return new StudyClaim.Plot(measure.name(), measure.scale(), measure.logarithmic(), points);
  }

  /** Returns the ways of training without those of variations. */
  private List<List<StudyRun>> mainArms() {
    return result.arms().stream()
        .filter(runs -> runs.get(0).recipe().variation().isEmpty())
        .toList();
  }

  /** Averages null models of the same name over runs. */
  private static List<NullEstimate> averaged(List<NullEstimate> all) {
    return all.stream()
        .map(NullEstimate::model)
        .distinct()
        .map(
            model -> {
              List<NullEstimate> own =
                  all.stream().filter(estimate -> estimate.model().equals(model)).toList();
              return NullEstimate.analytic(
                  model,
                  own.stream().mapToDouble(NullEstimate::mean).average().orElse(Double.NaN),
                  own.stream().mapToDouble(NullEstimate::sd).average().orElse(Double.NaN));
            })
        .toList();
  }

  /** Returns the plot of accuracies, with the base. */
  StudyClaim.Plot accuracies() {
    StudyClaim.Plot plot = plot(ACCURACY, run -> List.of());
    List<StudyClaim.Point> points = new ArrayList<>();
    Mean base = result.base().mean();
    points.add(new StudyClaim.Point("base", base.value(), base.se(), List.of()));
    points.addAll(plot.points());
    return new StudyClaim.Plot(plot.measure(), plot.scale(), false, points);
  }
}
