package org.threegate.report;

import java.util.List;
import java.util.Optional;
import org.threegate.analysis.geometry.Banding;
import org.threegate.analysis.geometry.RescalingMeasure;
import org.threegate.analysis.geometry.TensorGeometry;
import org.threegate.analysis.geometry.TrivialCause;
import org.threegate.analysis.statistics.RescalingShare;

/**
 * What is measured of the geometry of a tensor's update. These keys are part of the object of the
 * tensor.
 *
 * @param spectrum measures at the first rank
 * @param masks measures at the first share and rank
 * @param spectrumByRank measures at all ranks, if there are several; otherwise empty
 * @param spectrumOfRest measures at all ranks of what rescalings leave, if the update has any
 * @param masksByAlphaAndRank measures at all shares and ranks, if there are several; otherwise
 *     empty
 */
record GeometryJson(
    Optional<SpectrumJson> spectrum,
    Optional<MasksJson> masks,
    List<SpectrumJson> spectrumByRank,
    List<MasksJson> masksByAlphaAndRank,
    Optional<Banding> magnitudeMatchedDispersion,
    Optional<String> spectrumOmitted,
    Optional<String> wholeSpectrumOmitted,
    Optional<SparsityNull> sparsityNull,
    Optional<String> trivialCause,
    Optional<Rescaling> rescaling,
    List<SpectrumJson> spectrumOfRest) {
  record SparsityNull(String model, double mean, double sd, double permuted) {}

  record Share(double value, double noise, double se) {
    static Share of(RescalingShare share) {
      return new Share(share.value(), share.noise(), share.error());
    }
  }

  record Rescaling(
      double factor, double factorSe, Share common, Share rows, Share columns, double rest) {
    static Rescaling of(RescalingMeasure measure) {
      return new Rescaling(
          measure.factor(),
          measure.factorError(),
          Share.of(measure.common()),
          Share.of(measure.rows()),
          Share.of(measure.columns()),
          measure.rest());
    }
  }

  static GeometryJson of(Optional<TensorGeometry> measured) {
    List<SpectrumJson> spectra =
        measured.stream().flatMap(own -> own.spectra().stream()).map(SpectrumJson::of).toList();
    List<MasksJson> masks =
        measured.stream().flatMap(own -> own.masks().stream()).map(MasksJson::of).toList();
    return new GeometryJson(
        spectra.stream().findFirst(),
        masks.stream().findFirst(),
        spectra.size() > 1 ? spectra : List.of(),
        masks.size() > 1 ? masks : List.of(),
        measured.flatMap(TensorGeometry::magnitudeMatchedDispersion),
        measured.flatMap(TensorGeometry::spectrumOmitted),
        measured.flatMap(TensorGeometry::wholeSpectrumOmitted),
        measured
            .flatMap(TensorGeometry::sparsity)
            .map(
                own ->
                    new SparsityNull(
                        own.gaussian().model(),
                        own.gaussian().mean(),
                        own.gaussian().sd(),
                        own.permuted().mean())),
        measured.flatMap(own -> own.causes().whole()).map(TrivialCause::label),
        measured.flatMap(own -> own.causes().rescaling()).map(Rescaling::of),
        measured.stream()
            .flatMap(own -> own.causes().rest().stream())
            .map(SpectrumJson::of)
            .toList());
  }
}
