package org.threegate.analysis.calibration;

import java.util.ArrayList;
import java.util.EnumMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.OptionalInt;
import java.util.SplittableRandom;
import java.util.function.Predicate;
import org.threegate.analysis.compare.Claims;
import org.threegate.analysis.compare.PairMeasurement;
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

/**
 * Judges updates whose truth is known, on the matrices of a base checkpoint.
 *
 * <p>Updates that know nothing of any task give the rate of false verdicts. Updates with a planted
 * effect give the rate of detection. Each is judged by the same code as a real update.
 *
 * <pre>{@code
 * try (Checkpoint base = Checkpoint.open(context, path)) {
 *   CalibrationResult result =
 *       Calibration.of(
 *           context, base, name -> true, CalibrationOptions.DEFAULT, Progress.NONE, control);
 *   System.out.println(result.falseVerdicts().value() + " false verdicts");
 * }
 * }</pre>
 */
public final class Calibration {
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

  private CalibrationResult run(Checkpoint base, Predicate<String> selected, Progress progress) {
    List<Source> sources = sources(base, selected);
    List<KnownUpdate> updates = KnownUpdate.all();
    List<CalibrationResult.Row> rows = new ArrayList<>();
    long total = (long) updates.size() * options.seeds();
    for (KnownUpdate update : updates) {
      Map<String, Map<Verdict, Integer>> verdicts = new LinkedHashMap<>();
      for (int seed = 0; seed < options.seeds(); seed++) {
        progress.at(update.name(), rows.size() * (long) options.seeds() + seed, total);
        for (Finding finding : judge(update, sources, seed)) {
          verdicts
              .computeIfAbsent(finding.id(), id -> new EnumMap<>(Verdict.class))
              .merge(finding.verdict(), 1, Integer::sum);
        }
      }
      rows.add(
          new CalibrationResult.Row(update.name(), update.description(), update.truth(), verdicts));
    }
    progress.at("", total, total);
    long layers =
        sources.stream().map(Calibration::place).map(Claim.Place::layer).distinct().count();
    return new CalibrationResult(sources.size(), Math.toIntExact(layers), options.seeds(), rows);
  }

  private static Claim.Place place(Source source) {
    return Claim.Place.of(source.kind().label(), source.name());
  }

  /** Reads the matrices of the first layers that have any. */
  private List<Source> sources(Checkpoint base, Predicate<String> selected) {
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
    if (layers.isEmpty()) {
      throw new InvalidInputException(
          base.path() + ": no layer has a matrix of at least 16 x 16 entries");
    }
    List<Source> sources = new ArrayList<>();
    for (List<WeightPair> layer : spread(List.copyOf(layers.values()))) {
      layer.forEach(pair -> sources.add(source(pair)));
    }
    return sources;
  }

  /** Takes as many layers as the options ask for, evenly spread. */
  private List<List<WeightPair>> spread(List<List<WeightPair>> layers) {
    List<List<WeightPair>> some = new ArrayList<>();
    int count = Math.min(options.layers(), layers.size());
    for (int i = 0; i < count; i++) {
      some.add(layers.get((int) ((long) i * layers.size() / count)));
    }
    return some;
  }

  private Source source(WeightPair pair) {
    cancelIfAsked();
    try (TensorPair opened = pair.open(context)) {
      Operand whole = opened.base();
      Operand part =
          whole.slice(
              0,
              Math.min(options.side(), whole.rows()),
              0,
              Math.min(options.side(), whole.columns()));
      Matrix copied =
          NullUpdate.gaussian(
              context,
              new NullUpdate.Noise(part, 0, Dtype.F32),
              new NullUpdate.Draw(0, 0),
              control);
      try {
        Weights exact =
            Weights.of(
                Math.toIntExact(copied.rows()),
                Math.toIntExact(copied.columns()),
                (i, j) -> copied.buffer().getFloat(4 * (i * copied.columns() + j)));
        return new Source(
            pair.name(),
            pair.layer(),
            pair.kind(),
            exact,
            Principal.of(context, exact, Operand.of(copied), control));
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

  private List<Finding> judge(KnownUpdate update, List<Source> sources, int seed) {
    List<TensorDiff> diffs = new ArrayList<>();
    Map<String, TensorGeometry> geometries = new LinkedHashMap<>();
    for (Source source : sources) {
      cancelIfAsked();
      long start = options.geometry().seedOf(update.name() + '/' + seed + '/' + source.name());
      measure(update, source, new SplittableRandom(start), diffs, geometries);
    }
    return Claims.judge(diffs, geometries, options.smallest());
  }

  private void measure(
      KnownUpdate update,
      Source source,
      SplittableRandom random,
      List<TensorDiff> diffs,
      Map<String, TensorGeometry> geometries) {
    Weights exact = withDigits(update, source.exact(), random);
    Stored before = new Stored(update.base());
    Stored after = new Stored(update.tuned());
    int entries = exact.entries().length;
    try (NativeBuffer base = context.allocate((long) before.bytes() * entries);
        NativeBuffer tuned = context.allocate((long) after.bytes() * entries)) {
      Weights stored = before.write(exact, base);
      Principal principal =
          new Principal(
              stored,
              source.principal().left(),
              source.principal().right(),
              source.principal().mask());
      after.write(stored.plus(update.maker().of(principal, random)), tuned);
      TensorPair pair =
          new TensorPair(
              source.name(),
              source.layer(),
              source.kind(),
              new TensorPair.Stored(update.base().name(), update.tuned().name(), 2, false),
              Operand.of(Matrix.of(base, update.base(), exact.rows(), exact.columns())),
              Operand.of(Matrix.of(tuned, update.tuned(), exact.rows(), exact.columns())),
              List.of(),
              List.of());
      diffs.add(DiffMeasurement.of(context, pair, control));
      PairMeasurement.geometry(context, pair, options.geometry(), control)
          .ifPresent(geometry -> geometries.put(source.name(), geometry));
    }
  }

  /** Adds digits below bf16 to a base that is stored in float32, as training has them. */
  private static Weights withDigits(KnownUpdate update, Weights exact, SplittableRandom random) {
    return update.base() == Dtype.F32
        ? exact.like((i, j) -> exact.at(i, j) * (1 + 0x1p-9 * (2 * random.nextDouble() - 1)))
        : exact;
  }
}
