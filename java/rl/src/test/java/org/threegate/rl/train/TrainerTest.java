package org.threegate.rl.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.bytedeco.javacpp.Pointer;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.threegate.kernel.Context;
import org.threegate.rl.adapter.AdapterOptions;
import org.threegate.rl.adapter.Initialisation;
import org.threegate.rl.adapter.LowRankAdapter;
import org.threegate.rl.event.TrainingEvent;
import org.threegate.rl.objective.EntropyBonus;
import org.threegate.rl.objective.PolicyObjective;
import org.threegate.rl.optimizer.AdamW;
import org.threegate.rl.optimizer.Schedule;
import org.threegate.rl.policy.Decoder;
import org.threegate.rl.policy.SamplingOptions;
import org.threegate.rl.policy.Tensors;
import org.threegate.rl.policy.Threads;
import org.threegate.rl.policy.Tokenizer;
import org.threegate.rl.rollout.Rollouts;
import org.threegate.rl.task.Demonstration;
import org.threegate.rl.task.Problem;
import org.threegate.rl.verifier.BoundedVerifier;
import org.threegate.run.InvalidInputException;
import org.threegate.testing.NativeLeaks;

@ExtendWith(NativeLeaks.class)
@SuppressWarnings("try")
@Tag("binding")
class TrainerTest {
  private static final Path MODEL = Path.of("src/test/resources/decoders/llama");
  private static final Tokenizer LETTERS = PolicyTrainerTest.LETTERS;

  @TempDir Path directory;

  @AfterEach
  void allThreads() {
    Threads.use(Runtime.getRuntime().availableProcessors());
  }

  private static Map<String, float[]> values(Decoder model) {
    Map<String, float[]> values = new HashMap<>();
    model.trainable().forEach((name, tensor) -> values.put(name, Tensors.floats(tensor)));
    return values;
  }

  private static void assertSame(Map<String, float[]> first, Map<String, float[]> second) {
    assertThat(first.keySet()).isEqualTo(second.keySet());
    first.forEach((name, own) -> assertThat(own).as(name).isEqualTo(second.get(name)));
  }

  private static SupervisedTrainer supervised(Decoder model, long steps) {
    List<Demonstration> demonstrations = new ArrayList<>();
    for (char letter = 'd'; letter < 'q'; letter++) {
      demonstrations.add(new Demonstration("vw" + letter, "" + letter + letter));
    }
    // Truncation leaves no token of this response, so the demonstration is not counted.
    demonstrations.add(new Demonstration("vwxyzvwxyz", "d"));
    return SupervisedTrainer.of(
        model,
        LETTERS,
        SupervisedTrainer.Source.of(demonstrations, 5),
        new SupervisedOptions(
            steps, 7, 3, true, 8, 0.01, Schedule.cosine(2, steps, 0.1), AdamW.DEFAULT, 1),
        Map.of());
  }

  @Test
  void demonstrationsAreImitated() {
    try (Context context = Context.open();
        Decoder model = Decoder.load(context, MODEL);
        SupervisedTrainer trainer = supervised(model, 60)) {
      List<Double> losses = new ArrayList<>();
      trainer.run(event -> losses.add(event.metrics().get("loss")));
      assertThat(losses.get(0)).isGreaterThan(2);
      assertThat(losses.get(59)).isLessThan(losses.get(0) / 2);
      assertThat(trainer.isDone()).isTrue();
    }
  }

  /** The loss is the mean over the whole batch, however threads divide the batch. */
  @Test
  void theNumberOfThreadsChangesNoBit() {
    List<Map<String, float[]>> ends = new ArrayList<>();
    for (int threads : new int[] {1, 2, 5}) {
      Threads.use(threads);
      try (Context context = Context.open();
          Decoder model = Decoder.load(context, MODEL);
          SupervisedTrainer trainer = supervised(model, 5)) {
        trainer.run(event -> {});
        ends.add(values(model));
      }
    }
    assertSame(ends.get(0), ends.get(1));
    assertSame(ends.get(0), ends.get(2));
  }

  /** The numbers of a saved state are validated. */
  @ParameterizedTest
  @CsvSource({"failures, 0, 9", "step, 10, -1", "position, 70, -7", "optimizer_steps, 10, 1e"})
  void aStateThatIsImpossibleIsRefused(String field, String before, String after) throws Exception {
    Path file = directory.resolve("state.safetensors");
    try (Context context = Context.open();
        Decoder model = Decoder.load(context, MODEL);
        SupervisedTrainer trainer = supervised(model, 10)) {
      trainer.run(event -> {});
      trainer.save(file, "run");
      trainer.resume(context, file, "run");
      String text = Files.readString(file, StandardCharsets.ISO_8859_1);
      String key = '"' + field + "\":\"";
      assertThat(text).contains(key + before);
      Files.writeString(file, text.replace(key + before, key + after), StandardCharsets.ISO_8859_1);
      assertThatThrownBy(() -> trainer.resume(context, file, "run"))
          .isInstanceOf(InvalidInputException.class)
          .hasMessageContaining("state.safetensors")
          .hasMessageContaining('"' + field + '"');
    }
  }

  private static PolicyTrainer policy(
      Decoder model, Optional<Decoder> reference, BoundedVerifier verifier) {
    List<Problem> problems = new ArrayList<>();
    for (char letter = 'd'; letter < 'p'; letter++) {
      problems.add(Problem.of("stuvw".substring(letter % 5) + letter, String.valueOf(letter), ""));
    }
    Rollouts rollouts = new Rollouts(LETTERS, verifier, 4);
    TrainingOptions.Builder options =
        TrainingOptions.builder(9, 5, 8, SamplingOptions.plain(2, List.of(2)), 0.01, 3)
            .iterations(2)
            .kept(TrainingOptions.Kept.DIFFERING)
            .rounds(3)
            .rows(16);
    if (reference.isEmpty()) {
      return PolicyTrainer.of(model, problems, rollouts, options.build(), Map.of());
    }
    options
        .miniBatches(2)
        .sync(new ReferenceSync(0.6, 3))
        .objective(
            PolicyObjective.builder()
                .beta(0.1)
                .entropyBonus(
                    new EntropyBonus(0.01, Optional.of(new EntropyBonus.Control(0, 1, 0.005, 2.5))))
                .build());
    return PolicyTrainer.of(model, reference.get(), problems, rollouts, options.build(), Map.of());
  }

  /**
   * Tests parameters in float32 and bf16, low-rank factors, and a reference model that follows
   * between mini-batches, with an adaptive reward of entropy. Prompts that are too long are
   * skipped, and must be counted in the position of the resumed run.
   */
  @Test
  void aRunThatIsResumedEndsWithTheSameBits() throws Exception {
    for (String kind : List.of("float32", "bf16", "factors", "reference")) {
      List<Map<String, float[]>> ends = new ArrayList<>();
      List<Map<String, float[]>> helds = new ArrayList<>();
      List<Map<String, Double>> metrics = new ArrayList<>();
      Path file = directory.resolve(kind + ".safetensors");
      try (BoundedVerifier verifier =
          new BoundedVerifier(
              (response, answer) -> response.startsWith(answer) ? 1 : 0,
              Duration.ofSeconds(5),
              2)) {
        for (int interrupted : new int[] {0, 4, 5}) {
          try (Context context = Context.open();
              Decoder model =
                  Decoder.load(
                      context,
                      MODEL,
                      kind.equals("bf16") ? Decoder.Storage.BF16 : Decoder.Storage.FLOAT32);
              AutoCloseable adapter = adapter(context, kind, model);
              Decoder reference = Decoder.load(context, MODEL);
              PolicyTrainer trainer =
                  policy(
                      model,
                      Optional.of(reference).filter(own -> kind.equals("reference")),
                      verifier)) {
            if (interrupted == 5) {
              trainer.resume(context, file, "a run");
              assertThat(trainer.step()).isEqualTo(4);
              assertThat(Trainer.savedStep(context, file)).isEqualTo(4);
            }
            while (!trainer.isDone()) {
              TrainingEvent event = trainer.next();
              if (trainer.isDone()) {
                metrics.add(event.metrics());
              }
              if (interrupted == 4 && trainer.step() == 4) {
                trainer.save(file, "a run");
                break;
              }
            }
            ends.add(values(model));
            helds.add(values(reference));
          }
        }
      }
      assertSame(ends.get(2), ends.get(0));
      assertSame(helds.get(2), helds.get(0));
      assertThat(metrics.get(1)).isEqualTo(metrics.get(0));
      assertThat(ends.get(1).values().iterator().next())
          .isNotEqualTo(ends.get(0).values().iterator().next());
    }
  }

  private static AutoCloseable adapter(Context context, String kind, Decoder model) {
    return kind.equals("factors")
        ? LowRankAdapter.attach(context, model, AdapterOptions.of(2, Initialisation.PISSA), 1)
        : () -> {};
  }

  /** Neither objects nor memory grow with the steps of a run. */
  @Test
  void memoryIsFlatOverFiveHundredSteps() {
    try (Context context = Context.open();
        Decoder model = Decoder.load(context, MODEL);
        BoundedVerifier verifier =
            new BoundedVerifier(
                (response, answer) -> response.startsWith(answer) ? 1 : 0,
                Duration.ofSeconds(5),
                1);
        PolicyTrainer trainer =
            PolicyTrainer.of(
                model,
                List.of(Problem.of("de", "e", ""), Problem.of("df", "f", "")),
                new Rollouts(LETTERS, verifier, 4),
                TrainingOptions.builder(500, 2, 4, SamplingOptions.plain(2, List.of(2)), 1e-6, 3)
                    .kept(TrainingOptions.Kept.ALL)
                    .rows(4)
                    .build(),
                Map.of())) {
      for (int step = 0; step < 100; step++) {
        trainer.next();
      }
      long objects = Pointer.totalCount();
      long bytes = Pointer.physicalBytes();
      trainer.run(event -> {});
      assertThat(Pointer.totalCount()).isLessThanOrEqualTo(objects);
      // The bound is loose, because the heap of the process may grow for other reasons.
      assertThat(Pointer.physicalBytes() - bytes).isLessThan(256L << 20);
    }
  }

  @Test
  void damagedStatesAndThoseOfOthersAreRefused() throws IOException {
    Path file = directory.resolve("state.safetensors");
    try (Context context = Context.open();
        Decoder model = Decoder.load(context, MODEL);
        SupervisedTrainer trainer = supervised(model, 5)) {
      trainer.next();
      trainer.save(file, "one");
      Map<String, float[]> before = values(model);
      assertThatThrownBy(() -> trainer.resume(context, file, "another"))
          .isInstanceOf(InvalidInputException.class)
          .hasMessageContaining("state.safetensors: the state belongs to another run");
      byte[] whole = Files.readAllBytes(file);
      Path damaged = directory.resolve("damaged.safetensors");
      for (int length : new int[] {0, 7, 100, whole.length - 1}) {
        Files.write(damaged, Arrays.copyOf(whole, length));
        assertThatThrownBy(() -> trainer.resume(context, damaged, "one"))
            .isInstanceOf(InvalidInputException.class)
            .hasMessageContaining("damaged.safetensors");
      }
      Path other = Path.of("src/test/resources/decoders/qwen3");
      try (Decoder another = Decoder.load(context, other);
          SupervisedTrainer ofAnother = supervised(another, 5)) {
        assertThatThrownBy(() -> ofAnother.resume(context, file, "one"))
            .isInstanceOf(InvalidInputException.class);
      }
      assertSame(values(model), before);
      assertThatThrownBy(() -> trainer.save(directory.resolve("none/x.safetensors"), "one"))
          .isInstanceOf(IOException.class);
    }
  }
}
