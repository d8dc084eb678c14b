package org.threegate.analysis.curvature;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.EnumMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.SplittableRandom;
import org.threegate.analysis.statistics.ClusteredMean;
import org.threegate.analysis.statistics.Effect;
import org.threegate.analysis.statistics.NullEstimate;
import org.threegate.analysis.statistics.PairedComparison;
import org.threegate.buffer.NativeBuffer;
import org.threegate.dtype.Dtype;
import org.threegate.kernel.Context;
import org.threegate.kernel.Control;
import org.threegate.kernel.Direction;
import org.threegate.kernel.DirectionEntries;
import org.threegate.kernel.LayerSamples;
import org.threegate.kernel.Mask;
import org.threegate.kernel.MaskSelection;
import org.threegate.kernel.Matrix;
import org.threegate.kernel.Operand;
import org.threegate.kernel.PrincipalAngles;
import org.threegate.kernel.TokenProducts;
import org.threegate.kernel.TruncatedSvd;
import org.threegate.run.Progress;

/**
 * Measures the curvature of a layer along its update, its parts, and random directions of the same
 * length, on the same tokens (THEORY, section 3).
 */
final class LayerExperiment {
  private static final int KINDS = 4; // kinds of random directions, each with its own numbers
  private static final int MOST_SPECTRUM = 32; // singular values of an update to match
  private static final int MOST_SPAN = 8; // directions of the update to search for least curvature
  private static final int MOST_EIGENVECTORS = 16; // eigenvectors of a K-FAC factor
  private static final long LARGEST_FACTOR = 8192; // largest side of a factor to form

  // Relative to the squared norm of the update. The principal part is computed in float32; smaller
  // values are rounding.
  private static final double SMALLEST_SHARE = 1e-6;
  // Sides from which one random basis is shuffled for each draw, in place of a new one.
  private static final int SHUFFLED_SIDE = 256;
  private static final int DENSITY_STEPS = 20; // Lanczos steps per probe
  private static final int DENSITY_DECADES =
      8; // decades below the largest eigenvalue; smaller ones count as 0
  private static final double DENSITY_WIDTH = 0.1; // width of the kernel in decades

  private static final Along[][] COMPARED = {
    {Along.UPDATE, Along.ISOTROPIC},
    {Along.UPDATE, Along.SPECTRUM_MATCHED},
    {Along.UPDATE, Along.SIGN_FLIPPED},
    {Along.PRINCIPAL, Along.COMPLEMENT},
    {Along.PRINCIPAL, Along.RANDOM_SUBSPACE},
    {Along.PRINCIPAL, Along.ISOTROPIC},
    {Along.PRINCIPAL_MASK, Along.LOW_MASK}
  };

  private final Context context;
  private final FisherKind fisher;
  private final CurvatureOptions options;
  private final Control control;

  /**
   * Creates an experiment.
   *
   * @param fisher source of the labels of the gradients
   */
  LayerExperiment(Context context, FisherKind fisher, CurvatureOptions options, Control control) {
    this.context = context;
    this.fisher = fisher;
    this.options = options;
    this.control = control;
  }

  /** The slopes along a direction, one per unit, and the squared length of the direction. */
  private record Slopes(double[] values, double square) {
    /** Returns the curvature per token along the direction scaled to unit length. */
    double[] squares() {
      return Arrays.stream(values).map(value -> value * value / square).toArray();
    }
  }

  /**
   * Measures one layer.
   *
   * @param base weights before the update, m x n as in the samples of the layer
   * @param tuned weights after the update, of the same shape
   * @throws IllegalArgumentException if the shapes differ, there are fewer than two sequences, or
   *     all gradients are zero
   */
  LayerCurvature measure(Capture.Layer layer, String kind, Operand base, Operand tuned) {
    LayerSamples samples = layer.samples();
    if (base.rows() != samples.outputs() || base.columns() != samples.inputs()) {
      throw new IllegalArgumentException(
          "the weights are "
              + base.rows()
              + " x "
              + base.columns()
              + ", but the samples belong to a layer of "
              + samples.outputs()
              + " x "
              + samples.inputs());
    }
    long sequences = Arrays.stream(layer.sequences()).distinct().count();
    if (sequences < 2) {
      throw new IllegalArgumentException(
          "all tokens belong to one sequence; error estimates need at least two sequences, and"
              + " twenty to be reliable");
    }
    int rank = options.rankOf(Math.min(base.rows(), base.columns()));
    TruncatedSvd.Request request = TruncatedSvd.Request.of(base, rank, options.tolerance());
    try (TruncatedSvd.Result before = TruncatedSvd.of(context, List.of(request), control).get(0)) {
      return new Measurement(layer, kind, base, tuned, before, rank).run();
    }
  }

  /** The measurement of one layer. */
  private final class Measurement {
    private final Capture.Layer layer;
    private final String kind;
    private final LayerSamples samples;
    private final Operand base;
    private final Operand tuned;
    private final Direction.Entries update;
    private final TruncatedSvd.Result before;
    private final int rank;
    private final int rows;
    private final int columns;
    // The unit of each token, and the sequence of each unit.
    private final int[] units;
    private final long[] unitSequences;
    private final Map<Along, double[]> curvatures = new EnumMap<>(Along.class);
    private final Map<Along, Double> shares = new EnumMap<>(Along.class);
    private final Map<Along, Double> deviations = new EnumMap<>(Along.class);
    private final Map<Along, double[]> drawn = new EnumMap<>(Along.class);
    private final long seed;

    Measurement(
        Capture.Layer layer,
        String kind,
        Operand base,
        Operand tuned,
        TruncatedSvd.Result before,
        int rank) {
      this.layer = layer;
      this.kind = kind;
      this.samples = layer.samples();
      this.base = base;
      this.tuned = tuned;
      this.update = Direction.update(base, tuned);
      this.before = before;
      this.rank = rank;
      this.rows = Math.toIntExact(base.rows());
      this.columns = Math.toIntExact(base.columns());
      this.seed = Vectors.seed(options.seed(), layer.name());
      this.units = new int[samples.tokens()];
      if (options.unit() == SlopeUnit.TOKEN) {
        Arrays.setAll(units, token -> token);
        this.unitSequences = layer.sequences();
      } else {
        Map<Long, Integer> known = new LinkedHashMap<>();
        long[] tokenSequences = layer.sequences();
        for (int token = 0; token < units.length; token++) {
          units[token] = known.computeIfAbsent(tokenSequences[token], id -> known.size());
        }
        this.unitSequences = known.keySet().stream().mapToLong(Long::longValue).toArray();
      }
    }

    LayerCurvature run() {
      Slopes along = masked();
      principal(along);
      double least = random(along);
      List<LayerCurvature.Comparison> comparisons = new ArrayList<>();
      for (Along[] pair : COMPARED) {
        if (curvatures.containsKey(pair[0]) && curvatures.containsKey(pair[1])) {
          comparisons.add(
              new LayerCurvature.Comparison(
                  pair[0],
                  pair[1],
                  PairedComparison.of(
                      curvatures.get(pair[0]), curvatures.get(pair[1]), unitSequences),
                  effect(pair[0], pair[1])));
        }
      }
      Map<Along, ClusteredMean> means = new EnumMap<>(Along.class);
      curvatures.forEach(
          (name, values) -> means.put(name, ClusteredMean.of(values, unitSequences)));
      return new LayerCurvature(
          layer.name(),
          kind,
          samples.tokens(),
          rank,
          along.square(),
          new LayerCurvature.Directions(means, shares, deviations, options.draws()),
          List.copyOf(comparisons),
          sequences(along.values()),
          new LayerCurvature.Spectrum(least, overlap(true), overlap(false), density()));
    }

    /**
     * Returns the ratio of two curvatures. Its variance is that over sequences, and for random
     * directions also that over draws: the update is one direction, and a random direction differs
     * from their mean, too. Curvatures of random directions are skewed, and their logarithms are
     * much less so (THEORY, section 6).
     */
    private Effect effect(Along first, Along second) {
      double[] own = curvatures.get(first);
      double[] other = curvatures.get(second);
      double ownMean = Vectors.mean(own);
      double otherMean = Vectors.mean(other);
      double[] relative = new double[own.length];
      Arrays.setAll(relative, unit -> own[unit] / ownMean - other[unit] / otherMean);
      ClusteredMean sampled = ClusteredMean.of(relative, unitSequences);
      Effect ofSamples =
          new Effect(
              Math.log(ownMean) - Math.log(otherMean), sampled.se(), sampled.clusters() - 1.0);
      return drawn.containsKey(second)
          ? ofSamples.withDraws(Math.log(ownMean), Vectors.logarithms(drawn.get(second)))
          : ofSamples;
    }

    private List<LayerCurvature.Sequence> sequences(double[] slopes) {
      // Slopes of sequences are scaled; slopes of tokens are summed.
      double scale =
          options.unit() == SlopeUnit.TOKEN
              ? 1
              : Math.sqrt((double) samples.tokens() / unitSequences.length);
      Map<Long, LayerCurvature.Sequence> sums = new LinkedHashMap<>();
      for (long id : layer.sequences()) {
        sums.merge(id, new LayerCurvature.Sequence(id, 0, 1), LayerCurvature.Sequence::plus);
      }
      for (int unit = 0; unit < slopes.length; unit++) {
        sums.merge(
            unitSequences[unit],
            new LayerCurvature.Sequence(unitSequences[unit], scale * slopes[unit], 0),
            LayerCurvature.Sequence::plus);
      }
      return List.copyOf(sums.values());
    }

    private Slopes[] slopes(List<? extends Direction> directions) {
      LayerSamples.Slopes found = samples.slopes(context, directions, control);
      Slopes[] result = new Slopes[directions.size()];
      double[] squares = found.squares();
      Arrays.setAll(result, i -> new Slopes(ofUnits(found.along(i)), squares[i]));
      return result;
    }

    /**
     * Scales slopes so that their mean square is the sum over units divided by the number of
     * tokens.
     */
    private double[] ofUnits(double[] slopes) {
      if (options.unit() == SlopeUnit.TOKEN) {
        return slopes;
      }
      double[] sums = new double[unitSequences.length];
      for (int token = 0; token < slopes.length; token++) {
        sums[units[token]] += slopes[token];
      }
      Vectors.scale(sums, Math.sqrt((double) sums.length / slopes.length));
      return sums;
    }

    /** Measures the update and its parts in the masks. */
    private Slopes masked() {
      long count = Math.round(options.alpha() * rows * (double) columns);
      Mask principal = MaskSelection.principal(context, before, count, control);
      Mask low = MaskSelection.smallest(context, base, count, control);
      Slopes[] found = slopes(List.of(update, update.within(principal), update.within(low)));
      if (found[0].square() == 0) {
        throw new IllegalArgumentException("the update is zero");
      }
      if (Arrays.stream(found[0].values()).allMatch(slope -> slope == 0) && gradientsVanish()) {
        throw new IllegalArgumentException("all gradients are zero");
      }
      add(Along.UPDATE, found[0], found[0]);
      add(Along.PRINCIPAL_MASK, found[1], found[0]);
      add(Along.LOW_MASK, found[2], found[0]);
      return found[0];
    }

    private boolean gradientsVanish() {
      double[] products = new double[Math.multiplyExact(rows, rows)];
      samples.addGradientProducts(context, products, control);
      for (int i = 0; i < rows; i++) {
        if (products[i * rows + i] != 0) {
          return false;
        }
      }
      return true;
    }

    private void add(Along along, Slopes slopes, Slopes whole) {
      if (slopes.square() > SMALLEST_SHARE * whole.square()) {
        curvatures.put(along, slopes.squares());
        shares.put(along, slopes.square() / whole.square());
      }
    }

    /** Measures the principal part of the update, its complement, and random parts. */
    private void principal(Slopes whole) {
      double[][] left = vectors(before.left().orElseThrow());
      double[][] right = vectors(before.right().orElseThrow());
      try (NativeBuffer values = DirectionEntries.of(context, update)) {
        Matrix entries = Matrix.of(values, Dtype.F64, rows, columns);
        Slopes part = part(entries, left, right);
        add(Along.PRINCIPAL, part, whole);
        double[] rest = whole.values().clone();
        Vectors.add(rest, -1, part.values());
        // The complement is orthogonal to the principal part.
        add(Along.COMPLEMENT, new Slopes(rest, whole.square() - part.square()), whole);
        if (curvatures.containsKey(Along.PRINCIPAL)) {
          randomParts(entries);
        }
      }
    }

    /** Measures the parts of the update in random subspaces of the principal dimension. */
    private void randomParts(Matrix entries) {
      double[][] squares = new double[options.draws()][];
      double[][] left = {};
      double[][] right = {};
      boolean shuffle = Math.min(rows, columns) >= SHUFFLED_SIDE;
      for (int draw = 0; draw < squares.length; draw++) {
        SplittableRandom random = Vectors.random(seed, KINDS * draw + 3);
        if (draw == 0 || !shuffle) {
          left = Vectors.orthonormal(rank, rows, random);
          right = Vectors.orthonormal(rank, columns, random);
        } else {
          Vectors.shuffle(left, random);
          Vectors.shuffle(right, random);
        }
        squares[draw] = part(entries, left, right).squares();
      }
      addDraws(Along.RANDOM_SUBSPACE, squares);
    }

    /** Measures the projection of the update onto the spans of left and right vectors. */
    private Slopes part(Matrix entries, double[][] left, double[][] right) {
      double[] transposed = new double[rows * rank];
      for (int k = 0; k < rank; k++) {
        for (int i = 0; i < rows; i++) {
          transposed[i * rank + k] = left[k][i];
        }
      }
      try (NativeBuffer memory = context.allocate(8L * rank * (rows + columns))) {
        memory.putDoubles(0, transposed);
        Matrix tall = Matrix.of(memory, Dtype.F64, rows, rank);
        Matrix wide = Matrix.of(memory, Dtype.F64, rank, columns).at(8L * rank * rows);
        double[] products = new double[rank * columns]; // Uᵀ ΔW
        TokenProducts.add(context, TokenProducts.Factors.of(tall, entries), products, control);
        for (int k = 0; k < rank; k++) {
          double[] half = Arrays.copyOfRange(products, k * columns, (k + 1) * columns);
          double[] combined = new double[columns];
          for (double[] vector : right) {
            Vectors.add(combined, Vectors.dot(half, vector), vector);
          }
          memory.putDoubles(8L * (rank * rows + k * columns), combined);
        }
        return slopes(List.of(Direction.of(tall, wide)))[0];
      }
    }

    private double[][] vectors(Matrix basis) {
      double[][] result = new double[rank][];
      for (int k = 0; k < rank; k++) {
        result[k] =
            basis.buffer().getDoubles(basis.offset() + 8L * k * basis.rowStride(), basis.columns());
      }
      return result;
    }

    /**
     * Measures random directions. Returns the least curvature in the span of the leading directions
     * of the update.
     */
    private double random(Slopes whole) {
      int known = Math.min(MOST_SPECTRUM, Math.max(1, Math.min(rows, columns) / 2));
      TruncatedSvd.Request request =
          TruncatedSvd.Request.of(tuned, known, options.tolerance()).minus(base);
      try (TruncatedSvd.Result of = TruncatedSvd.of(context, List.of(request), control).get(0)) {
        double[] values = of.values();
        double[][] isotropic = new double[options.draws()][];
        double[][] matched = new double[options.draws()][];
        double[][] flipped = new double[options.draws()][];
        for (int draw = 0; draw < options.draws(); draw++) {
          Slopes gaussian = gaussian(KINDS * draw);
          isotropic[draw] = gaussian.squares();
          matched[draw] = matched(values, whole.square(), KINDS * draw + 1).squares();
          flipped[draw] = flipped(KINDS * draw + 2).squares();
        }
        addDraws(Along.ISOTROPIC, isotropic);
        addDraws(Along.SPECTRUM_MATCHED, matched);
        addDraws(Along.SIGN_FLIPPED, flipped);
        return least(of, Math.min(MOST_SPAN, known));
      }
    }

    private void addDraws(Along along, double[][] draws) {
      double[] mean = new double[unitSequences.length];
      double[] each = new double[draws.length];
      for (int i = 0; i < draws.length; i++) {
        Vectors.add(mean, 1.0 / draws.length, draws[i]);
        each[i] = Arrays.stream(draws[i]).average().orElseThrow();
      }
      curvatures.put(along, mean);
      drawn.put(along, each);
      deviations.put(along, NullEstimate.of(along.label(), each).sd());
    }

    private Slopes gaussian(int sample) {
      SplittableRandom random = Vectors.random(seed, sample);
      try (NativeBuffer memory = context.allocate(4L * rows * columns)) {
        for (long i = 0; i < (long) rows * columns; i++) {
          memory.putFloat(4 * i, (float) Vectors.gaussian(random));
        }
        Matrix entries = Matrix.of(memory, Dtype.F32, rows, columns);
        return slopes(List.of(Direction.of(Operand.of(entries))))[0];
      }
    }

    private Slopes flipped(int sample) {
      SplittableRandom random = Vectors.random(seed, sample);
      try (NativeBuffer values = DirectionEntries.of(context, update)) {
        for (long i = 0; i < (long) rows * columns; i++) {
          if (random.nextBoolean()) {
            values.putDouble(8 * i, -values.getDouble(8 * i));
          }
        }
        Matrix entries = Matrix.of(values, Dtype.F64, rows, columns);
        return slopes(List.of(Direction.of(Operand.of(entries))))[0];
      }
    }

    /**
     * Measures a random direction with the leading singular values of the update. The rest of the
     * norm is spread evenly.
     */
    private Slopes matched(double[] values, double square, int sample) {
      SplittableRandom random = Vectors.random(seed, sample);
      int known = values.length;
      double[][] left = Vectors.orthonormal(known, rows, random);
      double[][] right = Vectors.orthonormal(known, columns, random);
      double leading = Arrays.stream(values).map(value -> value * value).sum();
      Slopes rest = gaussian(-1 - sample);
      double scale = Math.sqrt(Math.max(0, square - leading) / rest.square());
      try (NativeBuffer memory = context.allocate(8L * known * (rows + columns))) {
        for (int k = 0; k < known; k++) {
          for (int i = 0; i < rows; i++) {
            memory.putDouble(8L * (i * known + k), values[k] * left[k][i]);
          }
          memory.putDoubles(8L * (known * rows + k * columns), right[k]);
        }
        Matrix tall = Matrix.of(memory, Dtype.F64, rows, known);
        Matrix wide = Matrix.of(memory, Dtype.F64, known, columns).at(8L * known * rows);
        double[] slopes = slopes(List.of(Direction.of(tall, wide)))[0].values().clone();
        Vectors.add(slopes, scale, rest.values());
        // The cross term of both parts is left out, because its mean is zero.
        return new Slopes(slopes, Math.max(square, leading));
      }
    }

    private double least(TruncatedSvd.Result of, int span) {
      double[][] slopes = new double[span][];
      double[][] left = new double[span][];
      try (NativeBuffer memory = context.allocate(8L * span * (rows + columns))) {
        List<Direction> directions = new ArrayList<>();
        Matrix bases = of.left().orElseThrow();
        Matrix others = of.right().orElseThrow();
        for (int k = 0; k < span; k++) {
          left[k] = bases.buffer().getDoubles(bases.offset() + 8L * k * rows, rows);
          memory.putDoubles(8L * k * rows, left[k]);
          long at = 8L * (span * rows + k * columns);
          memory.putDoubles(
              at, others.buffer().getDoubles(others.offset() + 8L * k * columns, columns));
          directions.add(
              Direction.of(
                  Matrix.of(memory, Dtype.F64, rows, 1).at(8L * k * rows),
                  Matrix.of(memory, Dtype.F64, 1, columns).at(at)));
        }
        Slopes[] found = slopes(directions);
        Arrays.setAll(slopes, k -> found[k].values());
      }
      double[] gram = new double[span * span];
      for (int k = 0; k < span; k++) {
        for (int l = 0; l <= k; l++) {
          gram[k * span + l] = Vectors.dot(slopes[k], slopes[l]) / unitSequences.length;
          gram[l * span + k] = gram[k * span + l];
        }
      }
      Lanczos lanczos = Lanczos.start(new ExplicitOperator(gram, span), 1);
      lanczos.extend(span, Progress.NONE);
      double[] values = lanczos.result(0).values();
      return values.length < span ? 0 : Math.max(0, values[values.length - 1]);
    }

    private Optional<LayerCurvature.Density> density() {
      if (options.probes() == 0) {
        return Optional.empty();
      }
      LayerFisher ofTokens = LayerFisher.of(context, List.of(samples), fisher, control);
      LayerFisher operator =
          options.unit() == SlopeUnit.TOKEN ? ofTokens : ofTokens.ofSequences(layer.sequences());
      SpectralDensity density =
          SpectralDensity.EMPTY.extend(
              operator, options.probes(), DENSITY_STEPS, options.seed(), Progress.NONE);
      double largest =
          density.rules().stream().mapToDouble(rule -> rule.nodes()[0]).max().orElseThrow();
      double top = Math.log10(largest);
      double[] decades = new double[DENSITY_DECADES * 10 + 6];
      Arrays.setAll(decades, i -> top - DENSITY_DECADES + 0.1 * i);
      SpectralDensity.Curve curve =
          density
              .map(value -> value > 0 ? Math.log10(value) : Double.NEGATIVE_INFINITY)
              .curve(decades, DENSITY_WIDTH);
      return Optional.of(
          new LayerCurvature.Density(
              decades, curve.mean(), curve.se(), largest, density.sum(x -> x)));
    }

    /**
     * Computes the overlap of the leading eigenvectors of a K-FAC factor with the singular vectors
     * of the base.
     */
    private Optional<LayerCurvature.Overlap> overlap(boolean ofInputs) {
      int side = ofInputs ? columns : rows;
      int count =
          Math.min(Math.min(rank, MOST_EIGENVECTORS), Math.min(side / 2, samples.tokens() / 2));
      if (side > LARGEST_FACTOR || count < 1) {
        return Optional.empty();
      }
      double[] factor = new double[side * side];
      if (ofInputs) {
        samples.addInputProducts(context, factor, control);
      } else {
        samples.addGradientProducts(context, factor, control);
      }
      double trace = 0;
      for (int i = 0; i < side; i++) {
        trace += factor[i * side + i];
      }
      if (trace == 0) {
        return Optional.empty();
      }
      Vectors.scale(factor, 1 / trace);
      try (TruncatedSvd.Result eigen =
          KroneckerFactors.eigenvectors(context, factor, side, count, options.tolerance())) {
        Matrix of = (ofInputs ? before.right() : before.left()).orElseThrow();
        Matrix leading = Matrix.of(of.buffer(), of.dtype(), count, side).at(of.offset());
        double[] angles = PrincipalAngles.of(context, eigen.right().orElseThrow(), leading);
        double observed =
            Arrays.stream(angles).map(angle -> Math.pow(Math.cos(angle), 2)).sum() / count;
        return Optional.of(
            new LayerCurvature.Overlap(count, observed, Vectors.randomOverlap(count, side)));
      }
    }
  }
}
