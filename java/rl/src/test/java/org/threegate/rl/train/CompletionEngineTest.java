package org.threegate.rl.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.UnaryOperator;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.threegate.kernel.Context;
import org.threegate.rl.event.TrainingEvent;
import org.threegate.rl.objective.PolicyObjective;
import org.threegate.rl.policy.Completion;
import org.threegate.rl.policy.CompletionEngine;
import org.threegate.rl.policy.CompletionRequest;
import org.threegate.rl.policy.Decoder;
import org.threegate.rl.policy.DecoderEngine;
import org.threegate.rl.policy.FinishReason;
import org.threegate.rl.policy.SamplingOptions;
import org.threegate.rl.policy.Tensors;
import org.threegate.rl.policy.Tokenizer;
import org.threegate.rl.rollout.Rollouts;
import org.threegate.rl.task.Problem;
import org.threegate.rl.verifier.BoundedVerifier;
import org.threegate.run.InvalidInputException;
import org.threegate.testing.NativeLeaks;

/** Tests that the trainer learns from whatever engine answers it. */
@ExtendWith(NativeLeaks.class)
class CompletionEngineTest {
  private static final Path MODEL = Path.of("src/test/resources/decoders/llama");
  private static final Tokenizer LETTERS = PolicyTrainerTest.LETTERS;
  private static final SamplingOptions SAMPLING = SamplingOptions.plain(2, List.of(2));
  private static final List<Problem> PROBLEMS =
      List.of(Problem.of("vwd", "d", ""), Problem.of("wxe", "e", ""), Problem.of("xf", "f", ""));

  /** Passes requests on, and changes the completions. */
  private record Changed(
      CompletionEngine other, List<CompletionRequest> asked, UnaryOperator<Completion> change)
      implements CompletionEngine {
    @Override
    public List<Completion> complete(CompletionRequest request) {
      asked.add(request);
      return other.complete(request).stream().map(change).toList();
    }

    @Override
    public String where() {
      return "a fake engine";
    }
  }

  /** A completion with an older version, whose log-probabilities are lower by a number. */
  private static Completion stale(Completion own, long version, float lower) {
    float[] logProbabilities = own.logProbabilities().clone();
    for (int i = 0; i < logProbabilities.length; i++) {
      logProbabilities[i] -= lower;
    }
    return new Completion(own.tokens(), logProbabilities, own.finish(), version);
  }

  private static TrainingOptions options(int steps) {
    return TrainingOptions.builder(steps, 3, 16, SAMPLING, 0.01, 7)
        .objective(PolicyObjective.DAPO)
        .rows(20)
        .build();
  }

  /** What a run ended with. */
  private record Ended(
      List<Map<String, Double>> metrics,
      List<CompletionRequest> asked,
      Map<String, float[]> weights) {}

  private static Ended run(int steps, boolean asks, UnaryOperator<Completion> change) {
    List<Map<String, Double>> metrics = new ArrayList<>();
    List<CompletionRequest> asked = new ArrayList<>();
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
                model, PROBLEMS, new Rollouts(LETTERS, verifier, 8), options(steps), Map.of())) {
      if (asks) {
        trainer.ask(new Changed(new DecoderEngine(model, LETTERS), asked, change));
      }
      trainer.run(
          event -> {
            assertThat(event).isInstanceOf(TrainingEvent.StepTaken.class);
            metrics.add(new LinkedHashMap<>(event.metrics()));
          });
      model.parameters().forEach((name, value) -> weights.put(name, Tensors.floats(value)));
    }
    return new Ended(metrics, asked, weights);
  }

  @Test
  void aTrainerLearnsTheSameFromAnEngineWithItsOwnWeights() {
    Ended alone = run(4, false, own -> own);
    Ended asking = run(4, true, own -> own);
    alone
        .weights()
        .forEach((name, values) -> assertThat(asking.weights().get(name)).isEqualTo(values));
    assertThat(asking.metrics()).isEqualTo(alone.metrics());
    // Each update makes a version, and each completion has a seed of its own.
    assertThat(asking.asked().stream().map(CompletionRequest::version))
        .containsExactly(0L, 1L, 2L, 3L);
    assertThat(
            asking.asked().stream()
                .flatMap(request -> Arrays.stream(request.seeds()).boxed())
                .distinct())
        .hasSize(4 * 3 * 16);
    assertThat(asking.asked().get(0).options()).isEqualTo(SAMPLING);
  }

  /** Ratios are to the weights that sampled, as their engine reports them. */
  @Test
  void staleCompletionsAreOffPolicy() {
    float lower = 0.1f; // the ratio of each token is then exp(0.1), which is not clipped
    Map<String, Double> own = run(1, true, value -> stale(value, 0, lower)).metrics().get(0);
    assertThat(own.get("sampling/version_lag")).isZero();
    assertThat(own.get("loss")).isNotZero();
    List<Map<String, Double>> old = run(3, true, value -> stale(value, 0, 0)).metrics();
    assertThat(old.stream().map(metrics -> metrics.get("sampling/version_lag")))
        .containsExactly(0.0, 1.0, 2.0);
    // The same samples in the first step, but of older weights: version 1 is wanted in the second.
    List<Map<String, Double>> current = run(2, true, value -> value).metrics();
    List<Map<String, Double>> behind =
        run(2, true, value -> stale(value, 0, value.version() == 0 ? 0 : lower)).metrics();
    assertThat(behind.get(0)).isEqualTo(current.get(0));
    for (String metric : List.of("loss", "grad_norm")) {
      double wanted = Math.exp(lower) * current.get(1).get(metric);
      assertThat(behind.get(1).get(metric))
          .as(metric)
          .isCloseTo(wanted, within(1e-4 * Math.abs(wanted) + 1e-7));
    }
    // Beyond the clipping range, the tokens are counted as clipped.
    List<Map<String, Double>> far =
        run(2, true, value -> stale(value, 0, value.version() == 0 ? 0 : 1)).metrics();
    assertThat(current.get(1).get("clip_ratio/high_mean")).isZero();
    assertThat(far.get(1).get("clip_ratio/high_mean")).isGreaterThan(0.1);
  }

  @Test
  void completionsThatAnEngineGaveUpAreNotWhole() {
    Ended ended =
        run(
            1,
            true,
            own ->
                new Completion(
                    own.tokens(), own.logProbabilities(), new FinishReason.Aborted("load"), 0));
    assertThat(ended.metrics().get(0).get("completions/clipped_ratio")).isEqualTo(1);
  }

  @Test
  void answersToAnotherRequestAreRefused() {
    Map<String, UnaryOperator<Completion>> broken =
        Map.of(
            "completion 1: 0 tokens; 1 to 2 were asked for",
            own -> new Completion(new int[0], new float[0], own.finish(), 0),
            "3 tokens; 1 to 2 were asked for",
            own -> new Completion(new int[3], new float[3], own.finish(), 0),
            "2 tokens with 1 log-probabilities",
            own -> new Completion(new int[2], new float[1], own.finish(), 0),
            "the log-probability NaN",
            own -> new Completion(new int[1], new float[] {Float.NaN}, own.finish(), 0),
            "the log-probability 0.5",
            own -> new Completion(new int[1], new float[] {0.5f}, own.finish(), 0),
            "the log-probability -Infinity",
            own ->
                new Completion(new int[1], new float[] {Float.NEGATIVE_INFINITY}, own.finish(), 0),
            "version 1 of the weights; there are 0 to 0",
            own -> new Completion(own.tokens(), own.logProbabilities(), own.finish(), 1),
            "token 24 of a vocabulary of 24",
            own -> new Completion(new int[] {24}, new float[1], own.finish(), 0),
            "token -1 of a vocabulary of 24",
            own -> new Completion(new int[] {-1}, new float[1], own.finish(), 0));
    broken.forEach(
        (why, change) ->
            assertThatThrownBy(() -> run(1, true, change), why)
                .isInstanceOf(InvalidInputException.class)
                .hasMessageContaining(why));
    CompletionRequest request =
        new CompletionRequest(List.of(new int[] {1}), SAMPLING, new long[] {1}, 0);
    assertThatThrownBy(() -> request.checked(List.of(), "a fake engine"))
        .isInstanceOf(InvalidInputException.class)
        .hasMessage("a fake engine: 0 completions of 1 prompts");
  }
}
