package org.threegate.analysis.compare;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Function;
import org.threegate.analysis.diff.TensorDiff;
import org.threegate.analysis.geometry.Geometry;
import org.threegate.analysis.geometry.MaskMeasure;
import org.threegate.analysis.geometry.Overlap;
import org.threegate.analysis.geometry.SpectrumMeasure;
import org.threegate.analysis.geometry.TensorGeometry;
import org.threegate.analysis.nullmodel.NullDraws;
import org.threegate.analysis.statistics.Claim;
import org.threegate.analysis.statistics.Finding;
import org.threegate.analysis.statistics.NullEstimate;

/**
 * Tests the claims of arXiv 2511.08567 about the location of an update on each matrix, with the
 * applicable null models. The first requested rank and mask are used.
 *
 * <pre>{@code
 * for (Finding finding : Claims.judge(outcome.tensors(), outcome.geometry())) {
 *   System.out.println(finding.verdict().label() + ": " + finding.text());
 * }
 * }</pre>
 */
public final class Claims {
  private Claims() {}

  /** A matrix with a measured geometry. */
  private record Measured(TensorDiff diff, TensorGeometry geometry) {}

  /**
   * Judges all claims together.
   *
   * @param tensors diffs of the tensors
   * @param geometry geometry by name of the tensor
   * @return one finding per claim
   */
  public static List<Finding> judge(
      List<TensorDiff> tensors, Map<String, TensorGeometry> geometry) {
    List<Measured> all =
        tensors.stream()
            .filter(tensor -> geometry.containsKey(tensor.name()))
            .map(tensor -> new Measured(tensor, geometry.get(tensor.name())))
            .filter(measured -> measured.geometry().spectrumOmitted().isEmpty())
            .toList();
    if (all.isEmpty()) {
      return List.of();
    }
    List<Claim> claims = new ArrayList<>();
    claims.add(
        overlap(
            "avoids-principal-weights",
            "The update avoids principal weights",
            -1,
            all,
            MaskMeasure::principal));
    claims.add(
        overlap(
            "avoids-large-principal-weights",
            "The update avoids principal weights that are not small",
            -1,
            all,
            MaskMeasure::principalNotLow));
    claims.add(
        overlap(
            "prefers-small-weights", "The update prefers small weights", 1, all, MaskMeasure::low));
    claims.add(energy(all));
    claims.add(nss(all));
    claims.add(angles(all));
    claims.add(sparsity(all));
    return Finding.of(claims);
  }

  private static Claim overlap(
      String id,
      String statement,
      int sign,
      List<Measured> all,
      Function<MaskMeasure, Overlap> part) {
    List<Claim.Test> tests = new ArrayList<>();
    for (Measured measured : all) {
      for (MaskMeasure masks : first(measured.geometry().masks())) {
        Overlap overlap = part.apply(masks);
        tests.add(
            test(
                measured,
                overlap.overlap(),
                Optional.of(overlap.densityNull()),
                List.of(overlap.densityNull(), overlap.magnitudeNull()),
                overlap.changed()));
      }
    }
    return new Claim(id, statement, "overlap", sign, tests, "");
  }

  private static Claim energy(List<Measured> all) {
    List<Claim.Test> tests = new ArrayList<>();
    for (Measured measured : converged(all)) {
      SpectrumMeasure spectrum = measured.geometry().spectra().get(0);
      tests.add(
          test(
              measured,
              spectrum.geometry().principalEnergy(),
              Optional.of(spectrum.isotropicEnergy()),
              spectrum.energyEstimates(),
              1));
    }
    return new Claim(
        "avoids-principal-directions",
        "The update avoids the principal directions",
        "share of energy in the leading directions",
        -1,
        tests,
        excluded(all, tests.size(), "did not converge"));
  }

  private static Claim nss(List<Measured> all) {
    List<Claim.Test> tests = new ArrayList<>();
    for (Measured measured : converged(all)) {
      SpectrumMeasure spectrum = measured.geometry().spectra().get(0);
      List<NullEstimate> nulls = spectrum.estimates(NullDraws::nss);
      if (!nulls.isEmpty()) {
        tests.add(test(measured, spectrum.geometry().nss(), Optional.empty(), nulls, 1));
      }
    }
    return new Claim(
        "preserves-spectrum",
        "The update preserves the singular values",
        "spectral drift NSS",
        -1,
        tests,
        tests.isEmpty()
            ? "no null model was sampled"
            : excluded(all, tests.size(), "did not converge"));
  }

  private static Claim angles(List<Measured> all) {
    List<Claim.Test> tests = new ArrayList<>();
    boolean drawn = false;
    for (Measured measured : converged(all)) {
      SpectrumMeasure spectrum = measured.geometry().spectra().get(0);
      List<NullEstimate> nulls = spectrum.estimates(Claims::largestAngles);
      drawn |= !nulls.isEmpty();
      if (!spectrum.geometry().isGapLimited() && !nulls.isEmpty()) {
        double observed =
            Math.max(
                Geometry.max(spectrum.geometry().angleU()),
                Geometry.max(spectrum.geometry().angleV()));
        tests.add(test(measured, observed, Optional.empty(), nulls, 1));
      }
    }
    return new Claim(
        "preserves-subspaces",
        "The update preserves the leading subspaces",
        "largest principal angle, radians,",
        -1,
        tests,
        drawn
            ? excluded(
                all,
                tests.size(),
                "are gap-limited: the singular value gap decides the angle, not the update")
            : "no null model was sampled");
  }

  private static double[] largestAngles(NullDraws draws) {
    double[] largest = draws.angleU().clone();
    for (int i = 0; i < largest.length; i++) {
      largest[i] = Math.max(largest[i], draws.angleV()[i]);
    }
    return largest;
  }

  private static Claim sparsity(List<Measured> all) {
    List<Claim.Test> tests = new ArrayList<>();
    for (Measured measured : all) {
      measured
          .geometry()
          .sparsityNull()
          .ifPresent(
              estimate ->
                  tests.add(
                      test(
                          measured,
                          measured.diff().totals().sparsity(),
                          Optional.empty(),
                          List.of(estimate),
                          measured.diff().totals().counts().total())));
    }
    return new Claim(
        "sparser-than-noise",
        "The update is sparser in bf16 than Gaussian noise of its norm",
        "share of unchanged entries",
        1,
        tests,
        excluded(all, tests.size(), "have a base that is not stored in bf16"));
  }

  private static Claim.Test test(
      Measured measured,
      double observed,
      Optional<NullEstimate> naive,
      List<NullEstimate> nulls,
      double weight) {
    return new Claim.Test(
        measured.diff().name(), measured.diff().kind(), observed, naive, nulls, weight);
  }

  private static List<Measured> converged(List<Measured> all) {
    return all.stream()
        .filter(measured -> measured.geometry().spectra().get(0).geometry().converged())
        .toList();
  }

  private static String excluded(List<Measured> all, int tests, String why) {
    int left = all.size() - tests;
    return left == 0 ? "" : left + " of " + all.size() + " matrices " + why;
  }

  private static <T> List<T> first(List<T> list) {
    return list.subList(0, Math.min(1, list.size()));
  }
}
