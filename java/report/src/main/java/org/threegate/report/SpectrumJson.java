package org.threegate.report;

import com.fasterxml.jackson.annotation.JsonInclude;
import com.fasterxml.jackson.annotation.JsonInclude.Include;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;
import java.util.function.Function;
import org.threegate.analysis.geometry.Geometry;
import org.threegate.analysis.geometry.SpectrumMeasure;
import org.threegate.analysis.nullmodel.NullDraws;
import org.threegate.analysis.nullmodel.NullModel;
import org.threegate.analysis.statistics.NullEstimate;

/** Spectral measures of an update at one rank. */
record SpectrumJson(
    int rank,
    String method,
    boolean converged,
    double nss,
    Optional<EstimateJson> nssNull,
    double rSpec,
    Optional<EstimateJson> rSpecNull,
    Angles angleU,
    Angles angleV,
    Optional<EstimateJson> angleNull,
    double gap,
    double wedinGap,
    double deltaSpectralNorm,
    boolean gapLimited,
    double kyFanBase,
    double kyFanTuned,
    double residualBase,
    double residualTuned,
    double principalEnergy,
    Optional<EstimateJson> principalEnergyNull,
    double leftEnergy,
    double rightEnergy,
    double stableRank,
    double effectiveRank,
    Map<String, Null> nulls,
    double[] sigmaBase,
    double[] sigmaTuned) {
  /** Largest and mean principal angle, in radians. */
  record Angles(double maxRadians, double meanRadians) {
    static Angles of(double[] angles) {
      return new Angles(Geometry.max(angles), Geometry.mean(angles));
    }
  }

  /** The draws of one null model. A null model in closed form has only the energy. */
  @JsonInclude(Include.NON_ABSENT)
  record Null(
      int draws,
      Optional<EstimateJson> nss,
      Optional<EstimateJson> rSpec,
      Optional<EstimateJson> angleU,
      Optional<EstimateJson> angleV,
      Optional<EstimateJson> principalEnergy,
      Optional<EstimateJson> leftEnergy,
      Optional<EstimateJson> rightEnergy) {
    static Null of(NullDraws draws, Geometry observed) {
      return new Null(
          draws.nss().length,
          estimate(draws, NullDraws::nss, observed.nss()),
          estimate(draws, NullDraws::rSpec, observed.rSpec()),
          estimate(draws, NullDraws::angleU, Geometry.max(observed.angleU())),
          estimate(draws, NullDraws::angleV, Geometry.max(observed.angleV())),
          estimate(draws, NullDraws::principalEnergy, observed.principalEnergy()),
          estimate(draws, NullDraws::leftEnergy, observed.energy().leftEnergy()),
          estimate(draws, NullDraws::rightEnergy, observed.energy().rightEnergy()));
    }

    static Null analytic(EstimateJson energy) {
      return new Null(
          0,
          Optional.empty(),
          Optional.empty(),
          Optional.empty(),
          Optional.empty(),
          Optional.of(energy),
          Optional.empty(),
          Optional.empty());
    }

    /** Returns this with an energy in closed form. */
    Null with(EstimateJson energy) {
      return new Null(
          draws, nss, rSpec, angleU, angleV, Optional.of(energy), leftEnergy, rightEnergy);
    }

    private static Optional<EstimateJson> estimate(
        NullDraws draws, Function<NullDraws, double[]> values, double observed) {
      return Optional.of(EstimateJson.of(draws.estimate(values.apply(draws)), observed));
    }
  }

  static SpectrumJson of(SpectrumMeasure measure) {
    Geometry geometry = measure.geometry();
    Optional<NullDraws> matched = measure.draws(NullModel.NORM_MATCHED);
    return new SpectrumJson(
        geometry.rank(),
        geometry.isLeading() ? "blocks" : "dense",
        geometry.converged(),
        geometry.nss(),
        estimate(matched, NullDraws::nss, geometry.nss()),
        geometry.rSpec(),
        estimate(matched, NullDraws::rSpec, geometry.rSpec()),
        Angles.of(geometry.angleU()),
        Angles.of(geometry.angleV()),
        estimate(matched, NullDraws::angleU, Geometry.max(geometry.angleU())),
        geometry.gap(),
        geometry.wedinGap(),
        geometry.deltaSpectralNorm(),
        geometry.isGapLimited(),
        geometry.kyFanBase(),
        geometry.kyFanTuned(),
        geometry.residualBase(),
        geometry.residualTuned(),
        geometry.principalEnergy(),
        estimate(matched, NullDraws::principalEnergy, geometry.principalEnergy())
            .or(() -> Optional.of(isotropic(measure))),
        geometry.energy().leftEnergy(),
        geometry.energy().rightEnergy(),
        geometry.stableRank(),
        geometry.effectiveRank(),
        nulls(measure),
        Arrays.copyOf(geometry.base(), geometry.rank()),
        Arrays.copyOf(geometry.tuned(), geometry.rank()));
  }

  private static Optional<EstimateJson> estimate(
      Optional<NullDraws> draws, Function<NullDraws, double[]> values, double observed) {
    return draws.flatMap(own -> Null.estimate(own, values, observed));
  }

  private static EstimateJson signFlipped(SpectrumMeasure measure) {
    return EstimateJson.of(measure.signFlippedEnergy(), measure.geometry().principalEnergy());
  }

  private static EstimateJson isotropic(SpectrumMeasure measure) {
    NullEstimate energy = measure.isotropicEnergy();
    return EstimateJson.of(energy, measure.geometry().principalEnergy());
  }

  private static Map<String, Null> nulls(SpectrumMeasure measure) {
    Map<String, Null> nulls = new LinkedHashMap<>();
    measure
        .nulls()
        .forEach(draws -> nulls.put(draws.model().label(), Null.of(draws, measure.geometry())));
    nulls.put(
        NullModel.SIGN_FLIPPED.label(),
        Optional.ofNullable(nulls.get(NullModel.SIGN_FLIPPED.label()))
            .map(drawn -> drawn.with(signFlipped(measure)))
            .orElseGet(() -> Null.analytic(signFlipped(measure))));
    nulls.put("isotropic", Null.analytic(isotropic(measure)));
    return nulls;
  }
}
