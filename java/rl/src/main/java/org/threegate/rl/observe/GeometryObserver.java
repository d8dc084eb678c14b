package org.threegate.rl.observe;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Consumer;
import java.util.function.Predicate;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.threegate.analysis.geometry.GeometryMeasurement;
import org.threegate.analysis.geometry.GeometryOptions;
import org.threegate.analysis.geometry.SpectrumMeasure;
import org.threegate.analysis.geometry.TensorGeometry;
import org.threegate.analysis.nullmodel.NullDraws;
import org.threegate.analysis.statistics.NullEstimate;
import org.threegate.kernel.Bf16Diff;
import org.threegate.kernel.Context;
import org.threegate.kernel.Control;
import org.threegate.rl.event.TrainingEvent;
import org.threegate.rl.event.TrainingObserver;
import org.threegate.rl.policy.Decoder;
import org.threegate.rl.policy.ModelDevice;
import org.threegate.rl.policy.Scopes;
import org.threegate.rl.policy.TensorMemory;

/**
 * Measures how the weights change. It counts the weights whose bf16 value changed since the
 * beginning and in the last step, and those that changed in float32 only. The update is that of the
 * float32 weights, also where a model stores them in bf16. Less often, it is measured in the
 * geometry of the weights, beside null models.
 *
 * <p>Weights are compared where the model lies. For the geometry alone, each observed matrix and
 * its copy are also copied to the host, once per measurement.
 *
 * <p>Values are means over matrices. Names begin with {@code geometry/}, and end with the name of
 * the null model where there is one. A final {@code sd} is the mean of the matrices' standard
 * deviations.
 *
 * <pre>{@code
 * try (GeometryObserver geometry =
 *     GeometryObserver.of(
 *         context, decoder, name -> name.contains("o_proj"), 1, 50, GeometryOptions.DEFAULT, lines)) {
 *   trainer.run(TrainingObserver.all(List.of(lines, geometry)));
 * }
 * }</pre>
 */
public final class GeometryObserver implements TrainingObserver, AutoCloseable {
  private static final long BF16_BYTES = 2;

  private final ObserverContext contexts;
  private final Control control;
  private final long every;
  private final long everySpectrum;
  private final GeometryOptions options;
  private final TrainingObserver told;
  private final Map<String, Tensor> base = new LinkedHashMap<>();
  private final Map<String, Tensor> last = new LinkedHashMap<>();

  private GeometryObserver(
      Context context,
      long every,
      long everySpectrum,
      GeometryOptions options,
      TrainingObserver told) {
    this.contexts = new ObserverContext(context);
    this.control = Control.open(context);
    this.every = every;
    this.everySpectrum = everySpectrum;
    this.options = options;
    this.told = told;
  }

  /**
   * Creates the observer. The model has to be the initial one.
   *
   * @param context the context of the kernels
   * @param model the initial model
   * @param selected selects matrices by their names
   * @param every the number of steps between two counts of changed weights
   * @param everySpectrum the number of steps between two measurements of singular values, angles
   *     and energies; 0 turns these off
   * @param options the null models and their draws
   * @param told receives the measurements
   * @return the observer
   */
  public static GeometryObserver of(
      Context context,
      Decoder model,
      Predicate<String> selected,
      long every,
      long everySpectrum,
      GeometryOptions options,
      TrainingObserver told) {
    if (every < 1 || everySpectrum < 0) {
      throw new IllegalArgumentException("every must be 1 or more");
    }
    List<String> names = model.matrices().stream().filter(selected).toList();
    if (names.isEmpty()) {
      throw new IllegalArgumentException("no matrix is selected");
    }
    GeometryObserver observer = new GeometryObserver(context, every, everySpectrum, options, told);
    try {
      observer.keep(model, names);
      return observer;
    } catch (RuntimeException | Error e) {
      observer.close();
      throw e;
    }
  }

  /** Keeps copies of matrices on the device of the model, or on the CPU if memory is short. */
  private void keep(Decoder model, List<String> names) {
    Optional<String> shortage = ModelDevice.shortage(bytes(model, names));
    shortage.ifPresent(
        why ->
            contexts.report(
                "the copies of weights that geometry compares with lie in host memory: " + why));
    for (String name : names) {
      Scopes.run(
          () -> {
            Tensor weight = model.matrix(name).detach();
            base.put(name, ModelDevice.copied(exact(weight), shortage.isPresent()));
            last.put(
                name, ModelDevice.copied(weight.to(ScalarType.BFloat16), shortage.isPresent()));
          });
    }
  }

  private static long bytes(Decoder model, List<String> names) {
    long[] bytes = new long[1];
    for (String name : names) {
      Scopes.run(
          () -> {
            Tensor weight = model.matrix(name);
            bytes[0] += weight.numel() * (weight.element_size() + BF16_BYTES);
          });
    }
    return bytes[0];
  }

  /**
   * Returns weights in bf16 where that is lossless, so that null models can account for rounding.
   */
  private static Tensor exact(Tensor weight) {
    Tensor rounded = weight.to(ScalarType.BFloat16);
    return rounded.to(ScalarType.Float).equal(weight) ? rounded : weight;
  }

  /**
   * Sets who receives a sentence when the device of the model has too little memory for copies of
   * weights, or for a measurement. Training goes on.
   *
   * @param receiver receives each sentence once
   */
  public void onShortage(Consumer<String> receiver) {
    contexts.tell(receiver);
  }

  @Override
  public void on(TrainingEvent event) {
    if (!(event instanceof TrainingEvent.StepTaken taken)) {
      return;
    }
    if (taken.step() % every == 0) {
      Map<String, Double> metrics = new LinkedHashMap<>();
      contexts
          .measure("the number of changed weights", context -> count(context, taken))
          .ifPresent(metrics::putAll);
      if (everySpectrum > 0 && taken.step() % everySpectrum == 0) {
        contexts
            .measureAndRelease("the geometry of weights", context -> measure(context, taken))
            .ifPresent(metrics::putAll);
      }
      if (!metrics.isEmpty()) {
        told.on(new TrainingEvent.Measured(taken.step(), "geometry", metrics));
      }
    }
    goOnFrom(taken.policy());
  }

  /**
   * Sets the model that the next step is compared with, for a run that is resumed.
   *
   * @param policy the model that was resumed
   */
  public void goOnFrom(Decoder policy) {
    last.forEach((name, copy) -> Scopes.run(() -> copy.copy_(policy.matrix(name).detach())));
  }

  /** Sums over matrices of what changed. */
  private static final class Counts {
    private long total;
    private long changed;
    private long inStep;
    private long hidden;
    private double update;
    private double stored;
    private double squares;

    void add(List<Bf16Diff.Result> results) {
      total += results.get(0).total();
      changed += results.get(0).changed();
      hidden += results.get(0).hidden();
      update += results.get(0).deltaSquares();
      squares += results.get(0).baseSquares();
      inStep += results.get(1).changed();
      stored += results.get(2).deltaSquares();
    }

    Map<String, Double> metrics(long all) {
      Map<String, Double> metrics = new LinkedHashMap<>();
      metrics.put("geometry/observed", (double) total / all);
      metrics.put("geometry/changed", (double) changed / total);
      metrics.put("geometry/changed_in_step", (double) inStep / total);
      metrics.put("geometry/hidden", (double) hidden / total);
      metrics.put("geometry/relative_frobenius", Math.sqrt(update / squares));
      metrics.put("geometry/relative_frobenius_bf16", Math.sqrt(stored / squares));
      return metrics;
    }
  }

  private Map<String, Double> count(Context context, TrainingEvent.StepTaken taken) {
    Counts counts = new Counts();
    for (String name : base.keySet()) {
      Scopes.run(() -> counts.add(compared(context, name, weight(taken, name))));
    }
    return counts.metrics(
        taken.policy().parameters().values().stream().mapToLong(Tensor::numel).sum());
  }

  private static Tensor weight(TrainingEvent.StepTaken taken, String name) {
    return taken.policy().matrix(name, taken.masters()).detach();
  }

  /** Compares weights with those at the beginning and of the last step, and as bf16 stores them. */
  private List<Bf16Diff.Result> compared(Context context, String name, Tensor weight) {
    Tensor rounded = weight.to(ScalarType.BFloat16);
    try (TensorMemory before = TensorMemory.of(context, base.get(name));
        TensorMemory previous = TensorMemory.of(context, last.get(name));
        TensorMemory now = TensorMemory.of(context, weight);
        TensorMemory storedNow = TensorMemory.of(context, rounded)) {
      return Bf16Diff.compare(
          context,
          List.of(pair(before, now), pair(previous, now), pair(before, storedNow)),
          control);
    }
  }

  private static Bf16Diff.Pair pair(TensorMemory before, TensorMemory after) {
    return new Bf16Diff.Pair(before.operand(), after.operand(), Bf16Diff.Profiles.NONE);
  }

  /** Sums over matrices, from which means are computed. */
  private static final class Means {
    private final Map<String, Double> sums = new LinkedHashMap<>();
    private final Map<String, Integer> counts = new LinkedHashMap<>();

    void add(String name, double value) {
      sums.merge(name, value, Double::sum);
      counts.merge(name, 1, Integer::sum);
    }

    void add(String name, double value, List<NullEstimate> nulls) {
      add(name, value);
      for (NullEstimate estimate : nulls) {
        add(name + "/" + estimate.model(), estimate.mean());
        add(name + "/" + estimate.model() + "/sd", estimate.sd());
      }
    }

    Map<String, Double> metrics() {
      Map<String, Double> metrics = new LinkedHashMap<>();
      sums.forEach((name, sum) -> metrics.put("geometry/" + name, sum / counts.get(name)));
      return metrics;
    }
  }

  private Map<String, Double> measure(Context context, TrainingEvent.StepTaken taken) {
    Means means = new Means();
    for (String name : base.keySet()) {
      Scopes.run(
          () -> {
            TensorGeometry geometry = geometry(context, name, weight(taken, name));
            geometry
                .sparsity()
                .ifPresent(nulls -> means.add("changed/rounding", 1 - nulls.gaussian().mean()));
            geometry.spectra().stream().limit(1).forEach(spectrum -> add(spectrum, means));
          });
    }
    return means.metrics();
  }

  private TensorGeometry geometry(Context context, String name, Tensor weight) {
    try (TensorMemory before = TensorMemory.of(context, base.get(name));
        TensorMemory now = TensorMemory.of(context, weight)) {
      return GeometryMeasurement.of(
          context, name, before.operand(), now.operand(), options, control);
    }
  }

  private static void add(SpectrumMeasure spectrum, Means means) {
    means.add("nss", spectrum.geometry().nss(), spectrum.estimates(NullDraws::nss));
    double[] left = spectrum.geometry().angleU();
    means.add("angle", left[left.length - 1], spectrum.estimates(NullDraws::angleU));
    means.add(
        "principal_energy", spectrum.geometry().principalEnergy(), spectrum.energyEstimates());
  }

  @Override
  public void close() {
    control.close();
    contexts.close();
    base.values().forEach(Tensor::close);
    last.values().forEach(Tensor::close);
  }
}
