package org.threegate.rl.train;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.Callable;
import java.util.function.Predicate;
import java.util.stream.IntStream;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.threegate.rl.event.TrainingEvent;
import org.threegate.rl.objective.Advantages;
import org.threegate.rl.objective.PolicyBatch;
import org.threegate.rl.objective.PolicyObjective;
import org.threegate.rl.optimizer.Optimizer;
import org.threegate.rl.policy.CompletionEngine;
import org.threegate.rl.policy.Decoder;
import org.threegate.rl.policy.DecoderEngine;
import org.threegate.rl.policy.Differentiation;
import org.threegate.rl.policy.Padded;
import org.threegate.rl.policy.Scopes;
import org.threegate.rl.policy.Tensors;
import org.threegate.rl.rollout.Rollout;
import org.threegate.rl.rollout.Rollouts;
import org.threegate.rl.task.Problem;
import org.threegate.rl.verifier.BoundedVerifier;

/**
 * Trains a policy by reinforcement learning with verifiable rewards. Each step samples completions,
 * scores them and follows the gradient of an objective, as TRL's {@code GRPOTrainer} does.
 *
 * <pre>{@code
 * try (PolicyTrainer trainer =
 *     PolicyTrainer.of(decoder, problems, rollouts, options, Map.of())) {
 *   trainer.run(event -> System.out.println("step " + event.step()));
 * }
 * }</pre>
 */
public final class PolicyTrainer extends Trainer {
  private final Optional<Decoder> reference;
  private final List<Problem> problems;
  private final Rollouts rollouts;
  private final TrainingOptions options;
  private final Order order;
  private CompletionEngine engine;

  private PolicyTrainer(
      Decoder policy,
      Optional<Decoder> reference,
      List<Problem> problems,
      Rollouts rollouts,
      TrainingOptions options,
      Optimizer optimizer) {
    super(policy, optimizer, options.steps());
    this.reference = reference;
    this.problems = List.copyOf(problems);
    this.rollouts = rollouts;
    this.options = options;
    this.order = new Order(problems.size(), options.seed());
    this.engine = new DecoderEngine(policy, rollouts.tokenizer());
  }

  /**
   * Asks an engine for completions from now on, and not the policy itself. The version of the
   * weights is the number of optimizer updates. An engine may answer with older weights: the ratios
   * of the objective are then to the log-probabilities that it reports.
   *
   * @param other completes prompts, with the tokenizer of the policy. The caller closes it
   */
  public void ask(CompletionEngine other) {
    engine = other;
  }

  /**
   * Creates a trainer with an objective without a divergence.
   *
   * @param policy the model to train. The caller closes it, as everything that is passed here
   * @param problems the training problems
   * @param rollouts samples completions and scores them
   * @param options the hyperparameters
   * @param masks bool tensors by the names of parameters, true where these may move; parameters
   *     without a mask may move everywhere
   * @return the trainer, which has taken no step
   */
  public static PolicyTrainer of(
      Decoder policy,
      List<Problem> problems,
      Rollouts rollouts,
      TrainingOptions options,
      Map<String, Tensor> masks) {
    return of(policy, Optional.empty(), problems, rollouts, options, masks);
  }

  /**
   * Creates a trainer with a reference model.
   *
   * @param policy the model to train. The caller closes it, as everything that is passed here
   * @param reference the model that the KL divergence is measured from
   * @param problems the training problems
   * @param rollouts samples completions and scores them
   * @param options the hyperparameters
   * @param masks bool tensors by the names of parameters, true where these may move; parameters
   *     without a mask may move everywhere
   * @return the trainer, which has taken no step
   */
  public static PolicyTrainer of(
      Decoder policy,
      Decoder reference,
      List<Problem> problems,
      Rollouts rollouts,
      TrainingOptions options,
      Map<String, Tensor> masks) {
    return of(policy, Optional.of(reference), problems, rollouts, options, masks);
  }

  private static PolicyTrainer of(
      Decoder policy,
      Optional<Decoder> reference,
      List<Problem> problems,
      Rollouts rollouts,
      TrainingOptions options,
      Map<String, Tensor> masks) {
    if (problems.isEmpty()) {
      throw new IllegalArgumentException("problems must not be empty");
    }
    if (options.objective().divergence().isPresent() && reference.isEmpty()) {
      throw new IllegalArgumentException("an objective with a divergence needs a reference model");
    }
    Optimizer optimizer = Optimizer.of(policy.trainable(), options.optimizer(), masks);
    return new PolicyTrainer(policy, reference, problems, rollouts, options, optimizer);
  }

  @Override
  TrainingEvent attempt() {
    Map<String, Double> metrics = new LinkedHashMap<>();
    List<Rollout> drawn = new ArrayList<>();
    double[] rewards;
    int round = 0;
    do {
      // Seeds of rounds lie above those of steps: 2 * step is the trainer's, 2 * step + 1 the
      // sampler's.
      long number = 2 * step() + 1 + ((long) round << 40);
      drawn.addAll(
          rollouts.draw(
              engine,
              optimizer.steps(),
              batch(metrics),
              options.group(),
              options.sampling(),
              Order.seed(options.seed(), number)));
      rewards = rewards(drawn);
    } while (++round < options.rounds() && teaching(rewards) < options.prompts());
    drawn.forEach(rollout -> policy.requireTokens(rollout.completion().tokens()));
    long version = optimizer.steps();
    describe(drawn, metrics);
    metrics.put("sampling/version_lag", lag(drawn, version));
    if (options.rounds() > 1) {
      metrics.put("sampling/rounds", (double) round);
    }
    double[] advantages = options.advantages().advantages(rewards, options.group());
    List<Integer> kept = kept(rewards, drawn, metrics);
    if (kept.isEmpty()) {
      return skipped(
          options.kept() == TrainingOptions.Kept.RIGHT
              ? "no completion is right"
              : "all rewards of each group are equal",
          metrics);
    }
    for (int update = 0; update < options.updates(); update++) {
      if (!Double.isFinite(learn(kept, drawn, advantages, version, metrics))) {
        return failed(metrics);
      }
    }
    return taken(metrics);
  }

  /** Returns the next problems whose prompts fit, and counts the skipped ones. */
  private List<Problem> batch(Map<String, Double> metrics) {
    List<Problem> batch = new ArrayList<>();
    int inARow = 0;
    double tooLong = metrics.getOrDefault("prompts/too_long", 0.0);
    while (batch.size() < options.prompts()) {
      Problem problem = problems.get(order.at(position++));
      if (rollouts.fits(problem)) {
        batch.add(problem);
        inARow = 0;
      } else {
        tooLong++;
        if (++inARow >= 2 * problems.size()) {
          throw new TrainingException(
              "no problem has a prompt of 1 to " + rollouts.longestPrompt() + " tokens");
        }
      }
    }
    metrics.put("prompts/too_long", tooLong);
    return batch;
  }

  private double[] rewards(List<Rollout> drawn) {
    double[] rewards = drawn.stream().mapToDouble(rollout -> rollout.score().value()).toArray();
    if (options.lengthMargin() > 0) {
      for (int i = 0; i < rewards.length; i++) {
        rewards[i] +=
            Advantages.lengthPenalty(
                drawn.get(i).completion().tokens().length,
                options.sampling().longest(),
                options.lengthMargin());
      }
    }
    return rewards;
  }

  private int teaching(double[] rewards) {
    int teaching = 0;
    for (boolean differs : Advantages.differing(rewards, options.group())) {
      teaching += differs ? 1 : 0;
    }
    return teaching;
  }

  private static void describe(List<Rollout> drawn, Map<String, Double> metrics) {
    double[] scores = drawn.stream().mapToDouble(rollout -> rollout.score().value()).toArray();
    double mean = Arrays.stream(scores).average().orElseThrow();
    double squares = Arrays.stream(scores).map(r -> (r - mean) * (r - mean)).sum();
    metrics.put("reward", mean);
    metrics.put("reward_std", Math.sqrt(squares / (scores.length - 1)));
    metrics.put(
        "completions/mean_length",
        drawn.stream()
            .mapToInt(rollout -> rollout.completion().tokens().length)
            .average()
            .orElseThrow());
    metrics.put(
        "completions/clipped_ratio", share(drawn, rollout -> !rollout.completion().stopped()));
    metrics.put(
        "verifier/failed_ratio",
        share(drawn, rollout -> rollout.score().outcome() != BoundedVerifier.Outcome.SCORED));
  }

  /** Returns by how many updates the weights that sampled were behind, on average. */
  private static double lag(List<Rollout> drawn, long version) {
    return drawn.stream()
        .mapToLong(rollout -> version - rollout.completion().version())
        .average()
        .orElseThrow();
  }

  private static double share(List<Rollout> drawn, Predicate<Rollout> which) {
    return (double) drawn.stream().filter(which).count() / drawn.size();
  }

  /** Returns the indices of the completions to learn from. */
  private List<Integer> kept(double[] rewards, List<Rollout> drawn, Map<String, Double> metrics) {
    boolean[] differing = Advantages.differing(rewards, options.group());
    int equal = 0;
    for (boolean differs : differing) {
      equal += differs ? 0 : 1;
    }
    metrics.put("frac_reward_zero_std", (double) equal / differing.length);
    return switch (options.kept()) {
      case RIGHT ->
          IntStream.range(0, rewards.length)
              .filter(i -> drawn.get(i).score().value() == 1)
              .boxed()
              .toList();
      // Without any differing group there is no gradient.
      case ALL -> equal < differing.length ? groups(differing, true) : List.of();
      case DIFFERING -> groups(differing, false);
    };
  }

  /** Returns the completions of the first groups; surplus ones of later rounds are dropped. */
  private List<Integer> groups(boolean[] differing, boolean all) {
    return IntStream.range(0, differing.length)
        .filter(group -> all || differing[group])
        .limit(options.prompts())
        .flatMap(group -> IntStream.range(group * options.group(), (group + 1) * options.group()))
        .boxed()
        .toList();
  }

  /** Performs one optimizer update, and returns the norm of its gradient. */
  private double learn(
      List<Integer> chosen,
      List<Rollout> drawn,
      double[] advantages,
      long version,
      Map<String, Double> metrics) {
    // Rows are padded to the longest one of their part, so those of similar lengths are together.
    List<Integer> kept =
        chosen.stream()
            .sorted(Comparator.comparingInt(i -> drawn.get(i).completion().tokens().length))
            .toList();
    long tokens = kept.stream().mapToLong(i -> drawn.get(i).completion().tokens().length).sum();
    List<Callable<Piece>> pieces = new ArrayList<>();
    for (int begin = 0; begin < kept.size(); begin += options.rows()) {
      List<Integer> part = kept.subList(begin, Math.min(kept.size(), begin + options.rows()));
      long own = part.stream().mapToLong(i -> drawn.get(i).completion().tokens().length).sum();
      boolean byTokens = options.objective().average() == PolicyObjective.Average.TOKENS;
      double share = byTokens ? (double) own / tokens : (double) part.size() / kept.size();
      pieces.add(() -> piece(part, drawn, advantages, share, version));
    }
    double rate = options.rate() * options.schedule().at(optimizer.steps());
    return learn(pieces, rate, metrics);
  }

  private Piece piece(
      List<Integer> part, List<Rollout> drawn, double[] advantages, double share, long version) {
    List<Rollout> rows = part.stream().map(drawn::get).toList();
    int prompt = rows.stream().mapToInt(row -> row.prompt().length).max().orElseThrow();
    int longest =
        rows.stream().mapToInt(row -> row.completion().tokens().length).max().orElseThrow();
    int padding = policy.config().tokens().padding();
    Padded prompts = Padded.left(rows.stream().map(Rollout::prompt).toList(), prompt, padding);
    Padded completions =
        Padded.right(
            rows.stream().map(row -> row.completion().tokens()).toList(), longest, padding);
    Padded texts = prompts.followedBy(completions);
    boolean isOwn =
        options.updates() == 1
            && drawn.stream().allMatch(row -> row.completion().version() == version);
    Optional<Tensor> before = isOwn ? Optional.empty() : Optional.of(drawnWith(rows, longest));
    Optional<Tensor> held =
        reference.map(
            model ->
                Scopes.keepWithoutGradient(() -> logProbabilities(model, texts, prompt, longest)));
    float[] weights = new float[part.size()];
    for (int i = 0; i < weights.length; i++) {
      weights[i] = (float) advantages[part.get(i)];
    }
    Tensor mask = completions.mask().to(ScalarType.Float);
    Tensor ofRows = Tensors.of(weights, weights.length);
    return new Piece(
        new Differentiation(
            policy,
            texts,
            options.sampling().temperature(),
            prompt,
            longest,
            options.checkpointed()),
        share,
        own ->
            options
                .objective()
                .loss(new PolicyBatch(own, before.orElseGet(own::detach), held, mask, ofRows)));
  }

  private Tensor logProbabilities(Decoder model, Padded texts, int prompt, int longest) {
    return model.logProbabilities(
        texts.tokens(), texts.mask(), options.sampling().temperature(), prompt, longest);
  }

  /** Returns the log-probabilities with which the completions were sampled, float32. */
  private static Tensor drawnWith(List<Rollout> rows, int longest) {
    float[] values = new float[rows.size() * longest];
    for (int i = 0; i < rows.size(); i++) {
      float[] own = rows.get(i).completion().logProbabilities();
      System.arraycopy(own, 0, values, i * longest, own.length);
    }
    return Tensors.of(values, rows.size(), longest);
  }
}
