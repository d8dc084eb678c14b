package org.threegate.analysis.geometry;

import static org.threegate.kernel.MaskSets.Operation.COMPLEMENT;
import static org.threegate.kernel.MaskSets.Operation.DIFFERENCE;
import static org.threegate.kernel.MaskSets.Operation.INTERSECTION;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;
import org.threegate.analysis.diff.ChangeMap;
import org.threegate.analysis.nullmodel.NullDraws;
import org.threegate.analysis.nullmodel.NullModel;
import org.threegate.analysis.nullmodel.NullSampler;
import org.threegate.analysis.pairing.TensorPair;
import org.threegate.analysis.statistics.MagnitudeBins;
import org.threegate.analysis.statistics.NullEstimate;
import org.threegate.analysis.statistics.RoundTrip;
import org.threegate.dtype.Dtype;
import org.threegate.kernel.Bf16Diff;
import org.threegate.kernel.ChangeModel;
import org.threegate.kernel.Context;
import org.threegate.kernel.Control;
import org.threegate.kernel.DtypeChange;
import org.threegate.kernel.MagnitudeHistogram;
import org.threegate.kernel.MagnitudeOverlaps;
import org.threegate.kernel.Mask;
import org.threegate.kernel.MaskSelection;
import org.threegate.kernel.MaskSets;
import org.threegate.kernel.Matrix;
import org.threegate.kernel.NullUpdate;
import org.threegate.kernel.Operand;
import org.threegate.kernel.ProjectedEnergy;
import org.threegate.kernel.Rescaling;
import org.threegate.kernel.Residual;
import org.threegate.kernel.SignFlip;
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
  /**
   * Largest short side of a matrix whose singular values are all computed. Only the leading ones of
   * larger matrices are, and measures of all values are omitted. It is 16,384, or less where tests
   * of the native library choose it.
   */
  public static final long LONGEST_WHOLE_SIDE = WholeSide.LONGEST;

  /** Short side over the number of triplets, at least, of a matrix beyond that. */
  private static final long LEAST_SHARE = 4;

  /**
   * Number of extra directions beyond the largest rank. The last directions mix most with these, so
   * the null models need them.
   */
  private static final int BEYOND = 16;

  /** The update of a base that is smaller than this share of it equals W+ in float32. */
  private static final double VANISHING = 0x1p-24;

  /**
   * The rest of an update after rescalings is judged if it is at least this share of the base, so
   * that it survives in float32.
   */
  private static final double SMALLEST_REST = 0x1p-16;

  /** Share of the squares of an update below which rescalings leave nothing of it. */
  private static final double NOTHING_LEFT = 1e-3;

  /** Share of the changed entries that may lie beyond rounding in an update that only rescales. */
  private static final double MOST_BEYOND = 0.01;

  /** Entries of a matrix up to which variances are exact; they take less than its decomposition. */
  private static final double MOST_EXACT = 1 << 22;

  /** Relative difference of the squares of two norms up to which they may be the same. */
  private static final double SAME_NORM = 1e-9;

  /** The bf16 code of 2⁻¹⁷, from which on bf16 is not finer than float16. */
  private static final int FIRST_NOT_FINER = (127 - 17) << 7;

  private static final List<Dtype> COARSER = List.of(Dtype.BF16, Dtype.F16);

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
      Control control,
      Bf16Diff.Result diff) {
    this.context = context;
    this.base = base;
    this.tuned = tuned;
    this.options = options;
    this.control = control;
    this.ranks = options.ranksOf(Math.min(base.rows(), base.columns()));
    // Updates of the same matrix have null models of their own, so that comparisons of several runs
    // share no noise unless that is asked for.
    double relative = diff.deltaSquares() / diff.baseSquares();
    long content = Double.doubleToLongBits(relative) + diff.changedStored();
    this.seed =
        options.seedOf(options.sharesDraws() ? name : name + '/' + Long.toHexString(content));
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

  /**
   * Measures one matrix, whose base may be decomposed already.
   *
   * @param known leading triplets of the base; without a spectrum, only leading values are computed
   */
  static TensorGeometry of(
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
    if (!decomposes(Math.min(base.rows(), base.columns()), options)) {
      return TensorGeometry.omitted(
          "its short side is longer than "
              + LONGEST_WHOLE_SIDE
              + ", and the rank is above a quarter of it");
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
    return new GeometryMeasurement(context, name, base, tuned, options, control, diff)
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
    long triplets = triplets(shorter, options);
    return shorter > LONGEST_WHOLE_SIDE
        ? Geometry.leading(context, base, triplets, options.tolerance(), control)
        : Geometry.decompose(context, base, triplets, options.tolerance(), control);
  }

  /**
   * {@return whether a matrix can be decomposed}
   *
   * @param shorter length of its shorter side
   * @param options ranks
   */
  public static boolean decomposes(long shorter, GeometryOptions options) {
    return shorter <= LONGEST_WHOLE_SIDE || LEAST_SHARE * triplets(shorter, options) <= shorter;
  }

  /**
   * {@return the number of triplets of the base that the measures need}
   *
   * @param shorter length of the shorter side of the matrix
   * @param options ranks
   */
  public static long triplets(long shorter, GeometryOptions options) {
    return Math.min(Collections.max(options.ranksOf(shorter)) + (long) BEYOND, shorter);
  }

  private static double seconds(long from) {
    return (System.nanoTime() - from) * 1e-9;
  }

  private TensorGeometry measure(Bf16Diff.Result diff, Optional<TruncatedSvd.Result> known) {
    Mask update = diff.mask().orElseThrow();
    MagnitudeOverlaps.Result codes = MagnitudeOverlaps.of(context, base, List.of());
    double deviation = deviation(codes, diff.deltaSquares());
    Timer timer = new Timer();
    TruncatedSvd.Result before = known.orElseGet(() -> decompose(context, base, options, control));
    try {
      List<Geometry> geometries = geometries(before, tuned, timer);
      Geometry first = geometries.get(0);
      if (!first.isLeading() && (Double.isNaN(first.nss()) || Double.isNaN(first.rSpec()))) {
        return TensorGeometry.omitted(TOO_SMALL);
      }
      TensorGeometry.Causes causes = causes(before, diff, timer);
      List<SpectrumMeasure> spectra =
          withNulls(before, tuned, geometries, deviation, drawsBeside(causes), timer);
      Optional<TensorGeometry.SparsityNulls> unchanged =
          base.isStoredAs(Dtype.BF16)
              ? Optional.of(
                  new TensorGeometry.SparsityNulls(
                      RoundTrip.unchanged(codes.codes(), codes.all(), deviation),
                      permutedUnchanged()))
              : Optional.empty();
      long start = System.nanoTime();
      List<MaskMeasure> masks = masks(before, update, codes);
      return new TensorGeometry(
          Optional.empty(),
          causes,
          spectra,
          masks,
          Optional.of(Banding.of(context, base, update)),
          unchanged,
          timer.spectrum,
          timer.nulls,
          seconds(start));
    } finally {
      if (known.isEmpty()) {
        before.close();
      }
    }
  }

  /** Seconds spent on an update and on its null models. */
  private static final class Timer {
    private double spectrum;
    private double nulls;
  }

  /** Measures an update at all ranks. */
  private List<Geometry> geometries(TruncatedSvd.Result before, Operand after, Timer timer) {
    long start = System.nanoTime();
    List<Geometry> geometries =
        Geometry.of(context, base, before, after, ranks, options.tolerance(), control);
    timer.spectrum += seconds(start);
    return geometries;
  }

  /**
   * Returns the number of draws for the whole update. Where its rest after rescalings is judged,
   * they only describe it, and a few suffice.
   */
  private int drawsBeside(TensorGeometry.Causes causes) {
    boolean describes = options.draws() == 0 && !causes.rest().isEmpty();
    return describes ? NullSampler.Settings.TO_DESCRIBE : options.draws();
  }

  /** Adds the null models of an update to its measures. */
  private List<SpectrumMeasure> withNulls(
      TruncatedSvd.Result before,
      Operand after,
      List<Geometry> geometries,
      double deviation,
      int draws,
      Timer timer) {
    long start = System.nanoTime();
    List<List<NullDraws>> nulls = new ArrayList<>();
    ranks.forEach(rank -> nulls.add(new ArrayList<>()));
    NullSampler sampler =
        new NullSampler(
            context,
            new NullSampler.Update(
                base,
                after,
                before,
                geometries.get(0).base(),
                geometries.get(0).update(),
                deviation),
            new NullSampler.Settings(ranks, draws, options.tolerance(), seed),
            control);
    for (NullModel model : options.nulls()) {
      if (!sampler.canDraw(model)) {
        continue;
      }
      List<NullDraws> sampled = sampler.draw(model);
      for (int i = 0; i < ranks.size(); i++) {
        nulls.get(i).add(sampled.get(i));
      }
    }
    List<SignFlip.Moments> flipped =
        SignFlip.energy(
            context,
            Residual.of(base, after),
            new ProjectedEnergy.Bases(before.left().orElseThrow(), before.right().orElseThrow()),
            signFlips());
    List<SpectrumMeasure> spectra = new ArrayList<>();
    for (int i = 0; i < ranks.size(); i++) {
      Geometry geometry = geometries.get(i);
      double total = geometry.energy().total();
      spectra.add(
          new SpectrumMeasure(
              geometry,
              nulls.get(i),
              base.rows(),
              base.columns(),
              NullEstimate.analytic(
                  NullModel.SIGN_FLIPPED.label(),
                  flipped.get(i).mean() / total,
                  Math.sqrt(flipped.get(i).variance()) / total)));
    }
    timer.nulls += seconds(start);
    return spectra;
  }

  /**
   * Returns how accurately the variances of sign flips are computed. Probes of large matrices
   * depend on the signs of the singular vectors, so devices differ there by the tolerance.
   */
  private SignFlip.Options signFlips() {
    return entries() <= MOST_EXACT
        ? new SignFlip.Options(ranks, 0, seed)
        : SignFlip.Options.of(ranks.toArray(Integer[]::new));
  }

  /** Looks for causes that say nothing about training. */
  private TensorGeometry.Causes causes(
      TruncatedSvd.Result before, Bf16Diff.Result diff, Timer timer) {
    if (isChangeOfDtype(diff)) {
      return new TensorGeometry.Causes(
          Optional.of(TrivialCause.DTYPE), Optional.empty(), List.of());
    }
    // Training permutes nothing. Only its weights lie on a device, where Java cannot read them.
    boolean readable =
        Stream.of(base, tuned).noneMatch(side -> side.values().buffer().hasHostCopy());
    if (readable && keepsNorm(diff) && Permutation.leadsFrom(base, tuned)) {
      return new TensorGeometry.Causes(
          Optional.of(TrivialCause.PERMUTATION), Optional.empty(), List.of());
    }
    long start = System.nanoTime();
    Rescaling.Result fit = Rescaling.fit(context, base, tuned);
    timer.nulls += seconds(start);
    if (!fit.convergence().converged()) {
      return TensorGeometry.Causes.NONE;
    }
    RescalingMeasure rescaling = RescalingMeasure.of(fit);
    double relative = Math.sqrt(fit.squares().residual() / fit.squares().base());
    if (!rescaling.isPresent() || relative < SMALLEST_REST) {
      Optional<TrivialCause> whole =
          rescaling.isPresent() && fit.squares().residual() < NOTHING_LEFT * fit.squares().update()
              ? Optional.of(TrivialCause.RESCALING)
              : Optional.empty();
      return new TensorGeometry.Causes(whole, Optional.of(rescaling), List.of());
    }
    Matrix kept = SignFlip.kept(context, Residual.after(base, tuned, fit.factors()), Dtype.F32);
    try {
      Operand rest = Operand.of(kept);
      double deviation = Math.sqrt(fit.squares().residual() / entries());
      Optional<TrivialCause> whole =
          isRounding(rest, diff) ? Optional.of(TrivialCause.RESCALING) : Optional.empty();
      List<Geometry> geometries = geometries(before, rest, timer);
      return new TensorGeometry.Causes(
          whole,
          Optional.of(rescaling),
          withNulls(before, rest, geometries, deviation, options.draws(), timer));
    } finally {
      kept.buffer().close();
    }
  }

  private double entries() {
    return (double) base.rows() * base.columns();
  }

  /** Returns whether both sides have the same norm, up to the errors of sums. */
  private static boolean keepsNorm(Bf16Diff.Result diff) {
    double growth = 2 * diff.deltaDotBase() + diff.deltaSquares();
    return Math.abs(growth) <= SAME_NORM * diff.baseSquares();
  }

  /** Returns whether both sides are the same weights, rounded to different dtypes. */
  private boolean isChangeOfDtype(Bf16Diff.Result diff) {
    boolean coarse = base.isStoredAs(Dtype.BF16) && tuned.isStoredAs(Dtype.BF16);
    return !coarse
        && diff.changedStored() > 0
        && (COARSER.stream()
                .anyMatch(dtype -> DtypeChange.of(context, base, tuned, dtype).explainsAll())
            || areTwoRoundings(base, tuned)
            || areTwoRoundings(tuned, base));
  }

  /**
   * Returns whether the sides may be roundings of the same weights to bf16 and to float16. Then
   * neither is the other one rounded. But a number between two neighbours in bf16 is rounded to
   * float16 without crossing their midpoint, which float16 has. So the sides differ by at most half
   * a spacing of bf16. Below {@link #FIRST_NOT_FINER} float16 is the coarser dtype, and entries may
   * differ by more.
   */
  private boolean areTwoRoundings(Operand bf16, Operand float16) {
    if (!isRepresentable(bf16, Dtype.BF16) || !isRepresentable(float16, Dtype.F16)) {
      return false;
    }
    long beyond = DtypeChange.of(context, bf16, float16, Dtype.BF16).beyondHalf();
    if (beyond == 0) {
      return true;
    }
    MagnitudeOverlaps.Result magnitudes = MagnitudeOverlaps.of(context, bf16, List.of());
    int[] codes = magnitudes.codes();
    long[] counts = magnitudes.all();
    long small = 0;
    for (int i = 0; i < codes.length && codes[i] < FIRST_NOT_FINER; i++) {
      small += codes[i] == 0 ? 0 : counts[i];
    }
    return beyond <= small;
  }

  private boolean isRepresentable(Operand side, Dtype dtype) {
    return DtypeChange.of(context, side, side, dtype).tunedDiffers() == 0;
  }

  /**
   * Returns whether rounding explains what rescalings leave: nearly all entries that changed differ
   * by at most half a spacing.
   */
  private boolean isRounding(Operand rest, Bf16Diff.Result diff) {
    Dtype stored = tuned.values().dtype();
    return COARSER.contains(stored)
        && DtypeChange.of(context, base, rest, stored).beyondHalf()
            <= MOST_BEYOND * diff.changedStored();
  }

  /**
   * Returns the standard deviation of the Gaussian update whose norm after rounding is that of the
   * true update.
   */
  private double deviation(MagnitudeOverlaps.Result codes, double squares) {
    if (base.isStoredAs(Dtype.BF16) && tuned.isStoredAs(Dtype.BF16)) {
      return RoundTrip.deviation(codes.codes(), codes.all(), squares);
    }
    return Math.sqrt(squares / entries());
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

  private List<MaskMeasure> masks(
      TruncatedSvd.Result before, Mask update, MagnitudeOverlaps.Result codes) {
    List<MaskMeasure> all = new ArrayList<>();
    if (update.count() == 0) {
      return all;
    }
    MagnitudeBins bins = MagnitudeBins.of(codes.codes(), codes.all(), MagnitudeHistogram.CODES);
    ChangeModel model = ChangeModel.ofRanges(base, update, bins.ends());
    ChangeModel.Fit fit = model.fit(context);
    for (double alpha : options.alphas()) {
      long count = GeometryOptions.countOf(alpha, base.rows() * base.columns());
      Mask low = MaskSelection.smallest(context, base, count, control);
      for (int rank : ranks) {
        Mask principal =
            MaskSelection.principal(
                context, new MaskSelection.Leading(before, rank), count, control);
        Mask principalNotLow = MaskSets.combine(context, DIFFERENCE, principal, low);
        List<Mask> sets = List.of(principal, low, principalNotLow);
        List<Overlap.Conditional> known = conditional(model, fit, update, sets);
        all.add(
            new MaskMeasure(
                alpha,
                rank,
                overlap(update, principal, known, 0),
                complement(update, principal, known, 0),
                overlap(update, low, known, 1),
                overlap(update, principalNotLow, known, 2),
                complement(update, principalNotLow, known, 2),
                ChangeMap.of(List.of(principal))));
      }
    }
    return List.copyOf(all);
  }

  /** Tests sets under the model of rows, columns and magnitudes; empty if it has no fit. */
  private List<Overlap.Conditional> conditional(
      ChangeModel model, ChangeModel.Fit fit, Mask update, List<Mask> sets) {
    List<Overlap.Conditional> all = new ArrayList<>();
    if (fit.convergence().converged()) {
      List<ChangeModel.Score> scores = model.score(context, fit, sets);
      for (int i = 0; i < sets.size(); i++) {
        Mask common = MaskSets.combine(context, INTERSECTION, update, sets.get(i));
        double overlap = common.count() / (double) update.count();
        Overlap.Conditional.of(scores.get(i), update.count(), overlap).ifPresent(all::add);
      }
    }
    return all.size() == sets.size() ? all : List.of();
  }

  private Overlap overlap(Mask update, Mask mask, List<Overlap.Conditional> known, int index) {
    return Overlap.of(context, base, update, mask).with(known.stream().skip(index).findFirst());
  }

  private Overlap complement(Mask update, Mask mask, List<Overlap.Conditional> known, int index) {
    return Overlap.of(context, base, update, MaskSets.combine(context, COMPLEMENT, mask))
        .with(known.stream().skip(index).findFirst().map(Overlap.Conditional::complement));
  }
}
