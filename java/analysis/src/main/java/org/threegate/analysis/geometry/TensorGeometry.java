package org.threegate.analysis.geometry;

import java.util.List;
import java.util.Optional;
import org.threegate.analysis.statistics.NullEstimate;

/**
 * The geometry of the update of one tensor.
 *
 * @param spectrumOmitted reason why nothing was measured; empty if it was measured
 * @param causes what trivial causes explain of the update
 * @param spectra one element per rank, in the requested order
 * @param masks one element per rank and alpha
 * @param magnitudeMatchedDispersion clustering of the changes in rows and columns; empty if nothing
 *     was measured
 * @param sparsity share of unchanged entries under random updates; empty if the base is not stored
 *     in bf16
 * @param spectrumSeconds seconds spent on the true update
 * @param nullSeconds seconds spent on its null models
 * @param maskSeconds seconds spent on the masks
 */
public record TensorGeometry(
    Optional<String> spectrumOmitted,
    Causes causes,
    List<SpectrumMeasure> spectra,
    List<MaskMeasure> masks,
    Optional<Banding> magnitudeMatchedDispersion,
    Optional<SparsityNulls> sparsity,
    double spectrumSeconds,
    double nullSeconds,
    double maskSeconds) {
  /**
   * What trivial causes explain of the update.
   *
   * @param whole a cause that explains all of it
   * @param rescaling how much of it rescales the base; empty if that could not be fitted
   * @param rest geometry of what rescalings leave, one element per rank; empty if the update has no
   *     rescaling. Claims about directions are judged on it
   */
  public record Causes(
      Optional<TrivialCause> whole,
      Optional<RescalingMeasure> rescaling,
      List<SpectrumMeasure> rest) {
    static final Causes NONE = new Causes(Optional.empty(), Optional.empty(), List.of());

    /** Copies the list. */
    public Causes {
      rest = List.copyOf(rest);
    }

    Causes transposed() {
      return new Causes(
          whole,
          rescaling.map(RescalingMeasure::transposed),
          rest.stream().map(SpectrumMeasure::transposed).toList());
    }
  }

  /**
   * {@return the geometry on which claims about directions are judged, one element per rank} It is
   * empty if the update has rescalings, or may have them, and they cannot be taken out.
   */
  public List<SpectrumMeasure> judged() {
    boolean isFree = causes.rescaling().map(own -> !own.isPresent()).orElse(false);
    return isFree ? spectra : causes.rest();
  }

  /**
   * Shares of entries that random updates leave unchanged in bf16.
   *
   * @param gaussian share under a Gaussian update of the same norm
   * @param permuted share under the update's own entries at random positions. It is an upper bound:
   *     permuting never reveals an entry that rounding hid
   */
  public record SparsityNulls(NullEstimate gaussian, NullEstimate permuted) {}

  /**
   * {@return why measures of all singular values are missing, if others are not; empty if none is
   * missing}
   */
  public Optional<String> wholeSpectrumOmitted() {
    return spectra.stream().limit(1).anyMatch(own -> own.geometry().isLeading())
        ? Optional.of(
            "its short side is longer than "
                + WholeSide.LONGEST
                + ", so that only leading singular values are computed")
        : Optional.empty();
  }

  /** Reason why nothing was measured of a matrix that no training changed. */
  public static final String UNCHANGED = "it is unchanged";

  static TensorGeometry omitted(String reason) {
    return new TensorGeometry(
        Optional.of(reason),
        Causes.NONE,
        List.of(),
        List.of(),
        Optional.empty(),
        Optional.empty(),
        0,
        0,
        0);
  }

  /** Returns the geometry of the transposed matrices. */
  TensorGeometry transposed() {
    return new TensorGeometry(
        spectrumOmitted,
        causes.transposed(),
        spectra.stream().map(SpectrumMeasure::transposed).toList(),
        masks.stream().map(MaskMeasure::transposed).toList(),
        magnitudeMatchedDispersion.map(Banding::transposed),
        sparsity,
        spectrumSeconds,
        nullSeconds,
        maskSeconds);
  }
}
