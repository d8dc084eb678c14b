package org.threegate.analysis.geometry;

import static org.threegate.kernel.MaskSets.Operation.COMPLEMENT;
import static org.threegate.kernel.MaskSets.Operation.DIFFERENCE;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Optional;
import org.threegate.analysis.diff.ChangeMap;
import org.threegate.analysis.nullmodel.NullDraws;
import org.threegate.analysis.nullmodel.NullModel;
import org.threegate.analysis.nullmodel.NullSampler;
import org.threegate.analysis.pairing.TensorPair;
import org.threegate.analysis.statistics.NullEstimate;
import org.threegate.analysis.statistics.RoundTrip;
import org.threegate.dtype.Dtype;
import org.threegate.kernel.Bf16Diff;
import org.threegate.kernel.Context;
import org.threegate.kernel.Control;
import org.threegate.kernel.MagnitudeHistogram;
import org.threegate.kernel.Mask;
import org.threegate.kernel.MaskSelection;
import org.threegate.kernel.MaskSets;
import org.threegate.kernel.Matrix;
import org.threegate.kernel.NullUpdate;
import org.threegate.kernel.Operand;
import org.threegate.kernel.TruncatedSvd;

/**
 * Measures the geometry of the update of one matrix, together with null models: the same measures
 * of random updates.
 *
 * <pre>{@code
 * Operand before = Operand.of(Matrix.of(buffer, Dtype.BF16, 64, 64));
 * Operand after = Operand.of(Matrix.of(buffer, Dtype.BF16, 64, 64).at(8192));
 * TensorGeometry geometry =
 *     GeometryMeasurement.of(context, "q_proj", before, after, GeometryOptions.DEFAULT, control);
 * SpectrumMeasure spectrum = geometry.spectra().get(0);
 * System.out.println(spectrum.geometry().nss() + " against " + spectrum.estimates(NullDraws::nss));
 * }</pre>
 */
public final class GeometryMeasurement {
  /** Largest short side of a matrix that the kernels decompose. */
  public static final long LONGEST_SHORT_SIDE = 16384;

  /**
   * Number of extra directions beyond the largest rank. The last directions mix most with these, so
   * the null models need them.
   */
  private static final int BEYOND = 16;

  /** The update of a base that is smaller than this share of it equals W+ in float32. */
  private static final double VANISHING = 0x1p-24;

  private static final String TOO_SMALL = "its base or its update is too close to zero";

  private final Context context;
  private final Operand base;
  private final Operand tuned;
  private final GeometryOptions options;
  private final Control control;
  private final List<Integer> ranks;
  private final long seed;

  private GeometryMeasurement(
      Context context,
      String name,
      Operand base,
      Operand tuned,
      GeometryOptions options,
      Control control) {
    this.context = context;
    this.base = base;
    this.tuned = tuned;
    this.options = options;
    this.control = control;
    this.ranks = options.ranksOf(Math.min(base.rows(), base.columns()));
    this.seed = options.seedOf(name);
  }

  /**
   * Measures one matrix.
   *
   * @param context context that runs the kernels
   * @param name name of the tensor, from which the seed of its random updates is derived
   * @param base matrix before training
   * @param tuned matrix after training, of the same shape
   * @param options measures, null models and their draws
   * @param control cancels the measurement
   * @return the geometry, or the reason why it was not measured
   */
  public static TensorGeometry of(
      Context context,
      String name,
      Operand base,
      Operand tuned,
      GeometryOptions options,
      Control control) {
    return of(context, name, base, tuned, options, control, Optional.empty());
  }

  /**
   * Measures the update of one pair, oriented as outputs x inputs.
   *
   * @param context context that runs the kernels
   * @param pair pair with at least two dimensions
   * @param options measures, null models and their draws
   * @param control cancels the measurement
   * @return the geometry, or the reason why it was not measured
   */
  public static TensorGeometry of(
      Context context, TensorPair pair, GeometryOptions options, Control control) {
    return of(context, pair, options, control, Optional.empty());
  }

  /**
   * Measures the update of one pair whose base is already decomposed.
   *
   * @param context context that runs the kernels
   * @param pair pair with at least two dimensions
   * @param known result of {@link #decompose}; it is not closed
   * @param options measures, null models and their draws; the same as for the decomposition
   * @param control cancels the measurement
   * @return the geometry, or the reason why it was not measured
   */
  public static TensorGeometry of(
      Context context,
      TensorPair pair,
      TruncatedSvd.Result known,
      GeometryOptions options,
      Control control) {
    return of(context, pair, options, control, Optional.of(known));
  }

  private static TensorGeometry of(
      Context context,
      TensorPair pair,
      GeometryOptions options,
      Control control,
      Optional<TruncatedSvd.Result> known) {
    TensorGeometry geometry =
        of(context, pair.name(), pair.base(), pair.tuned(), options, control, known);
    return pair.transposed() ? geometry.transposed() : geometry;
  }

  private static TensorGeometry of(
      Context context,
      String name,
      Operand base,
      Operand tuned,
      GeometryOptions options,
      Control control,
      Optional<TruncatedSvd.Result> known) {
    if (base.rows() == 0 || base.columns() == 0) {
      return TensorGeometry.omitted("it has no entries");
    }
    if (Math.min(base.rows(), base.columns()) > LONGEST_SHORT_SIDE) {
      return TensorGeometry.omitted("its short side is longer than " + LONGEST_SHORT_SIDE);
    }
    Bf16Diff.Profiles mask = Bf16Diff.Profiles.MASK;
    Bf16Diff.Result diff = Bf16Diff.compare(context, new Bf16Diff.Pair(base, tuned, mask), control);
    if (diff.nonFinite() > 0) {
      return TensorGeometry.omitted("it has non-finite entries");
    }
    if (diff.deltaSquares() == 0) {
      return TensorGeometry.omitted(TensorGeometry.UNCHANGED);
    }
    if (diff.baseSquares() == 0) {
      return TensorGeometry.omitted("its base is zero");
    }
    if (Math.sqrt(diff.baseSquares()) < VANISHING * Math.sqrt(diff.deltaSquares())) {
      return TensorGeometry.omitted(TOO_SMALL);
    }
    if (!Double.isFinite(diff.baseSquares() + diff.deltaSquares())) {
      return TensorGeometry.omitted("its norm is too large for float64");
    }
    return new GeometryMeasurement(context, name, base, tuned, options, control)
        .measure(diff, known);
  }

  /**
   * Decomposes a base, so that the result can be shared by all checkpoints of a run.
   *
   * @param context context that runs the decomposition
   * @param base matrix before training
   * @param options ranks and tolerance
   * @param control cancels the decomposition
   * @return the leading triplets, which the caller closes
   */
  public static TruncatedSvd.Result decompose(
      Context context, Operand base, GeometryOptions options, Control control) {
    long shorter = Math.min(base.rows(), base.columns());
    long rank = Collections.max(options.ranksOf(shorter)) + (long) BEYOND;
    return Geometry.decompose(
        context, base, Math.toIntExact(Math.min(rank, shorter)), options.tolerance(), control);
  }

  private static double seconds(long from) {
    return (System.nanoTime() - from) * 1e-9;
  }

  private TensorGeometry measure(Bf16Diff.Result diff, Optional<TruncatedSvd.Result> known) {
    Mask update = diff.mask().orElseThrow();
    long[] codes = MagnitudeHistogram.of(context, base, update, update).all();
    double deviation = deviation(codes, diff.deltaSquares());
    long start = System.nanoTime();
    TruncatedSvd.Result before = known.orElseGet(() -> decompose(context, base, options, control));
    try {
      List<Geometry> geometries =
          Geometry.of(context, base, before, tuned, ranks, options.tolerance(), control);
      double spectrumSeconds = seconds(start);
      if (Double.isNaN(geometries.get(0).nss()) || Double.isNaN(geometries.get(0).rSpec())) {
        return TensorGeometry.omitted(TOO_SMALL);
      }
      start = System.nanoTime();
      List<List<NullDraws>> nulls = new ArrayList<>();
      ranks.forEach(rank -> nulls.add(new ArrayList<>()));
      NullSampler sampler =
          new NullSampler(
              context,
              new NullSampler.Update(
                  base,
                  tuned,
                  before,
                  geometries.get(0).base(),
                  geometries.get(0).update(),
                  deviation),
              new NullSampler.Settings(ranks, options.draws(), options.tolerance(), seed),
              control);
      for (NullModel model : options.nulls()) {
        List<NullDraws> draws = sampler.draw(model);
        for (int i = 0; i < ranks.size(); i++) {
          nulls.get(i).add(draws.get(i));
        }
      }
      double nullSeconds = seconds(start);
      List<SpectrumMeasure> spectra = new ArrayList<>();
      for (int i = 0; i < ranks.size(); i++) {
        spectra.add(
            new SpectrumMeasure(geometries.get(i), nulls.get(i), base.rows(), base.columns()));
      }
      start = System.nanoTime();
      List<MaskMeasure> masks = masks(before, update);
      Optional<TensorGeometry.SparsityNulls> unchanged =
          base.isStoredAs(Dtype.BF16)
              ? Optional.of(
                  new TensorGeometry.SparsityNulls(
                      RoundTrip.unchanged(codes, deviation), permutedUnchanged()))
              : Optional.empty();
      return new TensorGeometry(
          Optional.empty(),
          spectra,
          masks,
          Optional.of(Banding.of(context, base, update)),
          unchanged,
          spectrumSeconds,
          nullSeconds,
          seconds(start));
    } finally {
      if (known.isEmpty()) {
        before.close();
      }
    }
  }

  /**
   * Returns the standard deviation of the Gaussian update whose norm after rounding is that of the
   * true update.
   */
  private double deviation(long[] codes, double squares) {
    if (base.isStoredAs(Dtype.BF16) && tuned.isStoredAs(Dtype.BF16)) {
      return RoundTrip.deviation(codes, squares);
    }
    return Math.sqrt(squares / ((double) base.rows() * base.columns()));
  }

  /** Returns the share of entries that the update's own entries leave unchanged when permuted. */
  private NullEstimate permutedUnchanged() {
    Matrix permuted =
        NullUpdate.permuted(
            context, new NullUpdate.Pair(base, tuned), new NullUpdate.Draw(seed, 0), control);
    try {
      Bf16Diff.Result diff = Bf16Diff.compare(context, base, Operand.of(permuted));
      double share = 1 - diff.changed() / (double) diff.total();
      double sd = Math.sqrt(share * (1 - share) / diff.total());
      return NullEstimate.analytic(NullModel.PERMUTED_UPDATE.label(), share, sd);
    } finally {
      permuted.buffer().close();
    }
  }

  private List<MaskMeasure> masks(TruncatedSvd.Result before, Mask update) {
    List<MaskMeasure> all = new ArrayList<>();
    if (update.count() == 0) {
      return all;
    }
    for (double alpha : options.alphas()) {
      long count = GeometryOptions.countOf(alpha, base.rows() * base.columns());
      Mask low = MaskSelection.smallest(context, base, count, control);
      Overlap ofLow = Overlap.of(context, base, update, low);
      for (int rank : ranks) {
        Mask principal =
            MaskSelection.principal(
                context, new MaskSelection.Leading(before, rank), count, control);
        Mask complement = MaskSets.combine(context, COMPLEMENT, principal);
        Mask principalNotLow = MaskSets.combine(context, DIFFERENCE, principal, low);
        all.add(
            new MaskMeasure(
                alpha,
                rank,
                Overlap.of(context, base, update, principal),
                Overlap.of(context, base, update, complement),
                ofLow,
                Overlap.of(context, base, update, principalNotLow),
                Overlap.of(
                    context, base, update, MaskSets.combine(context, COMPLEMENT, principalNotLow)),
                ChangeMap.of(List.of(principal))));
      }
    }
    return List.copyOf(all);
  }
}
