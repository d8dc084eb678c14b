package org.threegate.rl.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.IntSummaryStatistics;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.stream.IntStream;
import org.bytedeco.javacpp.Pointer;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.threegate.kernel.Context;
import org.threegate.rl.event.SampledCompletion;
import org.threegate.rl.event.TrainingEvent;
import org.threegate.rl.objective.Advantages;
import org.threegate.rl.objective.EntropyBonus;
import org.threegate.rl.objective.ImportanceCorrection;
import org.threegate.rl.objective.Loss;
import org.threegate.rl.objective.LossType;
import org.threegate.rl.objective.PolicyBatch;
import org.threegate.rl.objective.PolicyObjective;
import org.threegate.rl.policy.Completion;
import org.threegate.rl.policy.Decoder;
import org.threegate.rl.policy.FinishReason;
import org.threegate.rl.policy.Padded;
import org.threegate.rl.policy.SamplingOptions;
import org.threegate.rl.policy.Tensors;
import org.threegate.rl.policy.Tokenizer;
import org.threegate.rl.rollout.PassRate;
import org.threegate.rl.rollout.Rollout;
import org.threegate.rl.rollout.Rollouts;
import org.threegate.rl.task.Problem;
import org.threegate.rl.verifier.BoundedVerifier;
import org.threegate.rl.verifier.Scorer;
import org.threegate.rl.verifier.Scores;
import org.threegate.rl.verifier.Verifier;
import org.threegate.run.InvalidInputException;
import org.threegate.testing.NativeLeaks;

@ExtendWith(NativeLeaks.class)
@SuppressWarnings("try")
class PolicyTrainerTest {
  private static final Path MODEL = Path.of("src/test/resources/decoders/llama");

  /** A tokenizer with one token per letter. */
  static final Tokenizer LETTERS =
      new Tokenizer() {
        @Override
        public int[] encode(String text) {
          return text.chars().map(letter -> letter - 'a').toArray();
        }

        @Override
        public String decode(int[] tokens) {
          StringBuilder text = new StringBuilder();
          for (int token : tokens) {
            text.append((char) ('a' + token));
          }
          return text.toString();
        }
      };

  /** Accepts responses that begin with the answer, which is the last letter of the prompt. */
  private static final Verifier REPEATS = (response, answer) -> response.startsWith(answer) ? 1 : 0;

  private static final List<Problem> PROBLEMS = new ArrayList<>();

  static {
    for (char letter = 'd'; letter < 'p'; letter++) {
      PROBLEMS.add(Problem.of("vwx".substring(letter % 3) + letter, String.valueOf(letter), ""));
    }
  }

  private static TrainingOptions.Builder builder(
      PolicyObjective objective, int steps, double rate) {
    return TrainingOptions.builder(steps, 6, 12, SamplingOptions.plain(2, List.of(2)), rate, 7)
        .objective(objective)
        .rows(32);
  }

  private static TrainingOptions options(PolicyObjective objective, int steps, double rate) {
    return builder(objective, steps, rate).build();
  }

  private static BoundedVerifier bounded(Verifier verifier) {
    return new BoundedVerifier(verifier, Duration.ofSeconds(5), 2);
  }

  private static double passRate(Decoder model, Rollouts rollouts) {
    return PassRate.of(
            rollouts.draw(model, PROBLEMS, 50, SamplingOptions.plain(2, List.of(2)), 99), 50, 1)
        .value();
  }

  /** A step reports the means of its updates, and lengths, tokens and times of its completions. */
  @Test
  void aStepSaysWhatHappened() {
    try (Context context = Context.open();
        Decoder model = Decoder.load(context, MODEL);
        BoundedVerifier verifier = bounded(REPEATS);
        PolicyTrainer trainer =
            PolicyTrainer.of(
                model,
                PROBLEMS,
                new Rollouts(LETTERS, verifier, 4),
                builder(PolicyObjective.GRPO, 2, 0.01).iterations(2).miniBatches(3).build(),
                Map.of())) {
      double before = 0;
      while (!trainer.isDone()) {
        TrainingEvent event = trainer.next();
        Map<String, Double> metrics = event.metrics();
        List<Map<String, Double>> updates = event.details().updates();
        assertThat(updates).hasSize(6);
        for (String name :
            List.of("loss", "entropy", "clip_ratio/region_mean", "clip_ratio/low_min")) {
          assertThat(metrics.get(name))
              .as(name)
              .isCloseTo(
                  updates.stream().mapToDouble(own -> own.get(name)).average().orElseThrow(),
                  within(1e-12));
        }
        assertThat(metrics.get("grad_norm")).isEqualTo(updates.get(5).get("grad_norm"));
        assertThat(metrics.get("entropy")).isBetween(0.1, Math.log(64));
        List<SampledCompletion> samples = event.details().completions();
        assertThat(samples).hasSize(72);
        IntSummaryStatistics all =
            samples.stream().mapToInt(SampledCompletion::tokens).summaryStatistics();
        IntSummaryStatistics ended =
            samples.stream()
                .filter(own -> !own.isTruncated())
                .mapToInt(SampledCompletion::tokens)
                .summaryStatistics();
        assertThat(metrics.get("completions/mean_length")).isEqualTo(all.getAverage());
        assertThat(metrics.get("completions/min_length")).isEqualTo(all.getMin());
        assertThat(metrics.get("completions/max_length")).isEqualTo(all.getMax());
        assertThat(metrics.get("completions/mean_terminated_length")).isEqualTo(ended.getAverage());
        assertThat(metrics.get("completions/max_terminated_length"))
            .isEqualTo(ended.getCount() == 0 ? 0 : ended.getMax());
        long seen = samples.stream().mapToLong(own -> own.prompt().length() + own.tokens()).sum();
        assertThat(metrics.get("num_tokens")).isEqualTo(before + seen);
        before = metrics.get("num_tokens");
        for (SampledCompletion own : samples) {
          boolean right =
              own.completion().startsWith(own.prompt().substring(own.prompt().length() - 1));
          assertThat(own.reward()).isEqualTo(right ? 1 : 0);
          assertThat(own.rewards()).isEqualTo(Map.of("reward", own.reward()));
          assertThat(own.advantage()).isFinite();
        }
        Map<String, Double> timings = event.details().timings();
        assertThat(
                timings.get("time/sampling")
                    + timings.get("time/scoring")
                    + timings.get("time/update"))
            .isCloseTo(timings.get("step_time"), within(1e-9));
        assertThat(timings.get("time/sampling")).isPositive();
        assertThat(timings.get("tokens_per_second"))
            .isCloseTo(seen / timings.get("step_time"), within(1e-6));
      }
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"grpo", "dapo", "gspo", "cispo", "rloo"})
  void everyObjectiveLearns(String name) {
    PolicyObjective objective =
        switch (name) {
          case "grpo" -> PolicyObjective.GRPO.toBuilder().beta(0.001).build();
          case "dapo" -> PolicyObjective.DAPO;
          case "gspo" -> PolicyObjective.GSPO;
          case "cispo" -> PolicyObjective.CISPO;
          default -> PolicyObjective.RLOO;
        };
    try (Context context = Context.open();
        Decoder model = Decoder.load(context, MODEL);
        Decoder reference = Decoder.load(context, MODEL);
        BoundedVerifier verifier = bounded(REPEATS)) {
      Rollouts rollouts = new Rollouts(LETTERS, verifier, 8);
      double before = passRate(model, rollouts);
      try (PolicyTrainer trainer =
          PolicyTrainer.of(
              model, reference, PROBLEMS, rollouts, options(objective, 60, 0.02), Map.of())) {
        trainer.run(event -> {});
      }
      assertThat(before).isLessThan(0.2);
      assertThat(passRate(model, rollouts)).isGreaterThan(before + 0.3);
    }
  }

  @Test
  void missingScoresCountInNoMean() {
    Scorer scorer =
        attempt ->
            attempt.response().startsWith("a")
                ? Scores.of(4)
                : new Scores(Double.NaN, Map.of("tokens", (double) attempt.tokens().length));
    try (Context context = Context.open();
        Decoder model = Decoder.load(context, MODEL);
        BoundedVerifier second = new BoundedVerifier(scorer, Duration.ofSeconds(5), 2);
        BoundedVerifier first = bounded((response, answer) -> response.startsWith("a") ? 2 : 1)) {
      Rollouts rollouts =
          new Rollouts(
              LETTERS,
              List.of(new Rollouts.Reward("first", first), new Rollouts.Reward("second", second)),
              8);
      TrainingOptions options = options(PolicyObjective.GRPO, 1, 0.02);
      try (PolicyTrainer trainer = PolicyTrainer.of(model, PROBLEMS, rollouts, options, Map.of())) {
        trainer.run(
            event -> {
              Map<String, Double> metrics = event.metrics();
              double share = metrics.get("rewards/first/mean") - 1;
              assertThat(share).isStrictlyBetween(0.0, 1.0);
              assertThat(metrics.get("rewards/second/mean")).isEqualTo(4);
              assertThat(metrics.get("rewards/second/std")).isEqualTo(0);
              assertThat(metrics.get("reward")).isCloseTo(1 + 5 * share, within(1e-12));
              assertThat(metrics.get("rewards/second/tokens/mean")).isBetween(1.0, 2.0);
              assertThat(metrics.get("verifier/failed_ratio")).isZero();
            });
      }
    }
  }

  private static Map<String, float[]> copy(Map<String, Tensor> parameters) {
    Map<String, float[]> copy = new HashMap<>();
    parameters.forEach((name, value) -> copy.put(name, Tensors.floats(value)));
    return copy;
  }

  /**
   * Runs with the same seed end with the same bits, and runs with other seeds differ. Frozen
   * weights do not change, and steps leak no objects.
   */
  @Test
  void aRunIsWhatItsSeedMakesIt() {
    List<Map<String, float[]>> ends = new ArrayList<>();
    String frozen = "model.layers.1.mlp.up_proj.weight";
    float[] begin = new float[0];
    for (long seed : new long[] {1, 1, 2}) {
      try (Context context = Context.open();
          PointerScope scope = new PointerScope();
          Decoder model = Decoder.load(context, MODEL);
          BoundedVerifier verifier = bounded(REPEATS)) {
        Rollouts rollouts = new Rollouts(LETTERS, verifier, 8);
        begin = Tensors.floats(model.parameters().get(frozen));
        Tensor mask =
            model.parameters().get(frozen).detach().lt(model.parameters().get(frozen).detach());
        TrainingOptions options =
            TrainingOptions.builder(8, 6, 12, SamplingOptions.plain(2, List.of(2)), 0.01, seed)
                .iterations(2)
                .rows(5)
                .lengthMargin(1)
                .build();
        List<String> metrics = new ArrayList<>();
        try (PolicyTrainer trainer =
            PolicyTrainer.of(
                model, PROBLEMS, rollouts, options, Map.of(frozen, mask.to(ScalarType.Bool)))) {
          trainer.next();
          long objects = Pointer.totalCount();
          trainer.run(
              event -> {
                if (event instanceof TrainingEvent.StepTaken taken) {
                  metrics.addAll(taken.metrics().keySet());
                  assertThat(taken.metrics().get("reward")).isBetween(0.0, 1.0);
                }
              });
          assertThat(Pointer.totalCount()).isLessThanOrEqualTo(objects);
        }
        assertThat(metrics)
            .contains(
                "reward",
                "reward_std",
                "frac_reward_zero_std",
                "completions/mean_length",
                "completions/clipped_ratio",
                "loss",
                "grad_norm",
                "learning_rate",
                "clip_ratio/region_mean",
                "verifier/failed_ratio");
        ends.add(copy(model.parameters()));
      }
    }
    assertThat(ends.get(0).get(frozen)).isEqualTo(begin);
    ends.get(0)
        .forEach((name, values) -> assertThat(ends.get(1).get(name)).as(name).isEqualTo(values));
    assertThat(ends.get(2).get("lm_head.weight")).isNotEqualTo(ends.get(0).get("lm_head.weight"));
  }

  /** The gradients of the parts of a batch add up to that of the whole batch. */
  @ParameterizedTest
  @ValueSource(strings = {"tokens", "sequences", "length", "everything"})
  void partsOfABatchAddUp(String average) {
    PolicyObjective objective =
        switch (average) {
          case "tokens" -> PolicyObjective.DAPO;
          case "sequences" -> PolicyObjective.GRPO;
          case "length" -> PolicyObjective.drGrpo(2);
          default -> everything(LossType.BNPO).build();
        };
    boolean all = average.equals("everything");
    List<Map<String, Double>> metrics = new ArrayList<>();
    for (int rows : new int[] {1000, 7}) {
      try (Context context = Context.open();
          Decoder model = Decoder.load(context, MODEL);
          Decoder reference = Decoder.load(context, MODEL);
          BoundedVerifier verifier = bounded(REPEATS)) {
        reference.parameters().get("lm_head.weight").detach().mul_(new Scalar(1.2));
        // The first steps of Adam magnify the rounding of small gradients, so the rate is low.
        TrainingOptions.Builder options = builder(objective, 1, 1e-6).rows(rows);
        if (all) {
          options.miniBatches(3).iterations(2).truncatedMasked(true);
        }
        try (PolicyTrainer trainer =
            PolicyTrainer.of(
                model,
                reference,
                PROBLEMS,
                new Rollouts(LETTERS, verifier, 8),
                options.build(),
                Map.of())) {
          metrics.add(((TrainingEvent.StepTaken) trainer.next()).metrics());
          assertThat(trainer.optimizer.steps()).isEqualTo(all ? 6 : 1);
        }
      }
    }
    if (all) {
      assertThat(metrics.get(0))
          .containsKeys(
              "kl",
              "entropy",
              "policy_loss",
              "entropy_coef",
              "sampling/importance_sampling_ratio/mean",
              "sampling/sampling_logp_difference/max");
      assertThat(metrics.get(0).get("sampling/importance_sampling_ratio/mean"))
          .isCloseTo(1, within(1e-4));
    }
    assertThat(metrics.get(1).keySet()).isEqualTo(metrics.get(0).keySet());
    metrics
        .get(0)
        .forEach(
            (name, value) ->
                assertThat(metrics.get(1).get(name))
                    .as(name)
                    .isCloseTo(value, within(1e-4 * Math.abs(value) + 1e-5)));
  }

  private static PolicyObjective.Builder everything(LossType type) {
    return PolicyObjective.builder()
        .loss(type)
        .maxCompletionLength(2)
        .beta(0.1)
        .entropyBonus(new EntropyBonus(0.1, Optional.empty()))
        .offPolicyMaskThreshold(0.01)
        .correction(
            new ImportanceCorrection(
                ImportanceCorrection.Mode.TOKEN_TRUNCATE,
                OptionalDouble.empty(),
                OptionalDouble.of(3)));
  }

  /** Returns a quantile in the widest gap of entropies, so that rounding moves no token over it. */
  private static double quantile(float[] entropies) {
    float[] sorted = entropies.clone();
    Arrays.sort(sorted);
    int widest = 0;
    for (int i = 1; i < sorted.length - 1; i++) {
      if (sorted[i + 1] - sorted[i] > sorted[widest + 1] - sorted[widest]) {
        widest = i;
      }
    }
    return 1 - (widest + 0.5) / (sorted.length - 1);
  }

  /** A step, which is computed in parts, has the loss and gradient of its objective as a whole. */
  @ParameterizedTest
  @EnumSource(LossType.class)
  void aStepHasTheLossOfItsObjective(LossType type) {
    SamplingOptions sampling = SamplingOptions.plain(2, List.of(2));
    try (Context context = Context.open();
        PointerScope scope = new PointerScope();
        Decoder model = Decoder.load(context, MODEL);
        Decoder reference = Decoder.load(context, MODEL);
        BoundedVerifier verifier = bounded(REPEATS)) {
      reference.parameters().get("lm_head.weight").detach().mul_(new Scalar(1.2));
      Rollouts rollouts = new Rollouts(LETTERS, verifier, 8);
      Order order = new Order(PROBLEMS.size(), 7);
      List<Problem> asked = IntStream.range(0, 6).mapToObj(i -> PROBLEMS.get(order.at(i))).toList();
      List<Rollout> drawn = rollouts.draw(model, asked, 12, sampling, Order.seed(7, 3));
      int prompt = drawn.stream().mapToInt(own -> own.prompt().length).max().orElseThrow();
      Padded texts =
          Padded.left(drawn.stream().map(Rollout::prompt).toList(), prompt, 0)
              .followedBy(
                  Padded.right(
                      drawn.stream().map(own -> own.completion().tokens()).toList(), 2, 0));
      double[] rewards = drawn.stream().mapToDouble(own -> own.score().value()).toArray();
      double[] advantages = Advantages.normalised(rewards, 12);
      float[] weights = new float[advantages.length];
      float[] mask = new float[2 * weights.length];
      float[] sampled = new float[mask.length];
      for (int i = 0; i < weights.length; i++) {
        weights[i] = (float) advantages[i];
        float[] own = drawn.get(i).completion().logProbabilities();
        System.arraycopy(own, 0, sampled, 2 * i, own.length);
        if (drawn.get(i).completion().stopped()) {
          Arrays.fill(mask, 2 * i, 2 * i + own.length, 1);
        }
      }
      assertThat(mask).contains(0).contains(1);
      Tensor counted = Tensors.of(mask, weights.length, 2);
      Tensor own = model.logProbabilities(texts.tokens(), texts.mask(), 1, prompt, 2);
      Tensor entropies = model.entropies(texts.tokens(), texts.mask(), 1, prompt, 2);
      float[] known = Tensors.floats(entropies.detach().masked_select(counted.to(ScalarType.Bool)));
      PolicyObjective objective = everything(type).topEntropyQuantile(quantile(known)).build();
      float least = objective.leastEntropy(known);
      Loss loss =
          objective.loss(
              PolicyBatch.of(own, own.detach(), counted, Tensors.of(weights, weights.length))
                  .withReference(
                      reference
                          .logProbabilities(texts.tokens(), texts.mask(), 1, prompt, 2)
                          .detach())
                  .withSampling(Tensors.of(sampled, weights.length, 2))
                  .withEntropies(entropies)
                  .withFocus(entropies.detach().ge(new Scalar(least)).to(ScalarType.Float)));
      loss.value().backward();
      double squares = 0;
      for (Tensor parameter : model.trainable().values()) {
        squares += Math.pow(parameter.grad().norm().item_double(), 2);
        parameter.mutable_grad().reset();
      }
      try (PolicyTrainer trainer =
          PolicyTrainer.of(
              model,
              reference,
              PROBLEMS,
              rollouts,
              builder(objective, 1, 1e-6).rows(13).truncatedMasked(true).build(),
              Map.of())) {
        Map<String, Double> metrics = trainer.next().metrics();
        loss.metrics()
            .forEach(
                (name, value) ->
                    assertThat(metrics.get(name)).as(name).isCloseTo(value, within(1e-5)));
        assertThat(metrics.get("loss")).isCloseTo(loss.value().item_double(), within(1e-5));
        assertThat(metrics.get("grad_norm"))
            .isCloseTo(Math.sqrt(squares), within(1e-4 * Math.sqrt(squares)));
      }
    }
  }

  /** Groups with equal rewards have no gradient, and count like others in the average. */
  @Test
  void groupsWithEqualRewardsStayInTheDenominator() {
    Map<TrainingOptions.Kept, Map<String, Double>> metrics = new HashMap<>();
    for (TrainingOptions.Kept kept :
        List.of(TrainingOptions.Kept.ALL, TrainingOptions.Kept.DIFFERING)) {
      try (Context context = Context.open();
          Decoder model = Decoder.load(context, MODEL);
          BoundedVerifier verifier = bounded(REPEATS);
          PolicyTrainer trainer =
              PolicyTrainer.of(
                  model,
                  PROBLEMS,
                  new Rollouts(LETTERS, verifier, 8),
                  builder(PolicyObjective.GRPO, 1, 1e-6).kept(kept).build(),
                  Map.of())) {
        metrics.put(kept, trainer.next().metrics());
      }
    }
    double equal = metrics.get(TrainingOptions.Kept.ALL).get("frac_reward_zero_std");
    assertThat(equal).isGreaterThan(0).isLessThan(1);
    assertThat(metrics.get(TrainingOptions.Kept.ALL).get("grad_norm"))
        .isCloseTo(
            (1 - equal) * metrics.get(TrainingOptions.Kept.DIFFERING).get("grad_norm"),
            within(1e-5));
  }

  /** Equal rewards leave the gradient of the divergence, in which every completion counts. */
  @Test
  void groupsWithEqualRewardsKeepTheirDivergence() {
    try (Context context = Context.open();
        Decoder model = Decoder.load(context, MODEL);
        Decoder reference = Decoder.load(context, MODEL);
        BoundedVerifier never = bounded((response, answer) -> 0)) {
      reference.parameters().get("lm_head.weight").detach().mul_(new Scalar(1.2));
      try (PolicyTrainer trainer =
          PolicyTrainer.of(
              model,
              reference,
              PROBLEMS,
              new Rollouts(LETTERS, never, 8),
              options(PolicyObjective.GRPO.toBuilder().beta(0.1).build(), 1, 0.001),
              Map.of())) {
        Map<String, Double> metrics = ((TrainingEvent.StepTaken) trainer.next()).metrics();
        assertThat(metrics.get("frac_reward_zero_std")).isEqualTo(1);
        assertThat(metrics.get("kl")).isGreaterThan(0);
        assertThat(metrics.get("grad_norm")).isGreaterThan(0);
      }
    }
  }

  /** The reference model moves by the given share after the given number of updates. */
  @Test
  void aReferenceFollowsThePolicy() {
    String name = "lm_head.weight";
    try (Context context = Context.open();
        Decoder model = Decoder.load(context, MODEL);
        Decoder reference = Decoder.load(context, MODEL);
        BoundedVerifier verifier = bounded(REPEATS);
        PolicyTrainer trainer =
            PolicyTrainer.of(
                model,
                reference,
                PROBLEMS,
                new Rollouts(LETTERS, verifier, 8),
                builder(PolicyObjective.GRPO.toBuilder().beta(0.1).build(), 2, 0.01)
                    .sync(new ReferenceSync(0.6, 2))
                    .build(),
                Map.of())) {
      float[] before = Tensors.floats(reference.parameters().get(name));
      trainer.next();
      assertThat(Tensors.floats(reference.parameters().get(name))).isEqualTo(before);
      trainer.next();
      float[] policy = Tensors.floats(model.parameters().get(name));
      float[] after = Tensors.floats(reference.parameters().get(name));
      for (int i = 0; i < after.length; i++) {
        assertThat(after[i]).isCloseTo(0.4f * before[i] + 0.6f * policy[i], within(1e-6f));
      }
      assertThat(policy).isNotEqualTo(before);
    }
  }

  /** Several reward functions are summed by their weights, and each is reported. */
  @Test
  void rewardsOfSeveralFunctionsAreSummed() {
    try (Context context = Context.open();
        Decoder model = Decoder.load(context, MODEL);
        BoundedVerifier first = bounded((response, answer) -> 0.25);
        BoundedVerifier second = bounded(REPEATS)) {
      Rollouts rollouts =
          new Rollouts(
              LETTERS,
              List.of(new Rollouts.Reward("same", first), new Rollouts.Reward("right", second)),
              8);
      TrainingOptions.Builder options = builder(PolicyObjective.GRPO, 1, 0.001);
      options.rewards(RewardOptions.DEFAULT.withWeights(List.of(2.0, 0.5)));
      try (PolicyTrainer trainer =
          PolicyTrainer.of(model, PROBLEMS, rollouts, options.build(), Map.of())) {
        Map<String, Double> metrics = trainer.next().metrics();
        assertThat(metrics.get("rewards/same/mean")).isEqualTo(0.25);
        assertThat(metrics.get("rewards/same/std")).isZero();
        assertThat(metrics.get("reward"))
            .isCloseTo(0.5 + 0.5 * metrics.get("rewards/right/mean"), within(1e-12));
      }
      options.rewards(RewardOptions.DEFAULT.withWeights(List.of(2.0)));
      assertThatThrownBy(
              () -> PolicyTrainer.of(model, PROBLEMS, rollouts, options.build(), Map.of()))
          .hasMessage("1 reward_weights for 2 reward functions");
    }
  }

  /** The weight of the entropy grows up to the target and falls above it, as in TRL. */
  @Test
  void theWeightOfEntropyAdapts() {
    EntropyControl control =
        new EntropyControl(
            new EntropyBonus(0.01, Optional.of(new EntropyBonus.Control(0, 0.016, 0.005, 2))));
    assertThat(control.applied()).isZero();
    control.after(1.5);
    assertThat(control.applied()).isEqualTo(0.015);
    control.after(2);
    assertThat(control.applied()).isEqualTo(0.016);
    EntropyControl resumed =
        new EntropyControl(
            new EntropyBonus(0.01, Optional.of(new EntropyBonus.Control(0, 0.016, 0.005, 2))));
    resumed.restored(control.state()::get).run();
    for (EntropyControl own : List.of(control, resumed)) {
      own.after(2.5);
      assertThat(own.applied()).isZero();
      assertThat(own.coefficient()).isCloseTo(0.011, within(1e-15));
    }
  }

  /** DAPO draws prompts until enough groups have different rewards, or the rounds are over. */
  @Test
  void promptsAreDrawnUntilEnoughTeach() {
    try (Context context = Context.open();
        Decoder model = Decoder.load(context, MODEL);
        BoundedVerifier verifier = bounded(REPEATS)) {
      Map<Integer, Map<String, Double>> metrics = new HashMap<>();
      for (int rounds : new int[] {1, 50}) {
        try (PolicyTrainer trainer =
            PolicyTrainer.of(
                model,
                PROBLEMS,
                new Rollouts(LETTERS, verifier, 8),
                builder(PolicyObjective.DAPO, 1, 1e-6)
                    .kept(TrainingOptions.Kept.DIFFERING)
                    .rounds(rounds)
                    .build(),
                Map.of())) {
          metrics.put(rounds, trainer.next().metrics());
        }
      }
      // In some groups of the first round, all rewards are equal.
      assertThat(metrics.get(1).get("frac_reward_zero_std")).isGreaterThan(0);
      assertThat(metrics.get(50).get("sampling/rounds")).isBetween(2.0, 20.0);
      double drawn = 6 * metrics.get(50).get("sampling/rounds");
      double teaching = drawn * (1 - metrics.get(50).get("frac_reward_zero_std"));
      assertThat(teaching).isGreaterThanOrEqualTo(6 - 1e-9);
      assertThat(teaching).isLessThan(12);
    }
  }

  @Test
  void whatTeachesNothingIsNamed() {
    try (Context context = Context.open();
        Decoder model = Decoder.load(context, MODEL);
        BoundedVerifier never = bounded((response, answer) -> 0);
        BoundedVerifier broken =
            bounded(
                (response, answer) -> {
                  throw new IllegalStateException("on purpose");
                })) {
      TrainingOptions options =
          builder(PolicyObjective.DAPO, 3, 0.01).kept(TrainingOptions.Kept.DIFFERING).build();
      for (BoundedVerifier verifier : List.of(never, broken)) {
        Map<String, float[]> before = copy(model.parameters());
        List<TrainingEvent> events = new ArrayList<>();
        try (PolicyTrainer trainer =
            PolicyTrainer.of(
                model, PROBLEMS, new Rollouts(LETTERS, verifier, 8), options, Map.of())) {
          trainer.run(events::add);
        }
        assertThat(events).hasSize(3);
        for (TrainingEvent event : events) {
          TrainingEvent.StepSkipped skipped = (TrainingEvent.StepSkipped) event;
          assertThat(skipped.reason()).isEqualTo("all rewards of each group are equal");
          assertThat(skipped.metrics().get("verifier/failed_ratio"))
              .isEqualTo(verifier == broken ? 1 : 0);
        }
        copy(model.parameters())
            .forEach((name, values) -> assertThat(values).isEqualTo(before.get(name)));
      }
      assertThat(broken.crashes()).isEqualTo(3 * 72);
      // Prompts have 2 to 4 letters, so some exceed the limit of 2 tokens.
      try (PolicyTrainer trainer =
          PolicyTrainer.of(model, PROBLEMS, new Rollouts(LETTERS, never, 2), options, Map.of())) {
        assertThat(trainer.next().metrics().get("prompts/too_long")).isBetween(6.0, 18.0);
      }
      Rollouts rollouts = new Rollouts(LETTERS, never, 1);
      try (PolicyTrainer trainer = PolicyTrainer.of(model, PROBLEMS, rollouts, options, Map.of())) {
        assertThatThrownBy(() -> trainer.run(event -> {}))
            .isInstanceOf(TrainingException.class)
            .hasMessage("no problem has a prompt of 1 to 1 tokens");
      }
      assertThatThrownBy(() -> PolicyTrainer.of(model, List.of(), rollouts, options, Map.of()))
          .hasMessage("problems must not be empty");
      TrainingOptions measured = options(PolicyObjective.DAPO.toBuilder().beta(1).build(), 3, 0.01);
      assertThatThrownBy(() -> PolicyTrainer.of(model, PROBLEMS, rollouts, measured, Map.of()))
          .hasMessage("a penalty of the divergence needs a reference model");
    }
  }

  /** A gradient that is not finite changes no weight. Several in a row end the run. */
  @Test
  void gradientsThatAreNotFiniteAreSurvivedOrEndIt() {
    try (Context context = Context.open();
        Decoder model = Decoder.load(context, MODEL);
        BoundedVerifier verifier = bounded(REPEATS)) {
      AtomicBoolean broken = new AtomicBoolean(true);
      AdvantageRule rule =
          (rewards, group) ->
              broken.get()
                  ? Arrays.stream(rewards).map(reward -> Double.NaN).toArray()
                  : AdvantageRule.NORMALISED.advantages(rewards, group);
      TrainingOptions options = builder(PolicyObjective.DAPO, 100, 0.01).advantages(rule).build();
      try (PolicyTrainer trainer =
          PolicyTrainer.of(
              model, PROBLEMS, new Rollouts(LETTERS, verifier, 8), options, Map.of())) {
        Map<String, float[]> before = copy(model.parameters());
        for (int i = 0; i < PolicyTrainer.MOST_FAILURES - 1; i++) {
          assertThat(((TrainingEvent.StepSkipped) trainer.next()).reason())
              .isEqualTo("the gradient is not finite");
        }
        copy(model.parameters())
            .forEach((name, values) -> assertThat(values).isEqualTo(before.get(name)));
        broken.set(false);
        assertThat(trainer.next()).isInstanceOf(TrainingEvent.StepTaken.class);
        broken.set(true);
        assertThatThrownBy(() -> trainer.run(event -> {}))
            .isInstanceOf(TrainingException.class)
            .hasMessageContaining("has not been finite in 5 steps in a row");
      }
      // A model whose logits are NaN draws no tokens.
      model.parameters().get("model.norm.weight").detach().fill_(new Scalar(Double.NaN));
      assertThatThrownBy(() -> passRate(model, new Rollouts(LETTERS, verifier, 8)))
          .isInstanceOf(InvalidInputException.class)
          .hasMessageContaining("the logits are not finite");
    }
  }

  @Test
  void passRatesAreUnbiased() {
    List<Rollout> rollouts = new ArrayList<>();
    for (int right : new int[] {0, 1, 2, 4}) {
      for (int i = 0; i < 4; i++) {
        rollouts.add(
            new Rollout(
                PROBLEMS.get(0),
                new int[0],
                new Completion(new int[0], new float[0], new FinishReason.Length(), 0),
                "",
                new BoundedVerifier.Score(i < right ? 1 : 0, BoundedVerifier.Outcome.SCORED)));
      }
    }
    assertThat(PassRate.of(rollouts, 4, 1).value()).isCloseTo(7 / 16.0, within(1e-12));
    // For k = 2 and n = 4, a problem with c correct answers counts 1 - C(4 - c, 2) / 6.
    PassRate two = PassRate.of(rollouts, 4, 2);
    assertThat(two.value()).isCloseTo((0 + 0.5 + 5 / 6.0 + 1) / 4, within(1e-12));
    assertThat(two.low()).isLessThan(two.value());
    assertThat(two.high()).isLessThanOrEqualTo(1);
    assertThat(PassRate.of(rollouts, 4, 4).value()).isCloseTo(0.75, within(1e-12));
    assertThatThrownBy(() -> PassRate.of(rollouts, 3, 1))
        .isInstanceOf(IllegalArgumentException.class);
  }
}
