package org.threegate.analysis.geometry;

import java.util.List;
import java.util.Optional;
import org.threegate.analysis.statistics.NullEstimate;

/**
 * What was measured of the geometry of one tensor's update.
 *
 * @param spectrumOmitted why nothing was measured; empty where something was
 * @param spectra one a rank, in the order asked for
 * @param masks one a rank and alpha
 * @param magnitudeMatchedDispersion of the changes; empty where nothing was measured
 * @param sparsityNull share of unchanged entries that a Gaussian update of the same norm leaves;
 *     empty where the base is not stored in bf16
 * @param spectrumSeconds for the true update
 * @param nullSeconds for its null models
 * @param maskSeconds for the masks
 */
public record TensorGeometry(
    Optional<String> spectrumOmitted,
    List<SpectrumMeasure> spectra,
    List<MaskMeasure> masks,
    Optional<Banding> magnitudeMatchedDispersion,
    Optional<NullEstimate> sparsityNull,
    double spectrumSeconds,
    double nullSeconds,
    double maskSeconds) {
  static TensorGeometry omitted(String reason) {
    return new TensorGeometry(
        Optional.of(reason), List.of(), List.of(), Optional.empty(), Optional.empty(), 0, 0, 0);
  }

  /** The same of the transposed matrices. */
  TensorGeometry transposed() {
    return new TensorGeometry(
        spectrumOmitted,
        spectra.stream().map(SpectrumMeasure::transposed).toList(),
        masks.stream().map(MaskMeasure::transposed).toList(),
        magnitudeMatchedDispersion.map(Banding::transposed),
        sparsityNull,
        spectrumSeconds,
        nullSeconds,
        maskSeconds);
  }
}
