package org.threegate.bench;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.Callable;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.threegate.analysis.geometry.GeometryOptions;
import org.threegate.kernel.Context;
import org.threegate.rl.event.TrainingEvent;
import org.threegate.rl.objective.PolicyBatch;
import org.threegate.rl.objective.PolicyObjective;
import org.threegate.rl.observe.GeometryObserver;
import org.threegate.rl.optimizer.AdamW;
import org.threegate.rl.optimizer.Optimizer;
import org.threegate.rl.policy.Decoder;
import org.threegate.rl.policy.Differentiation;
import org.threegate.rl.policy.Padded;
import org.threegate.rl.policy.Sampler;
import org.threegate.rl.policy.SamplingOptions;
import org.threegate.rl.policy.Scopes;
import org.threegate.rl.policy.Tensors;
import org.threegate.rl.policy.Threads;

/**
 * Measures training on all processors: {@code TrainingBench MODEL}. An update takes 256 texts of 7
 * + 6 tokens. Sampling draws 16 completions of 10 tokens for each of 16 prompts. Observing counts
 * the changed weights after a step. Prints the name and the best of ten times in seconds.
 */
public final class TrainingBench {
  private static final int ROWS = 256;
  private static final int PART = 64;
  private static final int GROUP = 16; // completions per prompt
  private static final int PROMPT = 7;
  private static final int COMPLETION = 6;
  private static final int RUNS = 10;

  private TrainingBench() {}

  public static void main(String[] arguments) {
    try (Context context = Context.open();
        Decoder model = Decoder.load(context, Path.of(arguments[0]));
        Optimizer optimizer = Optimizer.of(model.parameters(), AdamW.DEFAULT, Map.of())) {
      int vocabulary = model.config().vocabulary();
      long[] numbers = new long[ROWS * (PROMPT + COMPLETION)];
      Arrays.setAll(numbers, i -> 3 + i * 7L % (vocabulary - 3));
      float[] weights = new float[ROWS];
      for (int i = 0; i < ROWS; i++) {
        weights[i] = i % 2 == 0 ? 1 : -1;
      }
      report("update", () -> update(model, optimizer, numbers, weights));
      List<int[]> prompts = new ArrayList<>();
      for (int i = 0; i < ROWS; i++) {
        int[] prompt = new int[PROMPT];
        int own = i / GROUP;
        Arrays.setAll(prompt, j -> 3 + (own + j) % (vocabulary - 3));
        prompts.add(prompt);
      }
      // No token ends a completion, so each has ten tokens.
      SamplingOptions options = SamplingOptions.plain(10, List.of());
      long[] seeds = new long[ROWS];
      Arrays.setAll(seeds, i -> i);
      report("sampling", () -> Sampler.complete(model, prompts, options, seeds));
      try (GeometryObserver geometry =
          GeometryObserver.of(
              context,
              model,
              name -> name.endsWith("_proj.weight"),
              1,
              0,
              GeometryOptions.DEFAULT,
              event -> {})) {
        TrainingEvent step = new TrainingEvent.StepTaken(1, Map.of(), model);
        report("observing", () -> geometry.on(step));
      }
    }
  }

  /** Computes the gradients in parts with one thread each, as the trainer does. */
  private static void update(Decoder model, Optimizer optimizer, long[] numbers, float[] weights) {
    List<Callable<List<Optional<Tensor>>>> parts = new ArrayList<>();
    for (int begin = 0; begin < ROWS; begin += PART) {
      int from = begin;
      parts.add(() -> gradients(model, numbers, weights, from));
    }
    Threads.map(
        parts,
        gradients -> {
          optimizer.add(gradients);
          gradients.forEach(gradient -> gradient.ifPresent(Tensor::close));
        });
    optimizer.step(1e-5);
  }

  private static List<Optional<Tensor>> gradients(
      Decoder model, long[] numbers, float[] weights, int from) {
    List<Optional<Tensor>> gradients = new ArrayList<>();
    Scopes.run(
        () -> {
          int width = PROMPT + COMPLETION;
          long[] part = Arrays.copyOfRange(numbers, from * width, (from + PART) * width);
          Tensor tokens = Tensors.of(part, PART, width);
          Tensor mask = tokens.ge(new Scalar(0)).to(ScalarType.Bool);
          Tensor counted = mask.narrow(1, PROMPT, COMPLETION).to(ScalarType.Float);
          Tensor advantages = Tensors.of(Arrays.copyOfRange(weights, from, from + PART), PART);
          double share = (double) PART / ROWS;
          gradients.addAll(
              new Differentiation(model, new Padded(tokens, mask), 1, PROMPT, COMPLETION, false)
                  .of(
                      own ->
                          PolicyObjective.DAPO
                              .loss(PolicyBatch.of(own, own.detach(), counted, advantages))
                              .value()
                              .mul(new Scalar(share))));
        });
    return gradients;
  }

  private static void report(String name, Runnable work) {
    double best = Double.POSITIVE_INFINITY;
    for (int run = 0; run < RUNS; run++) {
      long begin = System.nanoTime();
      work.run();
      best = Math.min(best, (System.nanoTime() - begin) * 1e-9);
    }
    System.out.printf("%s\t%.4f%n", name, best);
  }
}
