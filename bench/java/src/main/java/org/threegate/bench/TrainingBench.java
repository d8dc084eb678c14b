package org.threegate.bench;

import java.nio.file.Path;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.threegate.kernel.Context;
import org.threegate.rl.objective.PolicyBatch;
import org.threegate.rl.objective.PolicyObjective;
import org.threegate.rl.optimizer.AdamW;
import org.threegate.rl.policy.Decoder;
import org.threegate.rl.policy.Sampler;
import org.threegate.rl.policy.SamplingOptions;
import org.threegate.rl.policy.Scopes;
import org.threegate.rl.policy.Tensors;

/**
 * An update of 256 texts of 7 + 6 tokens, and completions of 256 prompts by 10 tokens each, on all
 * processors: {@code TrainingBench MODEL}. Prints: name, seconds (the best of ten).
 */
public final class TrainingBench {
  private static final int ROWS = 256;
  private static final int PROMPT = 7;
  private static final int COMPLETION = 6;
  private static final int RUNS = 10;

  private TrainingBench() {}

  public static void main(String[] arguments) {
    try (Context context = Context.open();
        Decoder model = Decoder.load(context, Path.of(arguments[0]));
        AdamW optimizer = AdamW.of(model.parameters(), AdamW.Options.DEFAULT, Map.of())) {
      int vocabulary = model.config().vocabulary();
      long[] numbers = new long[ROWS * (PROMPT + COMPLETION)];
      Arrays.setAll(numbers, i -> 3 + i * 7L % (vocabulary - 3));
      float[] weights = new float[ROWS];
      for (int i = 0; i < ROWS; i++) {
        weights[i] = i % 2 == 0 ? 1 : -1;
      }
      Tensor tokens = Tensors.of(numbers, ROWS, PROMPT + COMPLETION);
      Tensor mask = tokens.ge(new Scalar(0)).to(ScalarType.Bool);
      Tensor advantages = Tensors.of(weights, ROWS);
      report("update", () -> Scopes.run(() -> update(model, optimizer, tokens, mask, advantages)));
      int[] prompt = new int[PROMPT];
      Arrays.setAll(prompt, i -> 3 + i);
      // No token ends one: each has ten.
      SamplingOptions options = SamplingOptions.plain(10, List.of());
      long[] seeds = new long[ROWS];
      Arrays.setAll(seeds, i -> i);
      List<int[]> prompts = Collections.nCopies(ROWS, prompt);
      report("sampling", () -> Sampler.complete(model, prompts, options, seeds));
    }
  }

  private static void update(
      Decoder model, AdamW optimizer, Tensor tokens, Tensor mask, Tensor advantages) {
    Tensor own = model.logProbabilities(tokens, mask, 1).narrow(1, PROMPT - 1, COMPLETION);
    Tensor counted = mask.narrow(1, PROMPT, COMPLETION).to(own.scalar_type());
    PolicyBatch batch = new PolicyBatch(own, own.detach(), Optional.empty(), counted, advantages);
    PolicyObjective.DAPO.loss(batch).value().backward();
    optimizer.step(1e-5);
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
