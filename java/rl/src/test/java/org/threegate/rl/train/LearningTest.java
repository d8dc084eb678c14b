package org.threegate.rl.train;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.stream.LongStream;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.threegate.kernel.Context;
import org.threegate.rl.policy.Decoder;
import org.threegate.rl.policy.JsonTokenizer;
import org.threegate.rl.policy.SamplingOptions;
import org.threegate.rl.policy.Tokenizer;
import org.threegate.rl.rollout.PassRate;
import org.threegate.rl.rollout.Rollouts;
import org.threegate.rl.study.BaseModel;
import org.threegate.rl.study.Corpus;
import org.threegate.rl.task.Problem;
import org.threegate.rl.verifier.BoundedVerifier;
import org.threegate.rl.verifier.Verifiers;

/**
 * Tests that training improves addition on unseen sums. {@code -Dthreegate.test.learning=N} sets
 * the number of seeds.
 */
class LearningTest {
  private static final int EACH = 16;
  private static final int HELD = 400;

  @TempDir Path directory;

  static LongStream seeds() {
    return LongStream.rangeClosed(1, Integer.getInteger("threegate.test.learning", 1));
  }

  @ParameterizedTest
  @MethodSource("seeds")
  void additionIsLearnt(long seed) throws IOException {
    Path base = directory.resolve("base");
    BaseModel.extract(base);
    List<Problem> train = Corpus.sums(Corpus.TUNING);
    List<Problem> test = Corpus.sums(Corpus.TEST).subList(0, HELD);
    assertThat(train).doesNotContainAnyElementsOf(test);
    try (Context context = Context.open();
        Decoder model = Decoder.load(context, base);
        Tokenizer tokenizer = JsonTokenizer.load(base);
        BoundedVerifier verifier = new BoundedVerifier(Verifiers.EXACT, Duration.ofSeconds(5), 2)) {
      SamplingOptions sampling = SamplingOptions.plain(10, model.config().tokens().ends());
      Rollouts rollouts = new Rollouts(tokenizer, verifier, 32);
      PassRate before =
          PassRate.of(rollouts.draw(model, test, EACH, sampling, 100 + seed), EACH, 1);
      TrainingOptions options = TrainingOptions.of(40, 16, 16, sampling, 3e-5, seed);
      try (PolicyTrainer trainer = PolicyTrainer.of(model, train, rollouts, options, Map.of())) {
        trainer.run(event -> {});
      }
      PassRate after = PassRate.of(rollouts.draw(model, test, EACH, sampling, 200 + seed), EACH, 1);
      assertThat(after.low()).isGreaterThan(before.high());
    }
  }
}
