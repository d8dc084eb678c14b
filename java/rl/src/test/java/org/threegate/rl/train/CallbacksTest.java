package org.threegate.rl.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;
import org.threegate.kernel.Context;
import org.threegate.rl.event.Decision;
import org.threegate.rl.event.TrainingCallback;
import org.threegate.rl.event.TrainingEvent;
import org.threegate.rl.optimizer.Schedule;
import org.threegate.rl.policy.Decoder;
import org.threegate.rl.policy.SamplingOptions;
import org.threegate.rl.policy.Tensors;
import org.threegate.rl.rollout.Rollouts;
import org.threegate.rl.task.Problem;
import org.threegate.rl.verifier.BoundedVerifier;
import org.threegate.run.InvalidInputException;
import org.threegate.testing.NativeLeaks;

/** Tests that callbacks change later steps and end runs, and that this survives a resume. */
@ExtendWith(NativeLeaks.class)
class CallbacksTest {
  private static final Path MODEL = Path.of("src/test/resources/decoders/llama");
  private static final List<Problem> PROBLEMS =
      List.of(Problem.of("vwd", "d", ""), Problem.of("wxe", "e", ""));
  private static final int STEPS = 12;

  @TempDir Path directory;

  /** Sets another rate after its third event, and ends the run after its eighth. */
  private static final class Counting implements TrainingCallback {
    private int events;

    @Override
    public Decision after(TrainingEvent event) {
      events++;
      return events == 3
          ? Decision.learningRate(0.002)
          : events == 8 ? Decision.stop("the eighth event") : Decision.GO_ON;
    }

    @Override
    public Map<String, String> state() {
      return Map.of("events", Integer.toString(events));
    }

    @Override
    public void restore(Map<String, String> state) {
      events = Integer.parseInt(state.getOrDefault("events", "none"));
    }
  }

  /** What a run ended with. */
  private record Ended(
      long step, String reason, List<Double> rates, Map<String, float[]> weights) {}

  /**
   * Runs to the end.
   *
   * @param from the step that a saved state is resumed from; 0 for none
   * @param saved the step after which the state is saved
   */
  private Ended run(long from, long saved, List<TrainingCallback> callbacks) throws IOException {
    TrainingOptions options =
        TrainingOptions.builder(STEPS, 2, 8, SamplingOptions.plain(2, List.of(2)), 0.01, 7)
            .iterations(2)
            .schedule(Schedule.linear(0, 2 * STEPS, 0))
            .build();
    List<Double> rates = new ArrayList<>();
    Map<String, float[]> weights = new HashMap<>();
    try (Context context = Context.open();
        Decoder model = Decoder.load(context, MODEL);
        BoundedVerifier verifier =
            new BoundedVerifier(
                (response, answer) -> response.startsWith(answer) ? 1 : response.length() / 4.0,
                Duration.ofSeconds(5),
                2);
        PolicyTrainer trainer =
            PolicyTrainer.of(
                model,
                PROBLEMS,
                new Rollouts(PolicyTrainerTest.LETTERS, verifier, 8),
                options,
                Map.of())) {
      callbacks.forEach(trainer::add);
      if (from > 0) {
        trainer.resume(context, state(from), "run");
      }
      while (!trainer.isDone()) {
        TrainingEvent event = trainer.next();
        rates.add(event.metrics().getOrDefault("learning_rate", Double.NaN));
        trainer.decide(event);
        if (trainer.step() == saved) {
          trainer.save(state(saved), "run");
        }
      }
      model.parameters().forEach((name, value) -> weights.put(name, Tensors.floats(value)));
      return new Ended(trainer.step(), trainer.stopReason().orElse(""), rates, weights);
    }
  }

  private Path state(long step) {
    return directory.resolve("state-" + step + ".safetensors");
  }

  @Test
  void decisionsSurviveAResume() throws IOException {
    for (long saved : new long[] {2, 5, 8}) {
      Ended whole = run(0, saved, List.of(new Counting()));
      assertThat(whole.step()).isEqualTo(8);
      assertThat(whole.reason()).isEqualTo("the eighth event");
      // The rate of a step is that of its last update, of which there are two.
      for (int step = 1; step <= 8; step++) {
        double peak = step <= 3 ? 0.01 : 0.002;
        assertThat(whole.rates().get(step - 1))
            .isEqualTo(peak * Schedule.linear(0, 2 * STEPS, 0).at(2 * step - 1));
      }
      Ended resumed = run(saved, 0, List.of(new Counting()));
      assertThat(resumed.step()).isEqualTo(8);
      assertThat(resumed.reason()).isEqualTo("the eighth event");
      assertThat(resumed.rates()).isEqualTo(whole.rates().subList((int) saved, 8));
      whole
          .weights()
          .forEach((name, values) -> assertThat(resumed.weights().get(name)).isEqualTo(values));
    }
    Ended free = run(0, 0, List.of(event -> Decision.GO_ON));
    assertThat(free.step()).isEqualTo(STEPS);
    assertThat(free.reason()).isEmpty();
  }

  @Test
  void theFirstReasonAndTheLastRateCount() throws IOException {
    Ended ended =
        run(
            0,
            0,
            List.of(
                event -> Decision.learningRate(0.1),
                event -> event.step() == 2 ? Decision.stop("one") : Decision.GO_ON,
                event -> event.step() == 2 ? Decision.stop("two") : Decision.learningRate(0.003)));
    assertThat(ended.reason()).isEqualTo("one");
    assertThat(ended.rates().get(1)).isEqualTo(0.003 * Schedule.linear(0, 2 * STEPS, 0).at(3));
  }

  @Test
  void statesOfOtherCallbacksAreRefused() throws IOException {
    run(0, 2, List.of(new Counting()));
    assertThatThrownBy(() -> run(2, 0, List.of()))
        .isInstanceOf(InvalidInputException.class)
        .hasMessageContaining("the run had 1 callbacks, and has 0");
    run(0, 3, List.of(event -> Decision.GO_ON));
    assertThatThrownBy(() -> run(3, 0, List.of(new Counting())))
        .isInstanceOf(InvalidInputException.class)
        .hasMessageContaining("the state of a callback cannot be restored");
    assertThatThrownBy(() -> Decision.learningRate(Double.NaN))
        .hasMessage("the learning rate must be above 0 and finite, but is NaN");
    assertThatThrownBy(() -> Decision.learningRate(0)).hasMessageContaining("is 0.0");
    assertThatThrownBy(() -> Decision.stop("")).hasMessageContaining("1 to 1000 characters");
  }
}
