package org.threegate.analysis.compare;

import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Locale;
import java.util.function.Function;
import java.util.function.ToDoubleFunction;
import org.threegate.analysis.geometry.RescalingMeasure;
import org.threegate.analysis.geometry.TensorGeometry;
import org.threegate.analysis.geometry.TrivialCause;
import org.threegate.analysis.statistics.RescalingShare;

/**
 * A trivial cause of an update that is seen over a whole model: a change of dtype, a permutation or
 * a rescaling of the base. It says nothing about training, and verdicts are judged without it.
 *
 * @param id identifier, as in reports
 * @param text what was found, as a sentence
 * @param matrices number of matrices that have this cause
 * @param of number of matrices that were measured
 * @param share share of ‖ΔW‖² that the cause explains, over the measured matrices
 * @param chance share that noise would have
 */
public record Cause(String id, String text, int matrices, int of, double share, double chance) {
  /** Share beyond chance from which a cause is worth a sentence. */
  private static final double LEAST_SHARE = 0.01;

  /** Standard deviations from which a share counts. */
  private static final double LEAST_Z = 3;

  /**
   * {@return the trivial causes that explain at least a hundredth of an update}
   *
   * @param geometries geometries of its matrices
   */
  public static List<Cause> of(Collection<TensorGeometry> geometries) {
    List<TensorGeometry> measured =
        geometries.stream().filter(own -> own.spectrumOmitted().isEmpty()).toList();
    List<Cause> causes = new ArrayList<>();
    for (TrivialCause cause : TrivialCause.values()) {
      int count =
          (int)
              measured.stream()
                  .filter(own -> own.causes().whole().filter(one -> one == cause).isPresent())
                  .count();
      if (count > 0) {
        causes.add(
            new Cause(
                cause.id(),
                String.format(
                    Locale.ROOT,
                    "The update of %d of %d matrices is %s",
                    count,
                    measured.size(),
                    cause.label()),
                count,
                measured.size(),
                1,
                0));
      }
    }
    term(causes, measured, "weight-decay", Cause::common, RescalingMeasure::common);
    term(causes, measured, "row-rescaling", own -> "a rescaling of rows", RescalingMeasure::rows);
    term(
        causes,
        measured,
        "column-rescaling",
        own -> "a rescaling of columns",
        RescalingMeasure::columns);
    return List.copyOf(causes);
  }

  /** Describes a factor that all entries share, by its mean over matrices. */
  private static String common(List<RescalingMeasure> measures) {
    double factor =
        measures.stream().mapToDouble(RescalingMeasure::factor).average().orElse(Double.NaN);
    return String.format(
        Locale.ROOT,
        factor < 0
            ? "a common factor, such as weight decay, of 1 − %.2g"
            : "a common factor of 1 + %.2g",
        Math.abs(factor));
  }

  private static void term(
      List<Cause> causes,
      List<TensorGeometry> measured,
      String id,
      Function<List<RescalingMeasure>, String> name,
      Function<RescalingMeasure, RescalingShare> part) {
    List<TensorGeometry> fitted =
        measured.stream().filter(own -> own.causes().rescaling().isPresent()).toList();
    double whole = sum(fitted, own -> 1);
    double share = sum(fitted, own -> part.apply(own).value()) / whole;
    double chance = sum(fitted, own -> part.apply(own).noise()) / whole;
    double error =
        Math.sqrt(
                fitted.stream()
                    .mapToDouble(
                        own ->
                            Math.pow(
                                squares(own)
                                    * part.apply(own.causes().rescaling().orElseThrow()).error(),
                                2))
                    .sum())
            / whole;
    if (!(share - chance >= LEAST_SHARE) || share - chance < LEAST_Z * error) {
      return;
    }
    List<RescalingMeasure> measures =
        fitted.stream().map(own -> own.causes().rescaling().orElseThrow()).toList();
    int count = (int) measures.stream().filter(own -> part.apply(own).z() >= LEAST_Z).count();
    causes.add(
        new Cause(
            id,
            String.format(
                Locale.ROOT,
                "%.3g %% of the update is %s (noise would give %.2g %%; %d of %d matrices)",
                100 * share,
                name.apply(measures),
                100 * chance,
                count,
                measured.size()),
            count,
            measured.size(),
            share,
            chance));
  }

  private static double squares(TensorGeometry geometry) {
    return geometry.spectra().get(0).geometry().energy().total();
  }

  private static double sum(List<TensorGeometry> fitted, ToDoubleFunction<RescalingMeasure> share) {
    return fitted.stream()
        .mapToDouble(
            own -> squares(own) * share.applyAsDouble(own.causes().rescaling().orElseThrow()))
        .sum();
  }
}
