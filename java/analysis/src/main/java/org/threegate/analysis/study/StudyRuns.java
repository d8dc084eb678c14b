package org.threegate.analysis.study;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.function.Function;
import java.util.function.ToDoubleFunction;
import org.threegate.analysis.statistics.Finding;
import org.threegate.analysis.statistics.NullEstimate;
import org.threegate.analysis.statistics.Verdict;

/**
 * Access to the runs of a study for the claims.
 *
 * @param result measurements of the study
 */
record StudyRuns(StudyResult result) {
  static final String FIRST = "rlvr-1";
  static final String SECOND = "rlvr-2";
  static final String USUAL = "sft";
  static final String EQUAL_NORM = "sft-equal-norm";
  static final String SMALL =
      "The study uses one small model, one task and a hundred steps; magnitudes differ from those of large models.";

  StudyRun run(String id) {
    return find(id)
        .orElseThrow(() -> new IllegalArgumentException("the study has no run \"" + id + '"'));
  }

  Optional<StudyRun> find(String id) {
    return result.runs().stream().filter(run -> run.id().equals(id)).findFirst();
  }

  static String text(String format, Object... values) {
    return String.format(Locale.ROOT, format, values);
  }

  /** Returns the summary of a finding as a sentence. */
  static String seen(Finding finding) {
    return finding.seen().substring(0, 1).toUpperCase(Locale.ROOT) + finding.seen().substring(1);
  }

  List<StudyClaim.Point> points(Function<StudyRun, StudyClaim.Point> point) {
    return result.runs().stream().map(point).filter(each -> Double.isFinite(each.value())).toList();
  }

  static StudyClaim.Point point(StudyRun run, Mean mean, NullEstimate... nulls) {
    return new StudyClaim.Point(run.title(), mean.value(), mean.se(), List.of(nulls));
  }

  List<StudyClaim.Point> accuracies() {
    List<StudyClaim.Point> points = new ArrayList<>();
    Mean base = result.base().mean();
    points.add(new StudyClaim.Point("base", base.value(), base.se(), List.of()));
    points.addAll(points(run -> point(run, run.behaviour().stored().mean())));
    return points;
  }

  static double mean(StudyRun run, ToDoubleFunction<MatrixMeasures> measure) {
    return run.matrices().stream()
        .mapToDouble(measure)
        .filter(Double::isFinite)
        .average()
        .orElse(Double.NaN);
  }

  /** Judges whether the first run's measure lies above (sign 1) or below (−1) that of SFT. */
  Verdict above(int sign, ToDoubleFunction<MatrixMeasures> measure) {
    double usual = sign * Contrast.ofMatrices(run(FIRST), run(USUAL), measure).z();
    double matched = sign * Contrast.ofMatrices(run(FIRST), run(EQUAL_NORM), measure).z();
    return Contrast.verdict(usual, matched);
  }

  /**
   * Returns the difference of two single runs. Its error includes the difference between two seeds.
   */
  Mean betweenRuns(StudyRun first, StudyRun second) {
    Mean own = first.behaviour().stored().minus(second.behaviour().stored());
    Mean seeds = run(FIRST).behaviour().stored().minus(run(SECOND).behaviour().stored());
    double between = Math.max(0, seeds.value() * seeds.value() - seeds.se() * seeds.se());
    return new Mean(own.value(), Math.sqrt(own.se() * own.se() + between));
  }
}
