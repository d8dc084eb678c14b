package org.threegate.rl.study;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.threegate.kernel.Context;
import org.threegate.rl.policy.Decoder;
import org.threegate.rl.policy.JsonTokenizer;
import org.threegate.rl.policy.SamplingOptions;
import org.threegate.rl.policy.Threads;
import org.threegate.rl.policy.Tokenizer;
import org.threegate.rl.rollout.PassRate;
import org.threegate.rl.rollout.Rollout;
import org.threegate.rl.rollout.Rollouts;
import org.threegate.rl.verifier.BoundedVerifier;

/** Tests the skill of the base model of the study, and that its recipe is reproducible. */
class BaseModelTest {
  @TempDir Path directory;

  @AfterEach
  void allThreads() {
    Threads.use(Runtime.getRuntime().availableProcessors());
  }

  /** The models calculate correctly at times, so reinforcement learning can improve them. */
  @ParameterizedTest
  @CsvSource({"OWN, ADDITION", "OWN, SUBTRACTION", "OTHER, ADDITION"})
  void knowsHowToCalculateAndDoesSoTooRarely(Base of, Task task) throws IOException {
    Path base = directory.resolve("base");
    of.extract(base);
    assertThat(Files.size(base.resolve("model.safetensors"))).isLessThan(4 << 20);
    try (Context context = Context.open();
        Decoder model = Decoder.load(context, base);
        Tokenizer tokenizer = JsonTokenizer.load(base);
        BoundedVerifier verifier = new BoundedVerifier(Corpus.VERIFIER, Duration.ofSeconds(5), 2)) {
      assertThat(tokenizer.decode(tokenizer.encode("B27+58=15,08#085$")))
          .isEqualTo("B27+58=15,08#085$");
      List<Rollout> drawn =
          new Rollouts(tokenizer, verifier, 16)
              .draw(
                  model,
                  task.problems(Corpus.TEST),
                  8,
                  SamplingOptions.plain(10, model.config().tokens().ends()),
                  1);
      assertThat(PassRate.of(drawn, 8, 1).value()).isBetween(0.15, 0.5);
      assertThat(PassRate.of(drawn, 8, 8).value()).isGreaterThan(0.5);
    }
  }

  /** Six steps of the recipe write the same bytes with any number of threads. */
  @Test
  void theRecipeMakesTheSameBytes() throws IOException {
    List<Double> losses = new ArrayList<>();
    try (Context context = Context.open()) {
      Threads.use(1);
      BaseModel.pretrain(
          context,
          directory.resolve("one"),
          6,
          3,
          event -> losses.add(event.metrics().get("loss")));
      Threads.use(2);
      BaseModel.pretrain(context, directory.resolve("two"), 6, 3, event -> {});
      BaseModel.pretrain(context, directory.resolve("other"), 6, 4, event -> {});
    }
    byte[] weights = Files.readAllBytes(directory.resolve("one/model.safetensors"));
    assertThat(Files.readAllBytes(directory.resolve("two/model.safetensors"))).isEqualTo(weights);
    assertThat(Files.readAllBytes(directory.resolve("other/model.safetensors")))
        .isNotEqualTo(weights);
    assertThat(losses).hasSize(6);
    assertThat(losses.get(5)).isLessThan(losses.get(0));
  }
}
