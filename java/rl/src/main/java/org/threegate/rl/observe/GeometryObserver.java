package org.threegate.rl.observe;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
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
import org.threegate.rl.policy.Scopes;
import org.threegate.rl.policy.TensorMemory;

/**
 * Measures how the weights change. It counts the weights whose bf16 value changed since the
 * beginning and in the last step, and those that changed in float32 only. The update is that of the
 * float32 weights, also where a model stores them in bf16. Less often, it is measured in the
 * geometry of the weights, beside null models.
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
  private final Context context;
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
    this.context = context;
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
    GeometryObserver observer = new GeometryObserver(context, every, everySpectrum, options, told);
    for (String name : model.matrices()) {
      if (selected.test(name)) {
        observer.base.put(name, copied(model, name, true));
        observer.last.put(name, copied(model, name, false));
      }
    }
    if (observer.base.isEmpty()) {
      observer.close();
      throw new IllegalArgumentException("no matrix is selected");
    }
    return observer;
  }

  /**
   * Returns a copy that no scope frees.
   *
   * @param exact whether to store it in bf16 where that is lossless, so that null models can
   *     account for rounding
   */
  private static Tensor copied(Decoder model, String name, boolean exact) {
    List<Tensor> copy = new ArrayList<>();
    Scopes.run(
        () -> {
          Tensor weight = model.matrix(name).detach();
          Tensor rounded = weight.to(ScalarType.BFloat16);
          Tensor kept = !exact || rounded.to(ScalarType.Float).equal(weight) ? rounded : weight;
          Tensor own = kept.clone().contiguous();
          own.retainReference();
          copy.add(own);
        });
    return copy.get(0);
  }

  @Override
  public void on(TrainingEvent event) {
    if (!(event instanceof TrainingEvent.StepTaken taken)) {
      return;
    }
    if (taken.step() % every == 0) {
      Map<String, Double> metrics = new LinkedHashMap<>();
      Scopes.run(() -> count(taken, metrics));
      if (everySpectrum > 0 && taken.step() % everySpectrum == 0) {
        Scopes.run(() -> measure(taken, metrics));
      }
      told.on(new TrainingEvent.Measured(taken.step(), "geometry", metrics));
    }
    goOnFrom(taken.policy());
  }

  /**
   * Sets the model that the next step is compared with, for a run that is resumed.
   *
   * @param policy the model that was resumed
   */
  public void goOnFrom(Decoder policy) {
    Scopes.run(() -> last.forEach((name, copy) -> copy.copy_(policy.matrix(name).detach())));
  }

  private void count(TrainingEvent.StepTaken taken, Map<String, Double> metrics) {
    long total = 0;
    long changed = 0;
    long inStep = 0;
    long hidden = 0;
    double update = 0;
    double stored = 0;
    double squares = 0;
    for (String name : base.keySet()) {
      Tensor weight = taken.policy().matrix(name, taken.masters()).detach();
      Tensor rounded = weight.to(ScalarType.BFloat16);
      try (TensorMemory before = TensorMemory.inPlace(context, base.get(name));
          TensorMemory previous = TensorMemory.inPlace(context, last.get(name));
          TensorMemory now = TensorMemory.inPlace(context, weight);
          TensorMemory storedNow = TensorMemory.inPlace(context, rounded)) {
        Bf16Diff.Pair fromBase =
            new Bf16Diff.Pair(before.operand(), now.operand(), Bf16Diff.Profiles.NONE);
        Bf16Diff.Pair fromLast =
            new Bf16Diff.Pair(previous.operand(), now.operand(), Bf16Diff.Profiles.NONE);
        Bf16Diff.Pair ofStored =
            new Bf16Diff.Pair(before.operand(), storedNow.operand(), Bf16Diff.Profiles.NONE);
        List<Bf16Diff.Result> results =
            Bf16Diff.compare(context, List.of(fromBase, fromLast, ofStored), control);
        total += results.get(0).total();
        changed += results.get(0).changed();
        hidden += results.get(0).hidden();
        update += results.get(0).deltaSquares();
        squares += results.get(0).baseSquares();
        inStep += results.get(1).changed();
        stored += results.get(2).deltaSquares();
      }
    }
    long all = taken.policy().parameters().values().stream().mapToLong(Tensor::numel).sum();
    metrics.put("geometry/observed", (double) total / all);
    metrics.put("geometry/changed", (double) changed / total);
    metrics.put("geometry/changed_in_step", (double) inStep / total);
    metrics.put("geometry/hidden", (double) hidden / total);
    metrics.put("geometry/relative_frobenius", Math.sqrt(update / squares));
    metrics.put("geometry/relative_frobenius_bf16", Math.sqrt(stored / squares));
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

    void into(Map<String, Double> metrics) {
      sums.forEach((name, sum) -> metrics.put("geometry/" + name, sum / counts.get(name)));
    }
  }

  private void measure(TrainingEvent.StepTaken taken, Map<String, Double> metrics) {
    Means means = new Means();
    for (Map.Entry<String, Tensor> entry : base.entrySet()) {
      Tensor weight = taken.policy().matrix(entry.getKey(), taken.masters()).detach();
      try (TensorMemory before = TensorMemory.of(context, entry.getValue());
          TensorMemory now = TensorMemory.of(context, weight)) {
        TensorGeometry geometry =
            GeometryMeasurement.of(
                context, entry.getKey(), before.operand(), now.operand(), options, control);
        geometry
            .sparsity()
            .ifPresent(nulls -> means.add("changed/rounding", 1 - nulls.gaussian().mean()));
        geometry.spectra().stream().limit(1).forEach(spectrum -> add(spectrum, means));
      }
    }
    means.into(metrics);
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
    base.values().forEach(Tensor::close);
    last.values().forEach(Tensor::close);
  }
}
