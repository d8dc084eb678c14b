package org.threegate.analysis.study;

import java.util.function.ToDoubleFunction;
import org.threegate.analysis.statistics.SmallestEffect;

/**
 * A measure of runs.
 *
 * @param name name and unit, as in plots
 * @param scale scale of its effects: odds ratios for shares, ratios for others
 * @param format format of its values, such as {@code %.3f}
 * @param logarithmic whether plots use a logarithmic axis
 * @param value value of a run; NaN if it has none
 */
record RunMeasure(
    String name,
    SmallestEffect.Scale scale,
    String format,
    boolean logarithmic,
    ToDoubleFunction<StudyRun> value) {
  /** Returns a measure that is a share, from 0 to 1. */
  static RunMeasure share(String name, ToDoubleFunction<StudyRun> value) {
    return new RunMeasure(name, SmallestEffect.Scale.ODDS_RATIO, "%.3f", false, value);
  }

  /** Returns a positive measure of any size. */
  static RunMeasure size(String name, String format, ToDoubleFunction<StudyRun> value) {
    return new RunMeasure(name, SmallestEffect.Scale.RATIO, format, true, value);
  }

  double of(StudyRun run) {
    return value.applyAsDouble(run);
  }

  /** Returns the logarithm of a value, or of its odds; NaN if it is not finite. */
  double log(double of) {
    double log =
        scale == SmallestEffect.Scale.ODDS_RATIO ? Math.log(of) - Math.log1p(-of) : Math.log(of);
    return Double.isFinite(log) ? log : Double.NaN;
  }

  double bound() {
    return Math.log(SmallestEffect.DEFAULT.on(scale));
  }
}
