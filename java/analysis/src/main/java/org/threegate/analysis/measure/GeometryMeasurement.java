package org.threegate.analysis.measure;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Optional;
import org.threegate.analysis.statistics.NullEstimate;
import org.threegate.analysis.statistics.RoundTrip;
import org.threegate.analysis.statistics.Spectra;
import org.threegate.buffer.NativeBuffer;
import org.threegate.dtype.Dtype;
import org.threegate.kernel.Bf16Diff;
import org.threegate.kernel.Context;
import org.threegate.kernel.Control;
import org.threegate.kernel.MagnitudeHistogram;
import org.threegate.kernel.Mask;
import org.threegate.kernel.MaskSelection;
import org.threegate.kernel.Matrix;
import org.threegate.kernel.NullUpdate;
import org.threegate.kernel.Operand;
import org.threegate.kernel.PrincipalAngles;
import org.threegate.kernel.ProjectedEnergy;
import org.threegate.kernel.TruncatedSvd;

/**
 * Measures where one matrix' update lies in its geometry, beside null models: the same measures of
 * random updates.
 *
 * <pre>{@code
 * Operand before = Operand.of(Matrix.of(buffer, Dtype.BF16, 64, 64));
 * Operand after = Operand.of(Matrix.of(buffer, 8192, Dtype.BF16, 64, 64));
 * TensorGeometry geometry =
 *     GeometryMeasurement.of(context, "q_proj", before, after, GeometryOptions.DEFAULT, control);
 * SpectrumMeasure spectrum = geometry.spectra().get(0);
 * System.out.println(spectrum.geometry().drift() + " against " + spectrum.estimates(NullDraws::drift));
 * }</pre>
 */
public final class GeometryMeasurement {
  /** Longest short side that the kernels decompose. */
  static final long LONGEST_SHORT_SIDE = 16384;

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
   * @param name of the tensor: each has random updates of its own
   */
  public static TensorGeometry of(
      Context context,
      String name,
      Operand base,
      Operand tuned,
      GeometryOptions options,
      Control control) {
    if (base.rows() == 0 || base.columns() == 0) {
      return TensorGeometry.omitted("it has no entries");
    }
    if (Math.min(base.rows(), base.columns()) > LONGEST_SHORT_SIDE) {
      return TensorGeometry.omitted("its short side is above " + LONGEST_SHORT_SIDE);
    }
    Bf16Diff.Profiles mask = new Bf16Diff.Profiles(false, false, true, 0, 0);
    Bf16Diff.Result diff = Bf16Diff.compare(context, base, tuned, mask, control);
    if (diff.nonFinite() > 0) {
      return TensorGeometry.omitted("it has entries that are not finite");
    }
    if (diff.deltaSquares() == 0) {
      return TensorGeometry.omitted("it is unchanged");
    }
    return new GeometryMeasurement(context, name, base, tuned, options, control).measure(diff);
  }

  private static double seconds(long from) {
    return (System.nanoTime() - from) * 1e-9;
  }

  private TensorGeometry measure(Bf16Diff.Result diff) {
    Mask update = new Mask(base.rows(), base.columns(), diff.mask().orElseThrow());
    long[] codes = MagnitudeHistogram.of(context, base, update, update).all();
    double deviation = deviation(codes, diff.deltaSquares());
    long start = System.nanoTime();
    try (TruncatedSvd.Result before =
        Geometry.decompose(context, base, Collections.max(ranks), options.tolerance(), control)) {
      List<Geometry> geometries =
          Geometry.of(context, base, before, tuned, ranks, options.tolerance(), control);
      double spectrumSeconds = seconds(start);
      start = System.nanoTime();
      List<List<NullDraws>> nulls = new ArrayList<>();
      ranks.forEach(rank -> nulls.add(new ArrayList<>()));
      for (NullModel model : options.nulls()) {
        List<NullDraws> draws = draw(model, before, geometries.get(0), deviation);
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
      Optional<NullEstimate> unchanged =
          isBf16(base) ? Optional.of(RoundTrip.unchanged(codes, deviation)) : Optional.empty();
      return new TensorGeometry(
          Optional.empty(),
          spectra,
          masks,
          Optional.of(Banding.of(context, base, update)),
          unchanged,
          spectrumSeconds,
          nullSeconds,
          seconds(start));
    }
  }

  private static boolean isBf16(Operand operand) {
    return operand.values().dtype() == Dtype.BF16
        && operand.blockScale().isEmpty()
        && operand.lowRank().isEmpty();
  }

  /** Of the Gaussian whose realised norm is the update's. */
  private double deviation(long[] codes, double squares) {
    if (isBf16(base) && isBf16(tuned)) {
      return RoundTrip.deviation(codes, squares);
    }
    return Math.sqrt(squares / ((double) base.rows() * base.columns()));
  }

  /** The measures of one random update, by rank. */
  private record Drawn(
      double drift,
      double spectralResidual,
      List<double[]> anglesLeft,
      List<double[]> anglesRight,
      List<Energy> energy) {}

  private List<NullDraws> draw(
      NullModel model, TruncatedSvd.Result before, Geometry observed, double deviation) {
    List<Drawn> drawn = new ArrayList<>();
    int draws = options.drawsOf(Math.min(base.rows(), base.columns()));
    for (int draw = 0; draw < draws; draw++) {
      drawn.add(
          switch (model) {
            case NORM_MATCHED ->
                perturbed(
                    before,
                    NullUpdate.gaussian(
                        context,
                        base,
                        deviation,
                        isBf16(tuned) ? Dtype.BF16 : Dtype.F32,
                        seed,
                        draw,
                        control));
            case PERMUTED_UPDATE ->
                perturbed(before, NullUpdate.permuted(context, base, tuned, seed, draw, control));
            case SPECTRUM_PRESERVING -> rotated(observed, draw);
          });
    }
    List<NullDraws> byRank = new ArrayList<>();
    for (int i = 0; i < ranks.size(); i++) {
      byRank.add(collect(model, drawn, i));
    }
    return byRank;
  }

  private static NullDraws collect(NullModel model, List<Drawn> drawn, int index) {
    return new NullDraws(
        model.label(),
        drawn.stream().mapToDouble(Drawn::drift).toArray(),
        drawn.stream().mapToDouble(Drawn::spectralResidual).toArray(),
        drawn.stream().mapToDouble(draw -> Geometry.max(draw.anglesLeft().get(index))).toArray(),
        drawn.stream().mapToDouble(draw -> Geometry.max(draw.anglesRight().get(index))).toArray(),
        drawn.stream().mapToDouble(draw -> draw.energy().get(index).bothShare()).toArray(),
        drawn.stream().mapToDouble(draw -> draw.energy().get(index).leftShare()).toArray(),
        drawn.stream().mapToDouble(draw -> draw.energy().get(index).rightShare()).toArray(),
        band(drawn.stream().map(draw -> draw.anglesLeft().get(index)).toList()),
        band(drawn.stream().map(draw -> draw.anglesRight().get(index)).toList()));
  }

  /** Mean and sd of each angle over draws. */
  private static double[][] band(List<double[]> angles) {
    int rank = angles.get(0).length;
    double[][] band = new double[2][rank];
    for (int i = 0; i < rank; i++) {
      int at = i;
      NullEstimate estimate =
          NullEstimate.of("", angles.stream().mapToDouble(draw -> draw[at]).toArray());
      band[0][i] = estimate.mean();
      band[1][i] = estimate.sd();
    }
    return band;
  }

  private Drawn perturbed(TruncatedSvd.Result before, Matrix matrix) {
    try (TruncatedSvd.Result after =
        Geometry.decompose(
            context, Operand.of(matrix), Collections.max(ranks), options.tolerance(), control)) {
      List<double[]> left = new ArrayList<>();
      List<double[]> right = new ArrayList<>();
      List<Energy> energy = new ArrayList<>();
      for (int rank : ranks) {
        Matrix left0 = Geometry.leading(before.left().orElseThrow(), rank);
        Matrix right0 = Geometry.leading(before.right().orElseThrow(), rank);
        left.add(
            PrincipalAngles.of(context, left0, Geometry.leading(after.left().orElseThrow(), rank)));
        right.add(
            PrincipalAngles.of(
                context, right0, Geometry.leading(after.right().orElseThrow(), rank)));
        energy.add(
            Energy.of(
                ProjectedEnergy.of(context, Operand.of(matrix), Optional.of(base), left0, right0)));
      }
      return drawn(
          before.spectrum().orElseThrow(),
          after.spectrum().orElseThrow(),
          energy.get(0).total(),
          left,
          right,
          energy);
    } finally {
      matrix.buffer().close();
    }
  }

  private static Drawn drawn(
      double[] before,
      double[] after,
      double squares,
      List<double[]> left,
      List<double[]> right,
      List<Energy> energy) {
    return new Drawn(
        Spectra.drift(before, after),
        Spectra.distance(before, after) / Math.sqrt(squares),
        left,
        right,
        energy);
  }

  /** In the singular bases of the base, where they are unit vectors. */
  private Drawn rotated(Geometry observed, int draw) {
    // The core is float32, so its diagonal is too: the base is taken as that.
    double[] values = Arrays.stream(observed.base()).map(value -> (float) value).toArray();
    boolean tall = base.rows() >= base.columns();
    long longSide = Math.max(base.rows(), base.columns());
    int largest = Collections.max(ranks);
    Matrix core = NullUpdate.rotated(context, values, observed.update(), longSide, seed, draw);
    try (TruncatedSvd.Result after =
            Geometry.decompose(context, Operand.of(core), largest, options.tolerance(), control);
        NativeBuffer units = context.allocate(8L * largest * core.rows())) {
      List<double[]> ofLong = new ArrayList<>();
      List<double[]> ofShort = new ArrayList<>();
      List<Energy> energy = new ArrayList<>();
      for (int rank : ranks) {
        ofLong.add(
            PrincipalAngles.of(
                context,
                units(units, rank, core.rows()),
                Geometry.leading(after.left().orElseThrow(), rank)));
        ofShort.add(
            PrincipalAngles.of(
                context,
                units(units, rank, core.columns()),
                Geometry.leading(after.right().orElseThrow(), rank)));
        energy.add(coreEnergy(core, values, rank, tall));
      }
      return drawn(
          values,
          after.spectrum().orElseThrow(),
          energy.get(0).total(),
          tall ? ofLong : ofShort,
          tall ? ofShort : ofLong,
          energy);
    } finally {
      core.buffer().close();
    }
  }

  /** The first unit vectors as rows. */
  private static Matrix units(NativeBuffer memory, int rank, long length) {
    for (long i = 0; i < rank * length; i++) {
      memory.putDouble(8 * i, i % (length + 1) == 0 && i / length < rank ? 1 : 0);
    }
    return Matrix.of(memory, 0, Dtype.F64, rank, length);
  }

  /** Energies of the update in the core: without the base, which is its diagonal. */
  private static Energy coreEnergy(Matrix core, double[] values, int rank, boolean tall) {
    double total = 0;
    double ofLong = 0;
    double ofShort = 0;
    double both = 0;
    for (int i = 0; i < core.rows(); i++) {
      double row = 0;
      double leading = 0;
      for (int j = 0; j < core.columns(); j++) {
        double entry = core.buffer().getFloat(4L * (i * core.columns() + j));
        double update = i == j ? entry - values[i] : entry;
        row += update * update;
        leading += j < rank ? update * update : 0;
      }
      total += row;
      ofShort += leading;
      ofLong += i < rank ? row : 0;
      both += i < rank ? leading : 0;
    }
    return new Energy(total, tall ? ofLong : ofShort, tall ? ofShort : ofLong, both);
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
        Mask principal = MaskSelection.principal(context, before, rank, count, control);
        Mask complement = principal.complement();
        all.add(
            new MaskMeasure(
                alpha,
                rank,
                Overlap.of(context, base, update, principal),
                Overlap.of(context, base, update, complement),
                ofLow,
                Overlap.of(context, base, update, principal.andNot(low)),
                Overlap.of(context, base, update, low.or(complement)),
                map(principal)));
      }
    }
    return List.copyOf(all);
  }

  private static ChangeMap map(Mask mask) {
    int rows = (int) Math.min(mask.rows(), Comparison.MAP_SIZE);
    int columns = (int) Math.min(mask.columns(), Comparison.MAP_SIZE);
    return new ChangeMap(rows, columns, mask.map(rows, columns));
  }
}
