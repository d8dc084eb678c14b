package org.threegate.analysis.nullmodel;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Optional;
import java.util.SplittableRandom;
import java.util.function.BiFunction;
import java.util.function.IntFunction;
import org.threegate.analysis.statistics.Energy;
import org.threegate.analysis.statistics.NullEstimate;
import org.threegate.analysis.statistics.Ratio;
import org.threegate.analysis.statistics.RoundTrip;
import org.threegate.analysis.statistics.Spectra;
import org.threegate.buffer.NativeBuffer;
import org.threegate.dtype.Dtype;
import org.threegate.kernel.Context;
import org.threegate.kernel.Control;
import org.threegate.kernel.MagnitudeHistogram;
import org.threegate.kernel.Matrix;
import org.threegate.kernel.NullUpdate;
import org.threegate.kernel.Operand;
import org.threegate.kernel.PrincipalAngles;
import org.threegate.kernel.ProjectedEnergy;
import org.threegate.kernel.Residual;
import org.threegate.kernel.SignFlip;
import org.threegate.kernel.SpectrumPerturbation;
import org.threegate.kernel.TruncatedSvd;
import org.threegate.run.CancelledException;

/**
 * Samples random updates of one matrix and measures them as the true update was measured.
 *
 * <p>In the singular bases of W0, each entry of an update is a weighted sum over all its entries.
 * If these are independent or permuted, the sum is normal by the central limit theorem, and only
 * its variance is needed. The update is therefore sampled in these bases, where W0 is diagonal and
 * perturbation theory gives the measures. The limit does not apply to small matrices, so their
 * updates are sampled entry by entry. Updates that are too large for perturbation theory are
 * decomposed.
 *
 * <pre>{@code
 * Operand before = Operand.of(Matrix.of(buffer, Dtype.BF16, 64, 64));
 * Operand after = Operand.of(Matrix.of(buffer, Dtype.BF16, 64, 64).at(8192));
 * TruncatedSvd.Request request = TruncatedSvd.Request.of(before, 16, 1e-6).withSpectrum();
 * TruncatedSvd.Request update = TruncatedSvd.Request.spectrum(after, 1e-6).minus(before);
 * try (TruncatedSvd.Result base = TruncatedSvd.of(context, request);
 *     TruncatedSvd.Result difference = TruncatedSvd.of(context, update)) {
 *   NullSampler sampler =
 *       new NullSampler(
 *           context,
 *           new NullSampler.Update(
 *               before,
 *               after,
 *               base,
 *               base.spectrum().orElseThrow(),
 *               difference.spectrum().orElseThrow(),
 *               1e-3),
 *           new NullSampler.Settings(List.of(6), 10, 1e-6, 0),
 *           control);
 *   System.out.println(sampler.draw(NullModel.NORM_MATCHED).get(0).nss()[0]);
 * }
 * }</pre>
 */
public final class NullSampler {
  /** Smallest short side for which entries in the singular bases are treated as normal. */
  static final long FEWEST_DIRECTIONS = 256;

  /**
   * Largest mixing for which the drift of perturbation theory is used as it is. It is then too
   * large by 1.5 % at most, while the smallest ratio of interest is 1.25.
   */
  private static final double MOST_MIXING = 0.2;

  /** Largest mixing of the leading directions with the next ones for which angles are used. */
  private static final double MOST_BOUNDARY_MIXING = 0.1;

  /**
   * Largest mixing for which perturbation theory is corrected by a few decompositions. Its drift is
   * then off by up to 7 %, by nearly the same factor in each draw of a null model.
   */
  private static final double MOST_CORRECTED = 1;

  /**
   * Largest exponent of singular values for which the matrix, and an update of a millionth of it,
   * are representable in float32.
   */
  private static final int LARGEST_EXPONENT = 100;

  /**
   * Number of standard errors from which the mean of a permuted update counts as nonzero. A nonzero
   * mean makes the update anisotropic.
   */
  private static final double LARGEST_MEAN = 5;

  /** No correction, for decompositions and exact distributions. */
  private static final BiFunction<Energy, Integer, Energy> NONE = (energy, index) -> energy;

  private final Context context;
  private final Operand base;
  private final Operand tuned;
  private final TruncatedSvd.Result before;
  private final double[] baseValues;
  private final double[] updateValues;
  private final double deviation;

  /** Unit of updates in the singular bases: approximately the largest singular value. */
  private final double unit;

  private final double[] scaledBase;

  private final List<Integer> ranks;
  private final long seed;
  private final Settings settings;
  private final Control control;

  /**
   * The factor of normal updates, which depends on their mixing and not on their null model. Where
   * draws only describe, it also serves updates with the singular values of the true one.
   */
  private final Correction ofNormal;

  /**
   * The true update that random updates are compared with.
   *
   * @param base the matrix before the update
   * @param tuned the matrix after it
   * @param decomposed leading triplets of the base, at least as many as the largest rank
   * @param baseValues all singular values of the base, descending, or its leading ones if {@code
   *     decomposed} is without a spectrum
   * @param updateValues all singular values of the update, descending, or its leading ones
   * @param deviation standard deviation of the norm-matched Gaussian entries, before rounding
   */
  public record Update(
      Operand base,
      Operand tuned,
      TruncatedSvd.Result decomposed,
      double[] baseValues,
      double[] updateValues,
      double deviation) {
    /** Copies the arrays. */
    public Update {
      baseValues = baseValues.clone();
      updateValues = updateValues.clone();
    }

    /** {@return a copy of the singular values of the base, descending} */
    @Override
    public double[] baseValues() {
      return baseValues.clone();
    }

    /** {@return a copy of the singular values of the update, descending} */
    @Override
    public double[] updateValues() {
      return updateValues.clone();
    }
  }

  /**
   * Settings for sampling and measuring random updates.
   *
   * @param ranks numbers of leading directions
   * @param draws number of draws of each null model; 0: chosen by the size of the matrix
   * @param tolerance relative tolerance of decompositions
   * @param seed seed of the draws
   */
  public record Settings(List<Integer> ranks, int draws, double tolerance, long seed) {
    /** Number of draws that suffices to describe an update on which no verdict rests. */
    public static final int TO_DESCRIBE = 4;

    private static final int FEWEST_DECOMPOSED = 4;
    private static final int MOST_DRAWS = 20;
    private static final long DECOMPOSED_SIDES = 2560;

    private boolean describes() {
      return draws == TO_DESCRIBE;
    }

    /** Returns the number of draws. Where each needs a decomposition, large matrices have fewer. */
    private int drawsOf(long shorter, boolean decomposed) {
      if (draws > 0) {
        return draws;
      }
      return decomposed
          ? (int) Math.max(FEWEST_DECOMPOSED, Math.min(MOST_DRAWS, DECOMPOSED_SIDES / shorter))
          : MOST_DRAWS;
    }
  }

  /**
   * Prepares to sample updates that resemble {@code observed}.
   *
   * @param context context that runs the kernels
   * @param observed the true update
   * @param settings ranks, draws, tolerance and seed
   * @param control cancels the sampling
   */
  public NullSampler(Context context, Update observed, Settings settings, Control control) {
    this.context = context;
    this.base = observed.base();
    this.tuned = observed.tuned();
    this.before = observed.decomposed();
    this.baseValues = observed.baseValues();
    this.updateValues = observed.updateValues();
    double largest = Math.max(baseValues[0], updateValues[0]);
    this.unit = Math.scalb(1.0, Math.getExponent(largest));
    this.scaledBase = scaled(baseValues);
    this.deviation = observed.deviation();
    this.settings = settings;
    this.ranks = settings.ranks();
    this.seed = settings.seed();
    this.control = control;
    this.ofNormal = new Correction(settings.describes() ? 1 : 2);
  }

  private double[] scaled(double[] values) {
    return Arrays.stream(values).map(value -> value / unit).toArray();
  }

  /**
   * {@return whether a null model can be drawn} If only leading singular values are known, draws
   * are matrices in float32 whose leading triplets are computed.
   *
   * @param model null model of the updates
   */
  public boolean canDraw(NullModel model) {
    return !isLeading() || (model != NullModel.SPECTRUM_PRESERVING && fitsFloat());
  }

  private boolean isLeading() {
    return before.spectrum().isEmpty();
  }

  private boolean fitsFloat() {
    return Math.abs(Math.getExponent(unit)) < LARGEST_EXPONENT;
  }

  /** The measures of one random update, one element per rank. */
  private record Drawn(
      boolean decomposed,
      double nss,
      double rSpec,
      List<double[]> angleU,
      List<double[]> angleV,
      List<Energy> energy) {
    /** Returns the draw with its spectral drift multiplied by a factor. */
    Drawn withDrift(double factor) {
      return new Drawn(decomposed, factor * nss, factor * rSpec, angleU, angleV, energy);
    }
  }

  /**
   * Samples updates of one model and measures them.
   *
   * @param model null model of the updates
   * @return one element per rank
   */
  public List<NullDraws> draw(NullModel model) {
    List<Drawn> drawn =
        model == NullModel.SPECTRUM_PRESERVING ? rotated() : draw(independent(model));
    List<NullDraws> byRank = new ArrayList<>();
    for (int i = 0; i < ranks.size(); i++) {
      byRank.add(collect(model, drawn, i));
    }
    return byRank;
  }

  /**
   * The factor between the exact drift and that of perturbation theory, from the first draws of a
   * null model. It is nearly the same in all draws, so the others need no decomposition.
   */
  private static final class Correction {
    /** Largest difference of the factors, which is well below the spread of draws. */
    private static final double MOST_SPREAD = 0.01;

    /** Largest relative difference of the mixing between updates with the same factor. */
    private static final double SAME_MIXING = 0.1;

    private final int decomposed;
    private final List<Double> factors = new ArrayList<>();
    private double mixing;

    /** Prepares a factor from so many decompositions. */
    Correction(int decomposed) {
      this.decomposed = decomposed;
    }

    void add(Drawn perturbed, Drawn exact, double own) {
      if (!isNear(own)) {
        factors.clear();
      }
      mixing = own;
      factors.add(Ratio.of(exact.nss(), perturbed.nss()));
    }

    private boolean isNear(double own) {
      return Math.abs(own - mixing) <= SAME_MIXING * mixing;
    }

    /**
     * Returns the factor for an update; empty if it is not known yet, or differs too much between
     * draws.
     */
    Optional<Double> factor(double own) {
      if (!isNear(own)) {
        return Optional.empty();
      }
      double least = factors.stream().mapToDouble(one -> one).min().orElse(0);
      double most = factors.stream().mapToDouble(one -> one).max().orElse(0);
      return factors.size() >= decomposed && most - least <= MOST_SPREAD
          ? Optional.of(factors.stream().mapToDouble(one -> one).average().orElseThrow())
          : Optional.empty();
    }
  }

  private List<Drawn> draw(IntFunction<Drawn> next) {
    List<Drawn> drawn = new ArrayList<>();
    boolean decomposed = false;
    while (drawn.size() < settings.drawsOf(shortSide(), decomposed)) {
      if (control.isCancelled()) {
        throw new CancelledException();
      }
      Drawn draw = next.apply(drawn.size());
      // The first decompositions may serve to correct perturbation theory, and say nothing yet.
      decomposed = draw.decomposed();
      drawn.add(draw);
    }
    return drawn;
  }

  /**
   * Samples updates with the singular values of the true update in random directions. Large
   * matrices use one rotation, which is shuffled for each draw. Small matrices have too few
   * positions for that, so each draw uses a new rotation.
   */
  private List<Drawn> rotated() {
    IntFunction<Matrix> next =
        draw ->
            NullUpdate.rotated(
                context,
                new NullUpdate.Spectrum(scaled(updateValues), longSide()),
                new NullUpdate.Draw(seed, draw));
    Correction correction = settings.describes() ? ofNormal : new Correction(2);
    if (isSmall()) {
      return draw(draw -> inBases(next.apply(draw), NONE, correction));
    }
    Matrix first = next.apply(0);
    try {
      return draw(
          draw ->
              inBases(
                  NullUpdate.shuffled(context, first, new NullUpdate.Draw(seed, draw)),
                  NONE,
                  correction));
    } finally {
      first.buffer().close();
    }
  }

  private long longSide() {
    return Math.max(base.rows(), base.columns());
  }

  private long shortSide() {
    return Math.min(base.rows(), base.columns());
  }

  /** Returns whether updates are sampled entry by entry. They must be representable in float32. */
  private boolean isSmall() {
    return shortSide() < FEWEST_DIRECTIONS && fitsFloat();
  }

  private boolean isTall() {
    return base.rows() >= base.columns();
  }

  /**
   * The normal distribution of an update in the singular bases, by the central limit theorem.
   *
   * @param variances variances of the entries in the singular bases, long side x short side
   * @param noise correction of the energies; empty if none is needed
   */
  private record NormalLaw(double[] variances, Optional<EnergyNoise> noise) {}

  private IntFunction<Drawn> independent(NullModel model) {
    Optional<NormalLaw> law = isSmall() || isLeading() ? Optional.empty() : law(model);
    if (law.isPresent()) {
      // Use a separate random stream for each model.
      long own = seed + model.ordinal();
      double[] variances = law.get().variances();
      return draw -> {
        SplittableRandom random = new SplittableRandom(own ^ (long) draw << 32);
        return inBases(
            NullUpdate.normal(
                context,
                new NullUpdate.Spectrum(scaledBase, longSide()),
                variances,
                new NullUpdate.Draw(own, draw)),
            (energy, index) ->
                law.get().noise().map(noise -> noise.add(energy, index, random)).orElse(energy),
            ofNormal);
      };
    }
    return draw -> entryByEntry(entries(model, new NullUpdate.Draw(seed, draw)));
  }

  private Optional<NormalLaw> law(NullModel model) {
    return switch (model) {
      case NORM_MATCHED -> normMatched();
      case PERMUTED_UPDATE -> permuted();
      case SIGN_FLIPPED -> Optional.of(signFlipped());
      case SPECTRUM_PRESERVING -> Optional.empty();
    };
  }

  /** Draws the base plus an update whose entries are independent or permuted. */
  private Matrix entries(NullModel model, NullUpdate.Draw draw) {
    return switch (model) {
      case PERMUTED_UPDATE ->
          NullUpdate.permuted(context, new NullUpdate.Pair(base, tuned), draw, control);
      case SIGN_FLIPPED -> SignFlip.draw(context, Residual.of(base, tuned), draw, Dtype.F32);
      case NORM_MATCHED, SPECTRUM_PRESERVING ->
          NullUpdate.gaussian(
              context,
              new NullUpdate.Noise(
                  base, deviation, tuned.isStoredAs(Dtype.BF16) ? Dtype.BF16 : Dtype.F32),
              draw,
              control);
    };
  }

  /** Returns the distribution of the update with random signs. Its energies are closed forms. */
  private NormalLaw signFlipped() {
    double[] variances =
        SignFlip.variances(
            context,
            Residual.of(base, tuned),
            new ProjectedEnergy.SingularBases(
                baseValues, before.left().orElseThrow(), before.right().orElseThrow()));
    return new NormalLaw(longByShort(variances), Optional.empty());
  }

  /** Orients variances as those of the long side by the short side, and scales them. */
  private double[] longByShort(double[] variances) {
    double[] oriented = new double[variances.length];
    int classes = (int) Math.sqrt(variances.length);
    for (int i = 0; i < classes; i++) {
      for (int j = 0; j < classes; j++) {
        int at = isTall() ? i * classes + j : j * classes + i;
        oriented[i * classes + j] = variances[at] / square(unit);
      }
    }
    return oriented;
  }

  private Optional<NormalLaw> normMatched() {
    if (tuned.values().dtype() != Dtype.BF16) {
      return Optional.of(new NormalLaw(everywhere(square(deviation / unit)), Optional.empty()));
    }
    if (!base.isStoredAs(Dtype.BF16) || !tuned.isStoredAs(Dtype.BF16)) {
      return Optional.empty();
    }
    double[] variances =
        ProjectedEnergy.variances(
            context,
            base,
            RoundTrip.variances(deviation),
            new ProjectedEnergy.SingularBases(
                baseValues, before.left().orElseThrow(), before.right().orElseThrow()));
    MagnitudeHistogram.Profile cumulants =
        MagnitudeHistogram.profile(context, base, RoundTrip.fourthCumulants(deviation));
    return Optional.of(
        new NormalLaw(
            longByShort(variances), Optional.of(noise(cumulants.rows(), cumulants.columns()))));
  }

  /**
   * Returns the distribution of a permuted update. It is isotropic, unless the entries have a
   * nonzero mean, which lies in one direction; then the result is empty.
   */
  private Optional<NormalLaw> permuted() {
    double entries = (double) base.rows() * base.columns();
    ProjectedEnergy.Result moments = moments();
    double variance = moments.total() / entries;
    if (moments.both() > LARGEST_MEAN * LARGEST_MEAN * variance) {
      return Optional.empty();
    }
    double cumulant = moments.fourth() / entries - 3 * variance * variance;
    double[] ofRows = new double[Math.toIntExact(base.rows())];
    double[] ofColumns = new double[Math.toIntExact(base.columns())];
    Arrays.fill(ofRows, cumulant * base.columns());
    Arrays.fill(ofColumns, cumulant * base.rows());
    return Optional.of(
        new NormalLaw(everywhere(variance / square(unit)), Optional.of(noise(ofRows, ofColumns))));
  }

  private EnergyNoise noise(double[] ofRows, double[] ofColumns) {
    double fourth = square(square(unit));
    return new EnergyNoise(
        Arrays.stream(ofRows).map(cumulant -> cumulant / fourth).toArray(),
        Arrays.stream(ofColumns).map(cumulant -> cumulant / fourth).toArray(),
        before.left().orElseThrow(),
        before.right().orElseThrow(),
        ranks);
  }

  private static double square(double value) {
    return value * value;
  }

  /**
   * Returns the moments of the true update's entries; {@code both} is (their sum)² / their number.
   */
  private ProjectedEnergy.Result moments() {
    try (NativeBuffer memory = context.allocate(8 * (base.rows() + base.columns()))) {
      for (long i = 0; i < base.rows() + base.columns(); i++) {
        long length = i < base.rows() ? base.rows() : base.columns();
        memory.putDouble(8 * i, 1 / Math.sqrt(length));
      }
      return ProjectedEnergy.ofDifference(
          context,
          tuned,
          base,
          new ProjectedEnergy.Bases(
              Matrix.of(memory, Dtype.F64, 1, base.rows()),
              Matrix.of(memory, Dtype.F64, 1, base.columns()).at(8 * base.rows())));
    }
  }

  private static double[] everywhere(double variance) {
    return new double[] {variance, 0, 0, 0};
  }

  /** Measures an update by a decomposition of W0 plus the update. */
  private Drawn entryByEntry(Matrix matrix) {
    try (TruncatedSvd.Result after = decompose(matrix)) {
      List<double[]> left = new ArrayList<>();
      List<double[]> right = new ArrayList<>();
      List<Energy> energy = new ArrayList<>();
      for (int rank : ranks) {
        Matrix left0 = before.left().orElseThrow().firstRows(rank);
        Matrix right0 = before.right().orElseThrow().firstRows(rank);
        left.add(angles(left0, after.left().orElseThrow()));
        right.add(angles(right0, after.right().orElseThrow()));
        energy.add(
            energy(
                ProjectedEnergy.ofDifference(
                    context, Operand.of(matrix), base, new ProjectedEnergy.Bases(left0, right0))));
      }
      return drawn(true, baseValues, after.spectrum(), left, right, energy);
    } finally {
      matrix.buffer().close();
    }
  }

  private static Energy energy(ProjectedEnergy.Result energy) {
    return new Energy(energy.total(), energy.left(), energy.right(), energy.both());
  }

  private TruncatedSvd.Result decompose(Matrix matrix) {
    TruncatedSvd.Request request =
        TruncatedSvd.Request.of(Operand.of(matrix), Collections.max(ranks), settings.tolerance());
    return TruncatedSvd.of(
            context, List.of(isLeading() ? request : request.withSpectrum()), control)
        .get(0);
  }

  private double[] angles(Matrix leading, Matrix vectors) {
    return PrincipalAngles.of(context, leading, vectors.firstRows(leading.rows()));
  }

  private static Drawn drawn(
      boolean decomposed,
      double[] base,
      Optional<double[]> after,
      List<double[]> left,
      List<double[]> right,
      List<Energy> energy) {
    double distance = after.map(own -> Spectra.distance(base, own)).orElse(Double.NaN);
    return new Drawn(
        decomposed,
        Ratio.of(distance, Spectra.norm(base)),
        Ratio.of(distance, Math.sqrt(energy.get(0).total())),
        left,
        right,
        energy);
  }

  /**
   * Measures an update from its core in the singular bases of W0, where these bases are unit
   * vectors.
   */
  private Drawn inBases(
      Matrix core, BiFunction<Energy, Integer, Energy> noise, Correction correction) {
    try {
      SpectrumPerturbation after = SpectrumPerturbation.of(context, scaledBase, core, ranks);
      List<Energy> energy = new ArrayList<>();
      for (int i = 0; i < ranks.size(); i++) {
        double ofLong = after.longEnergy()[i];
        double ofShort = after.shortEnergy()[i];
        Energy normal =
            new Energy(
                after.total(),
                isTall() ? ofLong : ofShort,
                isTall() ? ofShort : ofLong,
                after.bothEnergy()[i]);
        energy.add(noise.apply(normal, i));
      }
      if (after.mixing() > MOST_CORRECTED || after.boundaryMixing() > MOST_BOUNDARY_MIXING) {
        return decomposed(core, energy);
      }
      Drawn perturbed =
          drawn(
              false,
              scaledBase,
              Optional.of(after.values()),
              isTall() ? after.longAngles() : after.shortAngles(),
              isTall() ? after.shortAngles() : after.longAngles(),
              energy);
      if (after.mixing() <= MOST_MIXING) {
        return perturbed;
      }
      Optional<Double> factor = correction.factor(after.mixing());
      if (factor.isPresent()) {
        return perturbed.withDrift(factor.get());
      }
      Drawn exact = decomposed(core, energy);
      correction.add(perturbed, exact, after.mixing());
      return exact;
    } finally {
      core.buffer().close();
    }
  }

  /**
   * Measures an update by a decomposition of its core. Adds the singular values of W0 to the
   * diagonal of the core.
   */
  private Drawn decomposed(Matrix core, List<Energy> energy) {
    double[] values = scaledBase;
    for (int i = 0; i < values.length; i++) {
      long at = 4L * i * (values.length + 1);
      core.buffer().putFloat(at, (float) (core.buffer().getFloat(at) + values[i]));
    }
    int largest = Collections.max(ranks);
    try (TruncatedSvd.Result after = decompose(core);
        NativeBuffer units = context.allocate(8L * largest * core.rows())) {
      List<double[]> ofLong = new ArrayList<>();
      List<double[]> ofShort = new ArrayList<>();
      for (int rank : ranks) {
        ofLong.add(angles(units(units, rank, core.rows()), after.left().orElseThrow()));
        ofShort.add(angles(units(units, rank, core.columns()), after.right().orElseThrow()));
      }
      return drawn(
          true,
          scaledBase,
          after.spectrum(),
          isTall() ? ofLong : ofShort,
          isTall() ? ofShort : ofLong,
          energy);
    }
  }

  /** Returns the first unit vectors as rows, rank x length. */
  private static Matrix units(NativeBuffer memory, int rank, long length) {
    for (long i = 0; i < rank * length; i++) {
      memory.putDouble(8 * i, i % (length + 1) == 0 && i / length < rank ? 1 : 0);
    }
    return Matrix.of(memory, Dtype.F64, rank, length);
  }

  private static NullDraws collect(NullModel model, List<Drawn> drawn, int index) {
    return new NullDraws(
        model,
        drawn.stream().mapToDouble(Drawn::nss).toArray(),
        drawn.stream().mapToDouble(Drawn::rSpec).toArray(),
        new NullDraws.Angles(
            drawn.stream().mapToDouble(draw -> largest(draw.angleU().get(index))).toArray(),
            drawn.stream().mapToDouble(draw -> largest(draw.angleV().get(index))).toArray(),
            band(drawn.stream().map(draw -> draw.angleU().get(index)).toList()),
            band(drawn.stream().map(draw -> draw.angleV().get(index)).toList())),
        new NullDraws.EnergyShares(
            drawn.stream().mapToDouble(draw -> draw.energy().get(index).bothShare()).toArray(),
            drawn.stream().mapToDouble(draw -> draw.energy().get(index).leftEnergy()).toArray(),
            drawn.stream().mapToDouble(draw -> draw.energy().get(index).rightEnergy()).toArray()));
  }

  private static double largest(double[] angles) {
    return Arrays.stream(angles).max().orElse(0);
  }

  /** Returns mean and standard deviation of each angle over draws, 2 x k. */
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
}
