package org.threegate.analysis.consensus;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Deque;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.Future;
import java.util.function.Predicate;
import org.threegate.analysis.compare.PairMeasurement;
import org.threegate.analysis.diff.DiffMeasurement;
import org.threegate.analysis.geometry.GeometryMeasurement;
import org.threegate.analysis.geometry.GeometryOptions;
import org.threegate.analysis.geometry.TensorGeometry;
import org.threegate.analysis.pairing.OpenPairs;
import org.threegate.analysis.pairing.SharedMatrices;
import org.threegate.analysis.pairing.TensorPair;
import org.threegate.analysis.pairing.WeightPair;
import org.threegate.analysis.statistics.NullEstimate;
import org.threegate.analysis.statistics.Trajectories;
import org.threegate.buffer.NativeBuffer;
import org.threegate.checkpoint.Checkpoint;
import org.threegate.dtype.Dtype;
import org.threegate.kernel.Bf16Diff;
import org.threegate.kernel.Context;
import org.threegate.kernel.Control;
import org.threegate.kernel.Mask;
import org.threegate.kernel.Matrix;
import org.threegate.kernel.NullUpdate;
import org.threegate.kernel.Operand;
import org.threegate.kernel.PrincipalAngles;
import org.threegate.kernel.TruncatedSvd;
import org.threegate.run.InvalidInputException;
import org.threegate.run.MemoryBudget;
import org.threegate.run.Progress;
import org.threegate.run.Workers;

/**
 * Measures the checkpoints of one run in order. It reports how the geometry of the update grows,
 * when its leading directions become fixed, and how straight the path is. Each measure comes with a
 * null model.
 *
 * <pre>{@code
 * try (Checkpoint before = Checkpoint.open(context, base);
 *     Checkpoint early = Checkpoint.open(context, Path.of("step-50"));
 *     Checkpoint late = Checkpoint.open(context, Path.of("step-100"))) {
 *   Trajectory trajectory = new Trajectory(new double[] {50, 100}, GeometryOptions.DEFAULT);
 *   for (TensorTrajectory tensor :
 *       trajectory.of(
 *           context, before, List.of(early, late), name -> true, Progress.NONE, control)) {
 *     System.out.println(tensor.name() + " " + tensor.steps().get(0).locking());
 *   }
 * }
 * }</pre>
 */
public final class Trajectory {
  /** Number of draws of the random walk. */
  private static final int WALKS = 4;

  private final double[] steps;
  private final GeometryOptions options;
  private final MemoryBudget memory;

  /**
   * Creates a measurement within half of the machine's memory.
   *
   * @param steps training steps of the checkpoints, ascending and positive; the base is step 0
   * @param options measures of geometry to compute
   */
  public Trajectory(double[] steps, GeometryOptions options) {
    this(steps, options, MemoryBudget.ofMachine());
  }

  /**
   * Creates a measurement.
   *
   * @param steps training steps of the checkpoints, ascending and positive; the base is step 0
   * @param options measures of geometry to compute
   * @param memory bounds how many matrices are measured at the same time
   */
  public Trajectory(double[] steps, GeometryOptions options, MemoryBudget memory) {
    this.steps = steps.clone();
    this.options = options;
    this.memory = memory;
    for (int i = 0; i < steps.length; i++) {
      if (steps[i] <= (i == 0 ? 0 : steps[i - 1])) {
        throw new IllegalArgumentException("steps must be positive and ascending");
      }
    }
  }

  /**
   * Measures every matrix that all checkpoints share with the base.
   *
   * @param context context that runs the kernels
   * @param base checkpoint that the run started from
   * @param run checkpoints of the run, one for each training step
   * @param selected selects matrices by name
   * @param progress receives the bytes of the matrices that are done
   * @param control cancels the measurement
   * @return one trajectory per matrix
   */
  public List<TensorTrajectory> of(
      Context context,
      Checkpoint base,
      List<Checkpoint> run,
      Predicate<String> selected,
      Progress progress,
      Control control) {
    List<TensorTrajectory> tensors =
        of(context, SharedMatrices.of(base, run, selected), progress, control);
    base.check();
    run.forEach(Checkpoint::check);
    return tensors;
  }

  /**
   * Measures the matrices that all checkpoints share with the base.
   *
   * @param context context that runs the kernels
   * @param shared matrices of open checkpoints, one for each training step
   * @param progress receives the bytes of the matrices that are done
   * @param control cancels the measurement
   * @return one trajectory per matrix
   */
  public List<TensorTrajectory> of(
      Context context, SharedMatrices shared, Progress progress, Control control) {
    int count = shared.accounting().runs().size();
    if (count != steps.length) {
      throw new InvalidInputException(
          count + " checkpoints and " + steps.length + " steps; give one step a checkpoint");
    }
    Map<String, List<WeightPair>> byName = shared.byName();
    long total = shared.bytes();
    long done = 0;
    List<TensorTrajectory> tensors = new ArrayList<>();
    Deque<List<WeightPair>> left = new ArrayDeque<>(byName.values());
    Deque<Future<TensorTrajectory>> started = new ArrayDeque<>();
    List<WeightPair> each = byName.values().stream().map(pairs -> pairs.get(0)).toList();
    int atOnce = memory.atOnce(context.threads(), PairMeasurement.items(each, options));
    try (Workers workers = Workers.like(context, atOnce, "threegate-trajectory")) {
      for (List<WeightPair> next : byName.values()) {
        while (!left.isEmpty() && started.size() < 2 * context.threads()) {
          List<WeightPair> pairs = left.remove();
          started.add(
              workers.submit(
                  (own, ownControl) -> {
                    try (OpenPairs opened = OpenPairs.of(own, pairs)) {
                      return of(own, opened.pairs(), ownControl);
                    }
                  }));
        }
        progress.at(next.get(0).name(), done, total);
        tensors.add(Workers.await(started.remove(), control, workers::cancel));
        done += next.stream().mapToLong(WeightPair::bytes).sum();
      }
    }
    progress.at("", total, total);
    return List.copyOf(tensors);
  }

  /**
   * Measures one matrix.
   *
   * @param context context that runs the kernels
   * @param pairs pairs with the same base, one per checkpoint
   * @param control cancels the measurement
   * @return the trajectory of the matrix
   */
  public TensorTrajectory of(Context context, List<TensorPair> pairs, Control control) {
    TensorPair first = pairs.get(0);
    Bf16Diff.Profiles profiles = Bf16Diff.Profiles.MASK;
    List<Bf16Diff.Result> diffs = new ArrayList<>();
    List<Mask> masks = new ArrayList<>();
    for (TensorPair pair : pairs) {
      Bf16Diff.Result diff =
          Bf16Diff.compare(
              context, new Bf16Diff.Pair(pair.base(), pair.tuned(), profiles), control);
      diffs.add(diff);
      masks.add(diff.mask().orElseThrow());
    }
    double[][] squares = squares(context, pairs, diffs, control);
    double[] locking = new double[pairs.size()];
    Arrays.fill(locking, Double.NaN);
    boolean decomposes =
        diffs.stream().allMatch(diff -> diff.nonFinite() == 0 && diff.deltaSquares() > 0)
            && GeometryMeasurement.decomposes(
                Math.min(first.base().rows(), first.base().columns()), options);
    if (decomposes) {
      locking = locking(context, pairs, control);
    }
    Optional<TruncatedSvd.Result> known =
        decomposes
            ? Optional.of(GeometryMeasurement.decompose(context, first.base(), options, control))
            : Optional.empty();
    try {
      return measure(context, pairs, diffs, masks, squares, locking, known, control);
    } finally {
      known.ifPresent(TruncatedSvd.Result::close);
    }
  }

  private TensorTrajectory measure(
      Context context,
      List<TensorPair> pairs,
      List<Bf16Diff.Result> diffs,
      List<Mask> masks,
      double[][] squares,
      double[] locking,
      Optional<TruncatedSvd.Result> known,
      Control control) {
    TensorPair first = pairs.get(0);
    List<TensorTrajectory.Step> measured = new ArrayList<>();
    for (int i = 0; i < pairs.size(); i++) {
      TensorPair pair = pairs.get(i);
      TensorGeometry geometry =
          known
              .map(base -> GeometryMeasurement.of(context, pair, base, options, control))
              .orElseGet(() -> GeometryMeasurement.of(context, pair, options, control));
      List<Mask> withLast = List.of(masks.get(i), masks.get(masks.size() - 1));
      List<NullEstimate> nulls = new ArrayList<>();
      if (known.isPresent()) {
        nulls.add(Trajectories.randomLocking(rank(first), inputs(first)));
        if (i + 1 < pairs.size()) {
          nulls.add(walkLocking(context, first, squares, i + 1, control));
        }
      }
      Consensus.Bands bands = Consensus.bands(context, pair.base(), withLast);
      measured.add(
          new TensorTrajectory.Step(
              DiffMeasurement.totals(diffs.get(i)),
              geometry,
              locking[i],
              nulls,
              pair.transposed() ? bands.columns() : bands.rows(),
              pair.transposed() ? bands.rows() : bands.columns()));
    }
    double[] positions = new double[pairs.size() + 1];
    System.arraycopy(steps, 0, positions, 1, steps.length);
    return new TensorTrajectory(
        first.name(),
        first.layer(),
        first.kind().label(),
        measured,
        Trajectories.linearity(positions, squares),
        Trajectories.walkLinearity(positions, squares));
  }

  private int rank(TensorPair pair) {
    return options.ranksOf(Math.min(pair.base().rows(), pair.base().columns())).get(0);
  }

  private static long inputs(TensorPair pair) {
    return pair.transposed() ? pair.base().rows() : pair.base().columns();
  }

  /** Computes the squared distances between all positions; index 0 is the base. */
  private static double[][] squares(
      Context context, List<TensorPair> pairs, List<Bf16Diff.Result> diffs, Control control) {
    int count = pairs.size() + 1;
    double[][] squares = new double[count][count];
    for (int i = 1; i < count; i++) {
      squares[0][i] = diffs.get(i - 1).deltaSquares();
      squares[i][0] = squares[0][i];
      for (int j = 1; j < i; j++) {
        squares[i][j] =
            Bf16Diff.compare(
                    context,
                    new Bf16Diff.Pair(
                        pairs.get(j - 1).tuned(), pairs.get(i - 1).tuned(), Bf16Diff.Profiles.NONE),
                    control)
                .deltaSquares();
        squares[j][i] = squares[i][j];
      }
    }
    return squares;
  }

  /** Computes the leading right singular vectors (input directions) of an update. */
  private TruncatedSvd.Result directions(
      Context context, Operand tuned, Operand base, int rank, Control control) {
    TruncatedSvd.Request request =
        TruncatedSvd.Request.of(tuned, rank, options.tolerance()).minus(base);
    return TruncatedSvd.of(context, List.of(request), control).get(0);
  }

  private static double similarity(Context context, Matrix one, Matrix other) {
    double[] angles = PrincipalAngles.of(context, one, other);
    return Arrays.stream(angles).map(Math::cos).map(cosine -> cosine * cosine).sum()
        / angles.length;
  }

  private static Matrix inputDirections(TruncatedSvd.Result svd, boolean transposed) {
    return (transposed ? svd.left() : svd.right()).orElseThrow();
  }

  private double[] locking(Context context, List<TensorPair> pairs, Control control) {
    TensorPair last = pairs.get(pairs.size() - 1);
    int rank = rank(last);
    double[] locking = new double[pairs.size()];
    try (TruncatedSvd.Result end = directions(context, last.tuned(), last.base(), rank, control)) {
      for (int i = 0; i < pairs.size(); i++) {
        TensorPair pair = pairs.get(i);
        try (TruncatedSvd.Result own =
            directions(context, pair.tuned(), pair.base(), rank, control)) {
          locking[i] =
              similarity(
                  context,
                  inputDirections(own, pair.transposed()),
                  inputDirections(end, pair.transposed()));
        }
      }
    }
    return locking;
  }

  /**
   * Estimates the subspace similarity of a Gaussian random walk with the lengths of the true
   * updates. The last update is the one at {@code position} plus an independent increment, so the
   * two share some of their directions.
   */
  private NullEstimate walkLocking(
      Context context, TensorPair pair, double[][] squares, int position, Control control) {
    long rows = pair.base().rows();
    long columns = pair.base().columns();
    double entries = (double) rows * columns;
    int last = squares.length - 1;
    double[] draws = new double[WALKS];
    try (NativeBuffer zeros = context.allocate(4 * rows * columns)) {
      for (long i = 0; i < rows * columns; i++) {
        zeros.putInt(4 * i, 0);
      }
      Operand zero = Operand.of(Matrix.of(zeros, Dtype.F32, rows, columns));
      for (int draw = 0; draw < WALKS; draw++) {
        double reached = Math.sqrt(squares[0][position] / entries);
        double rest = Math.sqrt(squares[position][last] / entries);
        Matrix early =
            NullUpdate.gaussian(
                context,
                new NullUpdate.Noise(zero, reached, Dtype.F32),
                new NullUpdate.Draw(options.seed(), 2L * draw),
                control);
        try (NativeBuffer ownedEarly = early.buffer()) {
          Operand start = Operand.of(Matrix.of(ownedEarly, Dtype.F32, rows, columns));
          Matrix late =
              NullUpdate.gaussian(
                  context,
                  new NullUpdate.Noise(start, rest, Dtype.F32),
                  new NullUpdate.Draw(options.seed(), 2L * draw + 1),
                  control);
          try (NativeBuffer ownedLate = late.buffer();
              TruncatedSvd.Result one = directions(context, start, zero, rank(pair), control);
              TruncatedSvd.Result other =
                  directions(
                      context,
                      Operand.of(Matrix.of(ownedLate, Dtype.F32, rows, columns)),
                      zero,
                      rank(pair),
                      control)) {
            draws[draw] =
                similarity(
                    context,
                    inputDirections(one, pair.transposed()),
                    inputDirections(other, pair.transposed()));
          }
        }
      }
    }
    return NullEstimate.of("random-walk", draws);
  }
}
