package org.threegate.analysis.calibration;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Set;
import java.util.SplittableRandom;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.Predicate;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.threegate.analysis.compare.Cause;
import org.threegate.analysis.compare.Claims;
import org.threegate.analysis.compare.PairMeasurement;
import org.threegate.analysis.consensus.Consensus;
import org.threegate.analysis.consensus.TensorConsensus;
import org.threegate.analysis.diff.DiffMeasurement;
import org.threegate.analysis.diff.TensorDiff;
import org.threegate.analysis.geometry.TensorGeometry;
import org.threegate.analysis.pairing.Pairing;
import org.threegate.analysis.pairing.TensorPair;
import org.threegate.analysis.pairing.WeightPair;
import org.threegate.analysis.statistics.Claim;
import org.threegate.analysis.statistics.Finding;
import org.threegate.analysis.statistics.Verdict;
import org.threegate.buffer.NativeBuffer;
import org.threegate.checkpoint.Checkpoint;
import org.threegate.checkpoint.TensorKind;
import org.threegate.dtype.Dtype;
import org.threegate.kernel.Context;
import org.threegate.kernel.Control;
import org.threegate.kernel.Matrix;
import org.threegate.kernel.NullUpdate;
import org.threegate.kernel.Operand;
import org.threegate.run.CancelledException;
import org.threegate.run.InvalidInputException;
import org.threegate.run.Progress;
import org.threegate.run.Workers;

/**
 * Judges updates whose truth is known, on the matrices of a base checkpoint.
 *
 * <p>Updates that know nothing of any task give the rate of false verdicts. Updates with a planted
 * effect give the rate of detection. Each is judged by the same code as a real update.
 *
 * <pre>{@code
 * try (Checkpoint before = Checkpoint.open(context, base)) {
 *   CalibrationResult result =
 *       Calibration.of(
 *           context, before, name -> true, CalibrationOptions.DEFAULT, Progress.NONE, control);
 *   System.out.println(result.falseVerdicts().value() + " false verdicts");
 * }
 * }</pre>
 */
public final class Calibration {
  /** Matrices of float64 that a thread holds at a time, to estimate the memory. */
  private static final int MATRICES_OF_A_THREAD = 8;

  private final Context context;
  private final CalibrationOptions options;
  private final Control control;

  private Calibration(Context context, CalibrationOptions options, Control control) {
    this.context = context;
    this.options = options;
    this.control = control;
  }

  /** A matrix of the base, as float32 before it is stored in the dtype of an update. */
  private record Source(
      String name, OptionalInt layer, TensorKind kind, Weights exact, Principal principal) {}

  /**
   * Calibrates the verdicts on a base checkpoint.
   *
   * @param context context that runs the kernels
   * @param base checkpoint whose matrices are changed in memory
   * @param selected which of its tensors to use
   * @param options size of the calibration
   * @param progress receives the number of finished updates
   * @param control cancels the calibration
   * @return the verdicts on all kinds of updates
   * @throws InvalidInputException if the base has no matrix that can be used
   */
  public static CalibrationResult of(
      Context context,
      Checkpoint base,
      Predicate<String> selected,
      CalibrationOptions options,
      Progress progress,
      Control control) {
    return new Calibration(context, options, control).run(base, selected, progress);
  }

  /** One update of a kind, which is judged alone. */
  private record Task(int kind, int seed) {}

  /** What was found of one update. */
  private record Judged(List<Finding> findings, List<Cause> causes) {}

  private CalibrationResult run(Checkpoint base, Predicate<String> selected, Progress progress) {
    Map<String, String> skipped = new LinkedHashMap<>();
    List<Source> sources = sources(base, selected, skipped);
    List<Known> kinds =
        Stream.<Known>concat(KnownUpdate.all().stream(), KnownRuns.all().stream()).toList();
    List<Task> tasks = new ArrayList<>();
    for (int kind = 0; kind < kinds.size(); kind++) {
      for (int seed = 0; seed < options.seeds(); seed++) {
        tasks.add(new Task(kind, seed));
      }
    }
    Map<Task, Judged> judged = judge(kinds, tasks, sources, progress);
    List<CalibrationResult.Row> rows = new ArrayList<>();
    for (int kind = 0; kind < kinds.size(); kind++) {
      int own = kind;
      rows.add(
          row(
              kinds.get(kind),
              IntStream.range(0, options.seeds())
                  .mapToObj(seed -> judged.get(new Task(own, seed)))
                  .toList()));
    }
    long layers =
        sources.stream().map(Calibration::place).map(Claim.Place::layer).distinct().count();
    return new CalibrationResult(
        sources.size(), Math.toIntExact(layers), options.seeds(), rows, skipped);
  }

  private Map<Task, Judged> judge(
      List<Known> kinds, List<Task> tasks, List<Source> sources, Progress progress) {
    Map<Task, Judged> judged = new ConcurrentHashMap<>();
    try (Workers workers = Workers.like(context, "threegate-calibration")) {
      workers.forEach(
          tasks,
          (own, task) -> {
            Known kind = kinds.get(task.kind());
            progress.at(kind.name(), judged.size(), tasks.size());
            judged.put(
                task,
                kind instanceof KnownUpdate update
                    ? judge(own, update, sources, task.seed())
                    : judge(own, (KnownRuns) kind, sources, task.seed()));
          });
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    progress.at("", tasks.size(), tasks.size());
    return judged;
  }

  private static CalibrationResult.Row row(Known kind, List<Judged> judged) {
    Map<String, Map<Verdict, Integer>> verdicts = new LinkedHashMap<>();
    Map<String, Integer> causes = new TreeMap<>();
    for (Judged own : judged) {
      for (Finding finding : own.findings()) {
        verdicts
            .computeIfAbsent(finding.id(), id -> new EnumMap<>(Verdict.class))
            .merge(finding.verdict(), 1, Integer::sum);
      }
      own.causes().forEach(cause -> causes.merge(cause.id(), 1, Integer::sum));
    }
    return new CalibrationResult.Row(
        kind.name(), kind.description(), kind.truth(), verdicts, causes);
  }

  private static Claim.Place place(Source source) {
    return Claim.Place.of(source.kind().label(), source.name());
  }

  /** Reads the matrices of some of the layers that have any. */
  private List<Source> sources(
      Checkpoint base, Predicate<String> selected, Map<String, String> skipped) {
    Map<String, List<WeightPair>> layers = new LinkedHashMap<>();
    for (WeightPair pair : Pairing.of(base, base, selected).pairs()) {
      boolean fits =
          pair.dimensions() == 2
              && Math.min(pair.rows(), pair.columns()) >= CalibrationOptions.LEAST_SIDE;
      if (fits && pair.layer().isPresent()) {
        String layer = Claim.Place.of("", pair.name()).layer();
        layers.computeIfAbsent(layer, name -> new ArrayList<>()).add(pair);
      }
    }
    List<WeightPair> pairs = spread(List.copyOf(layers.values()));
    requireMemory(base, pairs);
    List<Source> sources = new ArrayList<>();
    for (WeightPair pair : pairs) {
      source(pair)
          .ifPresentOrElse(
              sources::add,
              () -> skipped.put(pair.name(), "is zero, or has entries that are not finite"));
    }
    if (sources.isEmpty()) {
      throw new InvalidInputException(
          base.path()
              + ": no selected layer has a matrix of at least "
              + CalibrationOptions.LEAST_SIDE
              + " x "
              + CalibrationOptions.LEAST_SIDE
              + " finite entries; choose a base with such matrices");
    }
    return sources;
  }

  /** Refuses sizes whose matrices would not fit into the heap, before they are read. */
  private void requireMemory(Checkpoint base, List<WeightPair> pairs) {
    double all = 0;
    double largest = 0;
    for (WeightPair pair : pairs) {
      double entries =
          (double) Math.min(options.side(), pair.rows()) * Math.min(options.side(), pair.columns());
      all += entries;
      largest = Math.max(largest, entries);
    }
    // Sources stay; each thread makes a handful of matrices of the same shape.
    double bytes = Double.BYTES * (all + MATRICES_OF_A_THREAD * context.threads() * largest);
    if (bytes > Runtime.getRuntime().maxMemory() || largest > Integer.MAX_VALUE - 8) {
      throw new InvalidInputException(
          String.format(
              Locale.ROOT,
              "%s: a calibration of this size needs %.3g GB of Java heap; choose fewer layers or a"
                  + " smaller side",
              base.path(),
              bytes / 1e9));
    }
  }

  /** Takes as many layers as the options ask for, evenly spread. */
  private List<WeightPair> spread(List<List<WeightPair>> layers) {
    List<WeightPair> some = new ArrayList<>();
    int count = Math.min(options.layers(), layers.size());
    for (int i = 0; i < count; i++) {
      some.addAll(layers.get((int) ((long) i * layers.size() / count)));
    }
    return some;
  }

  private Optional<Source> source(WeightPair pair) {
    cancelIfAsked();
    try (TensorPair opened = pair.open(context)) {
      Operand whole = opened.base();
      int rows = (int) Math.min(options.side(), whole.rows());
      int columns = (int) Math.min(options.side(), whole.columns());
      // Only plain values can be sliced; others are read as a whole and cropped afterwards.
      Operand part =
          whole.blockScale().isEmpty() && whole.lowRank().isEmpty()
              ? whole.slice(0, rows, 0, columns)
              : whole;
      Matrix copied =
          NullUpdate.gaussian(
              context,
              new NullUpdate.Noise(part, 0, Dtype.F32),
              new NullUpdate.Draw(0, 0),
              control);
      try {
        long stride = copied.columns();
        Weights exact =
            Weights.of(rows, columns, (i, j) -> copied.buffer().getFloat(4 * (i * stride + j)));
        double rms = exact.rms();
        if (!(rms > 0 && Double.isFinite(rms))) {
          return Optional.empty();
        }
        Matrix cropped =
            new Matrix(
                copied.buffer(),
                copied.offset(),
                copied.dtype(),
                rows,
                columns,
                copied.rowStride());
        return Optional.of(
            new Source(
                pair.name(),
                pair.layer(),
                pair.kind(),
                exact,
                Principal.of(context, exact, Operand.of(cropped), control)));
      } finally {
        copied.buffer().close();
      }
    }
  }

  private void cancelIfAsked() {
    if (control.isCancelled()) {
      throw new CancelledException();
    }
  }

  private SplittableRandom random(Known kind, Source source, String what) {
    return new SplittableRandom(
        options.geometry().seedOf(kind.name() + '/' + what + '/' + source.name()));
  }

  private Judged judge(Context own, KnownUpdate update, List<Source> sources, int seed) {
    List<TensorDiff> diffs = new ArrayList<>();
    Map<String, TensorGeometry> geometries = new LinkedHashMap<>();
    for (Source source : sources) {
      cancelIfAsked();
      SplittableRandom random = random(update, source, Integer.toString(seed));
      Weights exact = withDigits(update, source.exact(), random);
      try (Memory memory = new Memory(own)) {
        Weights stored = memory.store(exact, update.base());
        memory.store(
            stored.plus(update.maker().of(source.principal().of(stored), random)), update.tuned());
        TensorPair pair = memory.pair(source, 1);
        diffs.add(DiffMeasurement.of(own, pair, control));
        PairMeasurement.geometry(own, pair, options.geometry(), control)
            .ifPresent(geometry -> geometries.put(source.name(), geometry));
      }
    }
    return new Judged(
        Claims.judge(diffs, geometries, options.smallest()), Cause.of(geometries.values()));
  }

  private Judged judge(Context own, KnownRuns runs, List<Source> sources, int seed) {
    List<TensorConsensus> tensors = new ArrayList<>();
    for (Source source : sources) {
      cancelIfAsked();
      try (Memory memory = new Memory(own)) {
        Weights stored = memory.store(source.exact(), Dtype.BF16);
        List<TensorPair> pairs = new ArrayList<>();
        for (int run = 1; run <= KnownRuns.COUNT; run++) {
          Weights update =
              runs.maker()
                  .of(
                      source.principal().of(stored),
                      random(runs, source, seed + "/shared"),
                      random(runs, source, seed + "/" + run));
          memory.store(stored.plus(update), Dtype.BF16);
          pairs.add(memory.pair(source, run));
        }
        tensors.add(Consensus.of(own, pairs, control));
      }
    }
    return new Judged(Consensus.judge(tensors, Set.of(), options.smallest()), List.of());
  }

  /** Matrices of one base and of what was made of it, as checkpoints store them. */
  private static final class Memory implements AutoCloseable {
    private final Context context;
    private final List<Matrix> matrices = new ArrayList<>();

    Memory(Context context) {
      this.context = context;
    }

    /** Stores a matrix, and returns its rounded entries. */
    Weights store(Weights exact, Dtype dtype) {
      NativeBuffer buffer = context.allocate((long) dtype.bytes() * exact.rows() * exact.columns());
      matrices.add(Matrix.of(buffer, dtype, exact.rows(), exact.columns()));
      return new Stored(dtype).write(exact, buffer);
    }

    /** Returns the first matrix, and another one as its update. */
    TensorPair pair(Source source, int tuned) {
      Matrix before = matrices.get(0);
      Matrix after = matrices.get(tuned);
      return new TensorPair(
          source.name(),
          source.layer(),
          source.kind(),
          new TensorPair.Stored(before.dtype().name(), after.dtype().name(), 2, false),
          Operand.of(before),
          Operand.of(after),
          List.of(),
          List.of());
    }

    @Override
    public void close() {
      matrices.forEach(matrix -> matrix.buffer().close());
    }
  }

  /** Adds digits below bf16 to a base that is stored in float32, as training has them. */
  private static Weights withDigits(KnownUpdate update, Weights exact, SplittableRandom random) {
    return update.base() == Dtype.F32
        ? exact.like((i, j) -> exact.at(i, j) * (1 + 0x1p-9 * (2 * random.nextDouble() - 1)))
        : exact;
  }
}
