package org.threegate.rl.observe;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Consumer;
import java.util.function.Predicate;
import org.bytedeco.pytorch.Tensor;
import org.threegate.analysis.statistics.ClusteredMean;
import org.threegate.kernel.Context;
import org.threegate.kernel.Control;
import org.threegate.kernel.Direction;
import org.threegate.kernel.LayerSamples;
import org.threegate.rl.curvature.CapturedLayers;
import org.threegate.rl.event.TrainingEvent;
import org.threegate.rl.event.TrainingObserver;
import org.threegate.rl.policy.Decoder;
import org.threegate.rl.policy.ModelDevice;
import org.threegate.rl.policy.Padded;
import org.threegate.rl.policy.Scopes;
import org.threegate.rl.policy.TensorMemory;
import org.threegate.rl.policy.Tensors;

/**
 * Measures how far the policy has moved from the initial model, in nats per token, and how much
 * each layer contributes.
 *
 * <p>The texts are completions that the initial model sampled. The divergence KL(initial ‖ policy)
 * is exact: it sums over the vocabulary. Two second-order predictions stand beside it, ½ ΔWᵀ F ΔW
 * with the Fisher information F at the initial model (arXiv 2511.08567, section 3): one for each
 * layer alone, and one for all layers together, whose directional derivatives are added before they
 * are squared. Where prediction and divergence differ, the policy has left the region in which the
 * curvature at the initial model describes it.
 *
 * <pre>{@code
 * List<CapturedLayers.Text> texts = List.of(new CapturedLayers.Text(new int[] {5, 6, 7}, 1));
 * try (DivergenceObserver divergence =
 *     DivergenceObserver.of(context, decoder, texts, name -> name.contains("_proj"), 10, 1, lines)) {
 *   trainer.run(TrainingObserver.all(List.of(lines, divergence)));
 * }
 * }</pre>
 */
public final class DivergenceObserver implements TrainingObserver, AutoCloseable {
  private static final int ROWS = 64; // texts per forward pass

  private final ObserverContext contexts;
  private final Control control;
  private final long every;
  private final TrainingObserver told;
  private final List<CapturedLayers.Text> texts;
  private final CapturedLayers captured;
  private final Map<String, Tensor> base = new LinkedHashMap<>();
  private final List<Tensor> before;

  private DivergenceObserver(
      Context context,
      long every,
      TrainingObserver told,
      List<CapturedLayers.Text> texts,
      CapturedLayers captured,
      List<Tensor> before) {
    this.contexts = new ObserverContext(context);
    this.control = Control.open(context);
    this.every = every;
    this.told = told;
    this.texts = texts;
    this.captured = captured;
    this.before = before;
  }

  /**
   * Creates the observer. The model has to be the initial one.
   *
   * @param context the context of the kernels
   * @param model the initial model
   * @param texts prompts with completions that the model sampled
   * @param selected selects weights by their names, for the share of each layer
   * @param every the number of steps between two measurements
   * @param seed the seed of the labels that the Fisher information is estimated from
   * @param told receives the measurements
   * @return the observer
   */
  public static DivergenceObserver of(
      Context context,
      Decoder model,
      List<CapturedLayers.Text> texts,
      Predicate<String> selected,
      long every,
      long seed,
      TrainingObserver told) {
    if (every < 1) {
      throw new IllegalArgumentException("every must be 1 or more");
    }
    CapturedLayers captured = CapturedLayers.of(model, texts, selected, false, seed);
    DivergenceObserver observer =
        new DivergenceObserver(
            context, every, told, List.copyOf(texts), captured, predictions(model, texts));
    try {
      observer.keep(model);
      return observer;
    } catch (RuntimeException | Error e) {
      observer.close();
      throw e;
    }
  }

  /** Keeps copies of weights on the device of the model, or on the CPU if memory is short. */
  private void keep(Decoder model) {
    long[] bytes = new long[1];
    for (String name : captured.layers().keySet()) {
      Scopes.run(
          () -> {
            Tensor weight = model.weight(name);
            bytes[0] += weight.numel() * weight.element_size();
          });
    }
    Optional<String> shortage = ModelDevice.shortage(bytes[0]);
    shortage.ifPresent(
        why ->
            contexts.report(
                "the copies of weights that divergence compares with lie in host memory: " + why));
    for (String name : captured.layers().keySet()) {
      Scopes.run(
          () -> base.put(name, ModelDevice.copied(model.weight(name), shortage.isPresent())));
    }
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

  /** Returns log-probabilities at each predicted token, a list of [tokens, vocabulary]. */
  private static List<Tensor> predictions(Decoder model, List<CapturedLayers.Text> texts) {
    List<Tensor> parts = new ArrayList<>();
    for (int begin = 0; begin < texts.size(); begin += ROWS) {
      List<CapturedLayers.Text> part = texts.subList(begin, Math.min(texts.size(), begin + ROWS));
      Scopes.run(
          () -> {
            Tensor rows = Scopes.keepWithoutGradient(() -> predicted(model, part));
            rows.retainReference();
            parts.add(rows);
          });
    }
    return parts;
  }

  private static Tensor predicted(Decoder model, List<CapturedLayers.Text> part) {
    int width = part.stream().mapToInt(text -> text.tokens().length).max().orElseThrow() - 1;
    Padded rows =
        Padded.right(
            part.stream()
                .map(text -> Arrays.copyOf(text.tokens(), text.tokens().length - 1))
                .toList(),
            width,
            model.config().tokens().padding());
    List<Long> wanted = new ArrayList<>();
    for (int i = 0; i < part.size(); i++) {
      CapturedLayers.Text text = part.get(i);
      for (int j = text.given() - 1; j < text.tokens().length - 1; j++) {
        wanted.add((long) i * width + j);
      }
    }
    Tensor places = Tensors.of(wanted.stream().mapToLong(Long::longValue).toArray(), wanted.size());
    return model
        .logits(rows.tokens(), rows.mask())
        .flatten(0, 1)
        .index_select(0, places)
        .log_softmax(-1);
  }

  @Override
  public void on(TrainingEvent event) {
    if (event instanceof TrainingEvent.StepTaken taken && taken.step() % every == 0) {
      contexts
          .measureAndRelease("the divergence", context -> measure(context, taken.policy()))
          .ifPresent(
              metrics -> told.on(new TrainingEvent.Measured(taken.step(), "divergence", metrics)));
    }
  }

  private Map<String, Double> measure(Context context, Decoder policy) {
    Map<String, Double> metrics = new LinkedHashMap<>();
    put(metrics, "divergence/kl_per_token", divergences(policy));
    double[] all = new double[captured.sequences().length];
    Map<String, Double> budgets = new LinkedHashMap<>();
    for (String name : base.keySet()) {
      double[] slopes = slopes(context, policy, name);
      double squares = 0;
      for (int i = 0; i < slopes.length; i++) {
        all[i] += slopes[i];
        squares += slopes[i] * slopes[i];
      }
      budgets.put("divergence/kl_alone/" + name, squares / 2 / slopes.length);
    }
    put(
        metrics,
        "divergence/kl_predicted",
        Arrays.stream(all).map(slope -> slope * slope / 2).toArray());
    metrics.putAll(budgets);
    return metrics;
  }

  /**
   * Adds a mean over tokens and its standard error, which is over texts: their tokens correlate.
   */
  private void put(Map<String, Double> metrics, String name, double[] values) {
    ClusteredMean mean = ClusteredMean.of(values, captured.sequences());
    metrics.put(name, mean.value());
    metrics.put(name + "/se", mean.se());
  }

  private double[] divergences(Decoder policy) {
    double[] values = new double[captured.sequences().length];
    int at = 0;
    List<Tensor> now = predictions(policy, texts);
    for (int part = 0; part < now.size(); part++) {
      Tensor own = now.get(part);
      Tensor was = before.get(part);
      int begin = at;
      Scopes.run(
          () -> {
            float[] sums = Tensors.floats(was.exp().mul(was.sub(own)).sum(-1));
            for (int i = 0; i < sums.length; i++) {
              values[begin + i] = sums[i];
            }
          });
      at += (int) own.size(0);
      own.close();
    }
    return values;
  }

  private double[] slopes(Context context, Decoder policy, String name) {
    double[][] slopes = new double[1][];
    Scopes.run(
        () -> {
          CapturedLayers.Rows rows = captured.layers().get(name);
          Tensor weight = policy.weight(name).detach();
          try (TensorMemory input = TensorMemory.of(context, rows.input());
              TensorMemory gradient = TensorMemory.of(context, rows.gradient());
              TensorMemory was = TensorMemory.of(context, base.get(name));
              TensorMemory now = TensorMemory.of(context, weight)) {
            Direction update =
                new Direction.Entries(now.operand(), Optional.of(was.operand()), Optional.empty());
            slopes[0] =
                new LayerSamples(input.matrix(), gradient.matrix())
                    .slopes(context, List.of(update), control)
                    .along(0);
          }
        });
    return slopes[0];
  }

  @Override
  public void close() {
    control.close();
    contexts.close();
    captured.close();
    base.values().forEach(Tensor::close);
    before.forEach(Tensor::close);
  }
}
