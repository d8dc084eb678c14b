package org.threegate.bench;

import com.sun.management.OperatingSystemMXBean;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import org.threegate.kernel.Context;
import org.threegate.rl.policy.Completion;
import org.threegate.rl.policy.CompletionEngine;
import org.threegate.rl.policy.CompletionRequest;
import org.threegate.rl.policy.Decoder;
import org.threegate.rl.policy.DecoderEngine;
import org.threegate.rl.policy.SamplingOptions;
import org.threegate.rl.policy.Threads;
import org.threegate.rl.policy.Tokenizer;
import org.threegate.rl.rollout.Rollouts;
import org.threegate.rl.task.Problem;
import org.threegate.rl.train.PolicyTrainer;
import org.threegate.rl.train.TrainingOptions;
import org.threegate.rl.verifier.BoundedVerifier;

/**
 * Measures steps of training of a decoder in bfloat16 with float32 masters, on two threads: {@code
 * StepBench MODEL RUNS}. A step samples 8 completions of 64 tokens of a prompt of 64 tokens, and
 * learns from them by DAPO's loss. Completions go to threads in parts of four. Prints,
 * tab-separated, for each step: name, seconds, processor seconds. Then the peak of resident memory
 * in bytes.
 */
public final class StepBench {
  private static final int PROMPT = 64;
  private static final int COMPLETION = 64;
  private static final int GROUP = 8;
  private static final int PART = 4;
  private static final int THREADS = 2;

  private StepBench() {}

  /** Encodes any text as the same prompt, because random models have no tokenizer. */
  private record Numbers(int vocabulary) implements Tokenizer {
    @Override
    public int[] encode(String text) {
      int[] prompt = new int[PROMPT];
      Arrays.setAll(prompt, i -> 3 + i * 7 % (vocabulary - 3));
      return prompt;
    }

    @Override
    public String decode(int[] tokens) {
      return Arrays.stream(tokens).mapToObj(Integer::toString).collect(Collectors.joining(" "));
    }
  }

  /** Samples, and adds up the time. */
  private static final class Timed implements CompletionEngine {
    private final CompletionEngine engine;
    private double seconds;
    private double processor;

    Timed(CompletionEngine engine) {
      this.engine = engine;
    }

    @Override
    public List<Completion> complete(CompletionRequest request) {
      double begin = System.nanoTime() * 1e-9;
      double used = processorSeconds();
      List<Completion> completions = engine.complete(request);
      seconds = System.nanoTime() * 1e-9 - begin;
      processor = processorSeconds() - used;
      return completions;
    }

    @Override
    public String where() {
      return engine.where();
    }
  }

  private static double processorSeconds() {
    OperatingSystemMXBean system =
        (OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean();
    return system.getProcessCpuTime() * 1e-9;
  }

  public static void main(String[] arguments) throws IOException {
    Threads.use(THREADS);
    int runs = Integer.parseInt(arguments[1]);
    // No token ends a completion, so each has all tokens.
    TrainingOptions options =
        TrainingOptions.builder(
                runs, 1, GROUP, SamplingOptions.plain(COMPLETION, List.of()), 1e-6, 1)
            .rows(PART)
            .build();
    List<Problem> problems = List.of(Problem.of("", "", "random"));
    try (Context context = Context.open();
        Decoder model = Decoder.load(context, Path.of(arguments[0]), Decoder.Storage.BF16);
        BoundedVerifier verifier =
            new BoundedVerifier(
                (response, answer) -> Math.floorMod(response.hashCode(), 2),
                Duration.ofSeconds(5),
                1)) {
      Tokenizer tokenizer = new Numbers(model.config().vocabulary());
      Rollouts rollouts = new Rollouts(tokenizer, verifier, PROMPT);
      Timed engine = new Timed(new DecoderEngine(model, tokenizer));
      try (PolicyTrainer trainer = PolicyTrainer.of(model, problems, rollouts, options, Map.of())) {
        trainer.ask(engine);
        for (int run = 0; run < runs; run++) {
          double begin = System.nanoTime() * 1e-9;
          double used = processorSeconds();
          trainer.next();
          double seconds = System.nanoTime() * 1e-9 - begin;
          double processor = processorSeconds() - used;
          report("sampling", engine.seconds, engine.processor);
          report("update", seconds - engine.seconds, processor - engine.processor);
        }
      }
    }
    System.out.printf("peak\t%d%n", peak());
  }

  private static void report(String name, double seconds, double processor) {
    System.out.printf("%s\t%.4f\t%.4f%n", name, seconds, processor);
  }

  private static long peak() throws IOException {
    return Files.readAllLines(Path.of("/proc/self/status")).stream()
        .filter(line -> line.startsWith("VmHWM"))
        .mapToLong(line -> Long.parseLong(line.replaceAll("[^0-9]", "")) * 1024)
        .findFirst()
        .orElseThrow();
  }
}
