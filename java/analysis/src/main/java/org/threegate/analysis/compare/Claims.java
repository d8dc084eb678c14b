package org.threegate.analysis.compare;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.function.Function;
import java.util.stream.IntStream;
import org.threegate.analysis.diff.TensorDiff;
import org.threegate.analysis.geometry.Geometry;
import org.threegate.analysis.geometry.MaskMeasure;
import org.threegate.analysis.geometry.Overlap;
import org.threegate.analysis.geometry.SpectrumMeasure;
import org.threegate.analysis.geometry.TensorGeometry;
import org.threegate.analysis.geometry.TrivialCause;
import org.threegate.analysis.nullmodel.NullDraws;
import org.threegate.analysis.nullmodel.NullModel;
import org.threegate.analysis.statistics.Against;
import org.threegate.analysis.statistics.Claim;
import org.threegate.analysis.statistics.Effect;
import org.threegate.analysis.statistics.Finding;
import org.threegate.analysis.statistics.Judge;
import org.threegate.analysis.statistics.NullEstimate;
import org.threegate.analysis.statistics.SmallestEffect;

/**
 * Tests the claims of arXiv 2511.08567 about the location of an update on each matrix, with the
 * applicable null models. Every requested rank and mask is judged.
 *
 * <pre>{@code
 * for (Finding finding : Claims.judge(outcome.tensors(), outcome.geometry())) {
 *   System.out.println(finding.verdict().label() + ": " + finding.text());
 * }
 * }</pre>
 */
public final class Claims {
  private static final String NOT_MEASURED =
      "did not converge, or have rescalings that cannot be taken out";

  private final List<Measured> found;
  private final List<Measured> all;

  /** Takes out the updates that a trivial cause explains as a whole. */
  private Claims(List<Measured> found) {
    this.found = found;
    this.all = found.stream().filter(own -> own.geometry().causes().whole().isEmpty()).toList();
  }

  /** A matrix with a measured geometry. */
  private record Measured(TensorDiff diff, TensorGeometry geometry) {
    int ranks() {
      return geometry.spectra().size();
    }

    /** Returns the overlap for an alpha and a rank, by their places in the options. */
    Optional<MaskMeasure> mask(int alpha, int rank) {
      int index = alpha * ranks() + rank;
      return rank < ranks() && index < geometry.masks().size()
          ? Optional.of(geometry.masks().get(index))
          : Optional.empty();
    }

    /** Returns the measures on which claims about directions are judged. */
    Optional<SpectrumMeasure> spectrum(int rank) {
      List<SpectrumMeasure> judged = geometry.judged();
      return rank < judged.size() ? Optional.of(judged.get(rank)) : Optional.empty();
    }
  }

  /**
   * Judges all claims together, with the default smallest effects of interest.
   *
   * @param tensors diffs of the tensors
   * @param geometry geometry by name of the tensor
   * @return one finding per claim
   */
  public static List<Finding> judge(
      List<TensorDiff> tensors, Map<String, TensorGeometry> geometry) {
    return judge(tensors, geometry, SmallestEffect.DEFAULT);
  }

  /**
   * Judges all claims together.
   *
   * @param tensors diffs of the tensors
   * @param geometry geometry by name of the tensor
   * @param smallest smallest effects of interest
   * @return one finding per claim
   */
  public static List<Finding> judge(
      List<TensorDiff> tensors, Map<String, TensorGeometry> geometry, SmallestEffect smallest) {
    List<Measured> all =
        tensors.stream()
            .filter(tensor -> geometry.containsKey(tensor.name()))
            .map(tensor -> new Measured(tensor, geometry.get(tensor.name())))
            .filter(measured -> measured.geometry().spectrumOmitted().isEmpty())
            .toList();
    return all.isEmpty() ? List.of() : Judge.findings(new Claims(all).claims(), smallest);
  }

  private List<Claim> claims() {
    int ranks = all.stream().mapToInt(Measured::ranks).max().orElse(0);
    int alphas =
        all.stream()
            .mapToInt(own -> own.geometry().masks().size() / Math.max(1, own.ranks()))
            .max()
            .orElse(0);
    List<Claim> claims = new ArrayList<>();
    for (int alpha = 0; alpha < alphas; alpha++) {
      for (int rank = 0; rank < ranks; rank++) {
        claims.add(
            overlap(
                "avoids-principal-weights",
                "The update avoids principal weights",
                -1,
                alpha,
                rank,
                MaskMeasure::principal));
        claims.add(
            overlap(
                "avoids-large-principal-weights",
                "The update avoids principal weights that are not small",
                -1,
                alpha,
                rank,
                MaskMeasure::principalNotLow));
      }
      claims.add(
          overlap(
              "prefers-small-weights",
              "The update prefers small weights",
              1,
              alpha,
              0,
              MaskMeasure::low));
    }
    IntStream.range(0, ranks).forEach(rank -> claims.add(energy(rank)));
    claims.add(nss());
    IntStream.range(0, ranks).forEach(rank -> claims.add(angles(rank)));
    claims.add(sparsity());
    return claims;
  }

  private Claim overlap(
      String id,
      String statement,
      int sign,
      int alpha,
      int rank,
      Function<MaskMeasure, Overlap> part) {
    List<Claim.Test> tests = new ArrayList<>();
    List<String> settings = new ArrayList<>();
    for (Measured measured : all) {
      measured
          .mask(alpha, rank)
          .ifPresent(
              masks -> {
                Overlap overlap = part.apply(masks);
                settings.add(String.format(Locale.ROOT, "α %.3g", masks.alpha()));
                // Without this null model, rates of rows and columns would pass for an effect.
                if (overlap.conditional().isEmpty()) {
                  return;
                }
                tests.add(
                    test(
                        measured,
                        overlap.overlap(),
                        Optional.of(overlap.againstDensity()),
                        overlap.againstAll(),
                        overlap.changed()));
              });
    }
    String setting = settings.stream().findFirst().orElse("");
    if (!id.equals("prefers-small-weights")) {
      setting = rankName(rank) + ", " + setting;
    }
    return new Claim(
        id,
        statement,
        new Claim.Measure("overlap", setting, SmallestEffect.Scale.ODDS_RATIO),
        sign,
        tests,
        excluded(tests.size(), "have no fit of the null model row-column-magnitude"));
  }

  /**
   * Names a rank: its number if all matrices have the same, or else its share of the short side.
   */
  private String rankName(int rank) {
    List<SpectrumMeasure> measures =
        all.stream().flatMap(own -> own.spectrum(rank).stream()).toList();
    long numbers = measures.stream().map(own -> own.geometry().rank()).distinct().count();
    if (numbers == 1) {
      return "rank " + measures.get(0).geometry().rank();
    }
    double share =
        measures.stream()
            .mapToDouble(
                own -> own.geometry().rank() / (double) Math.min(own.rows(), own.columns()))
            .average()
            .orElse(0);
    return String.format(Locale.ROOT, "rank %.3g %% of the shorter side", 100 * share);
  }

  private List<Measured> converged(int rank) {
    return all.stream()
        .filter(
            measured ->
                measured.spectrum(rank).map(own -> own.geometry().converged()).orElse(false))
        .toList();
  }

  private static Claim.Measure ratio(String name, String setting) {
    return new Claim.Measure(name, setting, SmallestEffect.Scale.RATIO);
  }

  private Claim energy(int rank) {
    List<Claim.Test> tests = new ArrayList<>();
    for (Measured measured : converged(rank)) {
      SpectrumMeasure spectrum = measured.geometry().judged().get(rank);
      double observed = spectrum.geometry().principalEnergy();
      tests.add(
          test(
              measured,
              observed,
              Optional.of(Against.ofRatio(observed, spectrum.isotropicEnergy())),
              against(observed, spectrum.energyEstimates()),
              1));
    }
    return new Claim(
            "avoids-principal-directions",
            "The update avoids the principal directions",
            ratio("share of energy in the leading directions", rankName(rank)),
            -1,
            tests,
            ofRest(excluded(tests.size(), NOT_MEASURED)))
        .without(missing(rank, List.of(NullModel.SIGN_FLIPPED)));
  }

  /**
   * Returns the null models that were not drawn, without those that have a closed form for the
   * measure.
   */
  private List<String> missing(int rank, List<NullModel> closed) {
    return Arrays.stream(NullModel.values())
        .filter(model -> !closed.contains(model))
        .filter(
            model ->
                converged(rank).stream()
                    .anyMatch(own -> own.spectrum(rank).orElseThrow().draws(model).isEmpty()))
        .map(NullModel::label)
        .toList();
  }

  private static List<Against> against(double observed, List<NullEstimate> estimates) {
    return estimates.stream().map(estimate -> Against.ofRatio(observed, estimate)).toList();
  }

  private Claim nss() {
    List<Claim.Test> tests = new ArrayList<>();
    for (Measured measured : converged(0)) {
      SpectrumMeasure spectrum = measured.geometry().judged().get(0);
      List<NullEstimate> nulls = spectrum.estimates(NullDraws::nss);
      double observed = spectrum.geometry().nss();
      if (!spectrum.geometry().isLeading() && !nulls.isEmpty()) {
        tests.add(
            test(
                measured,
                observed,
                Optional.of(Against.ofRatio(observed, nulls.get(0))),
                against(observed, nulls),
                1));
      }
    }
    return new Claim(
            "preserves-spectrum",
            "The update preserves the singular values",
            ratio("spectral drift NSS", ""),
            -1,
            tests,
            tests.isEmpty() && !all.isEmpty()
                ? "no null model was sampled"
                : ofRest(excluded(tests.size(), NOT_MEASURED)))
        .without(missing(0, List.of()));
  }

  private Claim angles(int rank) {
    List<Claim.Test> tests = new ArrayList<>();
    boolean drawn = false;
    for (Measured measured : converged(rank)) {
      SpectrumMeasure spectrum = measured.geometry().judged().get(rank);
      List<NullEstimate> nulls = spectrum.estimates(Claims::largestAngles);
      drawn |= !nulls.isEmpty();
      if (!spectrum.geometry().isGapLimited() && !nulls.isEmpty()) {
        double observed =
            Math.max(
                Geometry.max(spectrum.geometry().angleU()),
                Geometry.max(spectrum.geometry().angleV()));
        tests.add(
            test(
                measured,
                observed,
                Optional.of(Against.ofRatio(observed, nulls.get(0))),
                against(observed, nulls),
                1));
      }
    }
    return new Claim(
            "preserves-subspaces",
            "The update preserves the leading subspaces",
            ratio("largest principal angle, radians,", rankName(rank)),
            -1,
            tests,
            drawn || all.isEmpty()
                ? ofRest(
                    excluded(
                        tests.size(),
                        "are gap-limited: the singular value gap decides the angle, not the update"))
                : "no null model was sampled")
        .without(missing(rank, List.of()));
  }

  private static double[] largestAngles(NullDraws draws) {
    double[] largest = draws.angleU().clone();
    for (int i = 0; i < largest.length; i++) {
      largest[i] = Math.max(largest[i], draws.angleV()[i]);
    }
    return largest;
  }

  private Claim sparsity() {
    List<Claim.Test> tests = new ArrayList<>();
    for (Measured measured : all) {
      measured
          .geometry()
          .sparsity()
          .ifPresent(
              nulls -> {
                double observed = measured.diff().totals().sparsity();
                long entries = measured.diff().totals().counts().total();
                Against gaussian = ofShare(observed, nulls.gaussian(), entries);
                tests.add(
                    test(
                        measured,
                        observed,
                        Optional.of(gaussian),
                        List.of(gaussian, permuted(observed, nulls.permuted(), entries)),
                        entries));
              });
    }
    return new Claim(
        "sparser-than-noise",
        "The update is sparser in bf16 than noise of its norm",
        new Claim.Measure("share of unchanged entries", "", SmallestEffect.Scale.ODDS_RATIO),
        1,
        tests,
        excluded(tests.size(), "have a base that is not stored in bf16"));
  }

  /**
   * Compares a share with a null, as their odds ratio. Shares of none and of all entries count as
   * half an entry less, so that a null without any unchanged entry takes part as well.
   */
  private static Against ofShare(double observed, NullEstimate estimate, long entries) {
    double mean = inside(estimate.mean(), entries);
    double variance = mean * (1 - mean);
    double sd = Math.max(estimate.sd(), Math.sqrt(variance / entries));
    double log = logOdds(inside(observed, entries)) - logOdds(mean);
    return new Against(estimate, new Effect(log, sd / variance, Double.POSITIVE_INFINITY));
  }

  private static double inside(double share, long entries) {
    double half = 0.5 / entries;
    return Math.max(half, Math.min(1 - half, share));
  }

  private static double logOdds(double share) {
    return Math.log(share / (1 - share));
  }

  /**
   * Compares with the update's own entries at random positions. A permutation moves some entries to
   * weights where rounding hides them, and never reveals one, so its share of unchanged entries is
   * an upper bound. An observation between it and the Gaussian null shows only the distribution of
   * the entries.
   */
  private static Against permuted(double observed, NullEstimate estimate, long entries) {
    Against against = ofShare(observed, estimate, entries);
    return observed <= estimate.mean()
        ? new Against(estimate, new Effect(0, against.effect().se(), against.effect().df()))
        : against;
  }

  private static Claim.Test test(
      Measured measured,
      double observed,
      Optional<Against> naive,
      List<Against> nulls,
      double weight) {
    return new Claim.Test(
        measured.diff().name(), measured.diff().place(), observed, naive, nulls, weight);
  }

  /**
   * Describes matrices without a test: those with a trivial cause, and those for another reason.
   */
  private String excluded(int tests, String why) {
    List<String> parts = new ArrayList<>();
    for (TrivialCause cause : TrivialCause.values()) {
      long count =
          found.stream()
              .filter(own -> own.geometry().causes().whole().equals(Optional.of(cause)))
              .count();
      if (count > 0) {
        parts.add(count + " of " + found.size() + " matrices are left out: " + cause.label());
      }
    }
    int left = all.size() - tests;
    if (left > 0) {
      parts.add(left + " of " + all.size() + " matrices " + why);
    }
    return String.join("; ", parts);
  }

  /** Adds how many matrices are judged on what rescalings leave. */
  private String ofRest(String excluded) {
    long count = all.stream().filter(own -> !own.geometry().causes().rest().isEmpty()).count();
    String rest =
        count == 0
            ? ""
            : "in " + count + " of " + all.size() + " matrices judged on what rescalings leave";
    return rest.isEmpty() || excluded.isEmpty() ? rest + excluded : rest + "; " + excluded;
  }
}
