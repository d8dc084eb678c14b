package org.threegate.rl.train;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.HashMap;
import java.util.IntSummaryStatistics;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.SplittableRandom;
import java.util.TreeSet;
import java.util.concurrent.Callable;
import java.util.function.IntFunction;
import java.util.function.Predicate;
import java.util.function.ToDoubleFunction;
import java.util.stream.DoubleStream;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.threegate.rl.event.SampledCompletion;
import org.threegate.rl.event.TrainingEvent;
import org.threegate.rl.objective.Advantages;
import org.threegate.rl.objective.PolicyBatch;
import org.threegate.rl.objective.PolicyObjective;
import org.threegate.rl.objective.UpdateTotals;
import org.threegate.rl.optimizer.Optimizer;
import org.threegate.rl.policy.Completion;
import org.threegate.rl.policy.CompletionEngine;
import org.threegate.rl.policy.CompletionRequest;
import org.threegate.rl.policy.Decoder;
import org.threegate.rl.policy.DecoderEngine;
import org.threegate.rl.policy.Scopes;
import org.threegate.rl.policy.Tensors;
import org.threegate.rl.policy.Threads;
import org.threegate.rl.policy.TokenMeasures;
import org.threegate.rl.rollout.Rollout;
import org.threegate.rl.rollout.Rollouts;
import org.threegate.rl.rollout.Transcript;
import org.threegate.rl.task.Problem;
import org.threegate.rl.verifier.BoundedVerifier;
import org.threegate.run.InvalidInputException;

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
  private static final String HELD = "reference:";

  private final Optional<Decoder> reference;
  private final List<Problem> problems;
  private final Rollouts rollouts;
  private final TrainingOptions options;
  private final Order order;
  private final EntropyControl entropy;
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
    this.entropy = new EntropyControl(options.objective().entropyBonus());
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
    if (options.isReferenced() && reference.isEmpty()) {
      throw new IllegalArgumentException("a penalty of the divergence needs a reference model");
    }
    if (options.sync().isPresent() && (reference.isEmpty() || !policy.factors().isEmpty())) {
      throw new IllegalArgumentException(
          "a reference model follows a policy without low-rank factors, and has to be there");
    }
    int weights = options.rewards().weights().size();
    if (weights != 0 && weights != rollouts.rewards().size()) {
      throw new IllegalArgumentException(
          weights + " reward_weights for " + rollouts.rewards().size() + " reward functions");
    }
    Optimizer optimizer = Optimizer.of(policy.trainable(), options.optimizer(), masks);
    return new PolicyTrainer(policy, reference, problems, rollouts, options, optimizer);
  }

  @Override
  TrainingEvent attempt() {
    Map<String, Double> metrics = new LinkedHashMap<>();
    List<Rollout> drawn = new ArrayList<>();
    double[] totals;
    int round = 0;
    do {
      // Seeds of rounds lie above those of steps: 2 * step is the trainer's, 2 * step + 1 the
      // sampler's.
      long number = 2 * step() + 1 + ((long) round << 40);
      drawn.addAll(draw(batch(metrics), Order.seed(options.seed(), number)));
      totals = totals(drawn);
    } while (++round < options.rounds() && teaching(totals) < options.prompts());
    drawn.forEach(rollout -> policy.requireTokens(rollout.completion().tokens()));
    count(
        drawn.stream().mapToLong(own -> own.prompt().length + own.transcript().tokens(false)).sum(),
        metrics);
    describe(drawn, metrics);
    metrics.put("sampling/version_lag", lag(drawn, optimizer.steps()));
    if (options.rounds() > 1) {
      metrics.put("sampling/rounds", (double) round);
    }
    List<Integer> kept = kept(totals, drawn, metrics);
    if (kept.isEmpty()) {
      return skipped(
          options.kept() == TrainingOptions.Kept.RIGHT
              ? "no completion is right"
              : "all rewards of each group are equal",
          metrics,
          samples(drawn, new double[0]));
    }
    Batch batch = batch(drawn, kept, metrics);
    List<SampledCompletion> samples = samples(drawn, batch.advantages());
    for (int iteration = 0; iteration < options.iterations(); iteration++) {
      for (List<Integer> update : batch.updates()) {
        if (!Double.isFinite(learn(batch, update))) {
          return failed(metrics, samples);
        }
        follow();
      }
    }
    return taken(metrics, samples);
  }

  /** Samples completions and scores them, and measures the time of both. */
  private List<Rollout> draw(List<Problem> batch, long seed) {
    long begin = System.nanoTime();
    double[] sampling = new double[1];
    CompletionEngine timed =
        new CompletionEngine() {
          @Override
          public List<Completion> complete(CompletionRequest request) {
            long start = System.nanoTime();
            List<Completion> completions = engine.complete(request);
            sampling[0] += (System.nanoTime() - start) / 1e9;
            return completions;
          }

          @Override
          public String where() {
            return engine.where();
          }
        };
    List<Rollout> drawn =
        rollouts.draw(timed, optimizer.steps(), batch, options.group(), options.sampling(), seed);
    spent("sampling", sampling[0]);
    spent("scoring", Math.max(0, (System.nanoTime() - begin) / 1e9 - sampling[0]));
    return drawn;
  }

  /** Returns what observers see of the completions. */
  private List<SampledCompletion> samples(List<Rollout> drawn, double[] advantages) {
    List<String> names = rollouts.names();
    double[] weights = options.rewards().weights(names.size());
    double[] rewards = Advantages.weighted(functions(drawn), weights);
    List<SampledCompletion> samples = new ArrayList<>();
    for (int i = 0; i < drawn.size(); i++) {
      Rollout own = drawn.get(i);
      Map<String, Double> scores = new LinkedHashMap<>();
      for (int function = 0; function < weights.length; function++) {
        scores.put(names.get(function), own.scores().get(function).value());
      }
      samples.add(
          new SampledCompletion(
              own.problem().prompt(),
              own.transcript().text(),
              scores,
              rewards[i],
              advantages.length == 0 ? Double.NaN : advantages[i],
              own.transcript().tokens(false),
              !own.completion().stopped(),
              own.transcript().turns().stream()
                  .map(turn -> new SampledCompletion.Part(turn.isEnvironment(), turn.text()))
                  .toList()));
    }
    return samples;
  }

  /**
   * The completions of a step, and what stays the same in all of its updates.
   *
   * @param drawn all completions
   * @param updates the numbers of the completions of each update
   * @param advantages the advantages of all completions
   * @param before the log-probabilities of tokens that ratios are to, by completion; empty when
   *     there is one update of current completions, which computes them itself
   * @param reference the log-probabilities under the reference model, by completion; empty without
   *     one
   */
  private record Batch(
      List<Rollout> drawn,
      List<List<Integer>> updates,
      double[] advantages,
      Map<Integer, float[]> before,
      Map<Integer, float[]> reference) {}

  private Batch batch(List<Rollout> drawn, List<Integer> kept, Map<String, Double> metrics) {
    boolean ofReward = options.rewards().penalty().beta() > 0;
    List<Integer> measured = ofReward ? IntStream.range(0, drawn.size()).boxed().toList() : kept;
    Map<Integer, float[]> before = before(drawn, measured, ofReward);
    Map<Integer, float[]> held =
        options.isReferenced()
            ? perToken(measured, drawn, likelihoods(reference.orElseThrow()))
            : Map.of();
    double[] advantages = advantages(drawn, before, held, metrics);
    return new Batch(drawn, updates(kept), advantages, before, held);
  }

  /**
   * Returns the log-probabilities that ratios are to. Completions of older weights keep those that
   * their engine reported, unless the objective corrects for them.
   */
  private Map<Integer, float[]> before(
      List<Rollout> drawn, List<Integer> measured, boolean ofReward) {
    boolean isCorrected = options.objective().correction().isPresent();
    long version = optimizer.steps();
    if (!isCorrected && drawn.stream().anyMatch(own -> own.completion().version() != version)) {
      Map<Integer, float[]> reported = new HashMap<>();
      measured.forEach(i -> reported.put(i, drawn.get(i).completion().logProbabilities()));
      return reported;
    }
    boolean isOnPolicy = options.iterations() * options.miniBatches() == 1;
    return isOnPolicy && !isCorrected && !ofReward
        ? Map.of()
        : perToken(measured, drawn, likelihoods(policy));
  }

  /** Shuffles completions and deals them to the updates of a pass. */
  private List<List<Integer>> updates(List<Integer> kept) {
    if (options.miniBatches() == 1) {
      return List.of(kept);
    }
    List<Integer> shuffled = new ArrayList<>(kept);
    SplittableRandom random = new SplittableRandom(Order.seed(options.seed(), 2 * step()));
    for (int i = shuffled.size() - 1; i > 0; i--) {
      Collections.swap(shuffled, i, random.nextInt(i + 1));
    }
    List<List<Integer>> updates = new ArrayList<>();
    for (int part = 0; part < options.miniBatches(); part++) {
      long begin = (long) shuffled.size() * part / options.miniBatches();
      long end = (long) shuffled.size() * (part + 1) / options.miniBatches();
      if (begin < end) {
        updates.add(shuffled.subList((int) begin, (int) end));
      }
    }
    return updates;
  }

  private double[] advantages(
      List<Rollout> drawn,
      Map<Integer, float[]> before,
      Map<Integer, float[]> held,
      Map<String, Double> metrics) {
    double[] divergences = new double[drawn.size()];
    if (options.rewards().penalty().beta() > 0) {
      double tokens = 0;
      for (int i = 0; i < divergences.length; i++) {
        Rollout own = drawn.get(i);
        if (isCounted(own)) {
          divergences[i] = divergence(sampled(own, before.get(i)), sampled(own, held.get(i)));
          tokens += own.transcript().tokens(false);
        }
      }
      metrics.put("kl", Arrays.stream(divergences).sum() / Math.max(1, tokens));
    }
    return options
        .rewards()
        .advantages(scores(drawn), divergences, options.advantages(), options.group());
  }

  /** Returns the values of the tokens that the policy sampled. */
  private static float[] sampled(Rollout rollout, float[] values) {
    float[] weights = rollout.transcript().weights();
    float[] sampled = new float[rollout.transcript().tokens(false)];
    int at = 0;
    for (int i = 0; i < values.length; i++) {
      if (weights[i] > 0) {
        sampled[at++] = values[i];
      }
    }
    return sampled;
  }

  private double divergence(float[] own, float[] held) {
    double[] sum = new double[1];
    Scopes.run(
        () ->
            sum[0] =
                options
                    .rewards()
                    .penalty()
                    .estimator()
                    .of(Tensors.of(own, own.length), Tensors.of(held, held.length))
                    .sum()
                    .item_double());
    return sum[0];
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

  /** Returns the scores of each completion: of each reward function, and the length penalty. */
  private double[][] scores(List<Rollout> drawn) {
    return drawn.stream()
        .map(
            rollout -> {
              DoubleStream own =
                  rollout.scores().stream().mapToDouble(BoundedVerifier.Score::value);
              return options.lengthMargin() == 0
                  ? own.toArray()
                  : DoubleStream.concat(own, DoubleStream.of(lengthPenalty(rollout))).toArray();
            })
        .toArray(double[][]::new);
  }

  /** Returns the weighted sums of {@link #scores}. */
  private double[] totals(List<Rollout> drawn) {
    double[][] scores = scores(drawn);
    return Advantages.weighted(scores, options.rewards().weights(scores[0].length));
  }

  private double lengthPenalty(Rollout rollout) {
    return Advantages.lengthPenalty(
        rollout.completion().tokens().length, options.sampling().longest(), options.lengthMargin());
  }

  private int teaching(double[] rewards) {
    int teaching = 0;
    for (boolean differs : Advantages.differing(rewards, options.group())) {
      teaching += differs ? 1 : 0;
    }
    return teaching;
  }

  private void describe(List<Rollout> drawn, Map<String, Double> metrics) {
    double[][] scores = functions(drawn);
    List<String> names = rollouts.names();
    double[] weights = options.rewards().weights(names.size());
    spread("reward", "reward_std", Advantages.weighted(scores, weights), metrics);
    for (int i = 0; i < weights.length; i++) {
      int function = i;
      String name = "rewards/" + names.get(i);
      double[] own = Arrays.stream(scores).mapToDouble(score -> score[function]).toArray();
      spread(name + "/mean", name + "/std", own, metrics);
      describe(name, drawn.stream().map(each -> each.scores().get(function)).toList(), metrics);
    }
    lengths("length", drawn.stream(), metrics);
    lengths("terminated_length", drawn.stream().filter(own -> own.completion().stopped()), metrics);
    metrics.put(
        "completions/clipped_ratio", share(drawn, rollout -> !rollout.completion().stopped()));
    metrics.put(
        "verifier/failed_ratio",
        share(
            drawn,
            rollout ->
                rollout.scores().stream()
                    .limit(rollouts.rewards().size())
                    .anyMatch(BoundedVerifier.Score::failed)));
    if (rollouts.interaction().isPresent()) {
      interaction(drawn.stream().map(Rollout::transcript).toList(), metrics);
    }
  }

  /** Adds what happened in the environment. */
  private static void interaction(List<Transcript> transcripts, Map<String, Double> metrics) {
    Set<String> named = new TreeSet<>();
    transcripts.forEach(own -> named.addAll(own.metrics().keySet()));
    named.forEach(
        name ->
            environment(
                name, transcripts, own -> own.metrics().getOrDefault(name, Double.NaN), metrics));
    environment("turns", transcripts, Transcript::answers, metrics);
    environment("tokens", transcripts, own -> own.tokens(true), metrics);
    for (Transcript.Ending ending : List.of(Transcript.Ending.CUT, Transcript.Ending.FAILED)) {
      metrics.put(
          "environment/" + ending.name().toLowerCase(Locale.ROOT) + "_ratio",
          (double) transcripts.stream().filter(own -> own.ending() == ending).count()
              / transcripts.size());
    }
  }

  private static void environment(
      String name,
      List<Transcript> transcripts,
      ToDoubleFunction<Transcript> value,
      Map<String, Double> metrics) {
    String whole = "environment/" + name;
    spread(
        whole + "/mean",
        whole + "/std",
        transcripts.stream().mapToDouble(value).toArray(),
        metrics);
  }

  /** Adds the means of the other values that a reward function has returned. */
  private static void describe(
      String name, List<BoundedVerifier.Score> scores, Map<String, Double> metrics) {
    Set<String> named = new TreeSet<>();
    scores.forEach(score -> named.addAll(score.metrics().keySet()));
    for (String metric : named) {
      double[] values =
          scores.stream()
              .mapToDouble(score -> score.metrics().getOrDefault(metric, Double.NaN))
              .toArray();
      spread(name + '/' + metric + "/mean", name + '/' + metric + "/std", values, metrics);
    }
  }

  /** Returns the scores of the reward functions of each completion. */
  private static double[][] functions(List<Rollout> drawn) {
    return drawn.stream()
        .map(own -> own.scores().stream().mapToDouble(BoundedVerifier.Score::value).toArray())
        .toArray(double[][]::new);
  }

  /** Describes lengths as TRL does: they are 0 where there is no completion. */
  private static void lengths(String name, Stream<Rollout> of, Map<String, Double> metrics) {
    IntSummaryStatistics lengths =
        of.mapToInt(own -> own.transcript().tokens(false)).summaryStatistics();
    boolean isNone = lengths.getCount() == 0;
    metrics.put("completions/mean_" + name, lengths.getAverage());
    metrics.put("completions/min_" + name, isNone ? 0.0 : lengths.getMin());
    metrics.put("completions/max_" + name, isNone ? 0.0 : lengths.getMax());
  }

  private static void spread(
      String ofMean, String ofDeviation, double[] values, Map<String, Double> metrics) {
    // A missing score counts in neither, as in TRL.
    double[] known = Arrays.stream(values).filter(value -> !Double.isNaN(value)).toArray();
    double mean = Arrays.stream(known).average().orElse(Double.NaN);
    double squares = Arrays.stream(known).map(r -> (r - mean) * (r - mean)).sum();
    metrics.put(ofMean, mean);
    metrics.put(ofDeviation, Math.sqrt(squares / (known.length - 1)));
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
      case ALL -> IntStream.range(0, rewards.length).boxed().toList();
      case DIFFERING -> differing(differing);
    };
  }

  /** Returns the completions of the first groups that differ; surplus ones are dropped. */
  private List<Integer> differing(boolean[] differing) {
    return IntStream.range(0, differing.length)
        .filter(group -> differing[group])
        .limit(options.prompts())
        .flatMap(group -> IntStream.range(group * options.group(), (group + 1) * options.group()))
        .boxed()
        .toList();
  }

  /** Returns whether the tokens that the policy sampled in a completion have a loss. */
  private boolean isCounted(Rollout rollout) {
    return !options.isTruncatedMasked() || rollout.completion().stopped();
  }

  private long tokens(List<Integer> which, List<Rollout> drawn) {
    return which.stream()
        .map(drawn::get)
        .filter(this::isCounted)
        .mapToLong(rollout -> rollout.transcript().tokens(false))
        .sum();
  }

  /** Measures the tokens of completions after their prompts, [completions, longest]. */
  private interface Measure {
    Tensor of(List<int[]> prompts, List<int[]> completions);
  }

  private Measure likelihoods(Decoder model) {
    return (prompts, completions) ->
        TextParts.logProbabilities(model, prompts, completions, options.sampling().temperature());
  }

  private Measure entropies() {
    return (prompts, completions) ->
        TextParts.entropies(policy, prompts, completions, options.sampling().temperature());
  }

  /** Measures the tokens of completions, without a gradient, and returns the values of each. */
  private Map<Integer, float[]> perToken(
      List<Integer> which, List<Rollout> drawn, Measure measure) {
    List<Callable<Map<Integer, float[]>>> parts = new ArrayList<>();
    for (List<Integer> part : pieces(which)) {
      parts.add(
          () -> {
            Map<Integer, float[]> values = new HashMap<>();
            Scopes.run(
                () -> {
                  float[] all =
                      Tensors.floats(
                          Scopes.keepWithoutGradient(
                              () -> measure.of(prompts(part, drawn), completions(part, drawn))));
                  for (int i = 0; i < part.size(); i++) {
                    int begin = i * (all.length / part.size());
                    int length = drawn.get(part.get(i)).completion().tokens().length;
                    values.put(part.get(i), Arrays.copyOfRange(all, begin, begin + length));
                  }
                });
            return values;
          });
    }
    Map<Integer, float[]> values = new HashMap<>();
    Threads.map(parts, values::putAll);
    return values;
  }

  private List<List<Integer>> pieces(List<Integer> which) {
    List<List<Integer>> pieces = new ArrayList<>();
    for (int begin = 0; begin < which.size(); begin += options.rows()) {
      pieces.add(which.subList(begin, Math.min(which.size(), begin + options.rows())));
    }
    return pieces;
  }

  private static List<int[]> prompts(List<Integer> part, List<Rollout> drawn) {
    return part.stream().map(i -> drawn.get(i).prompt()).toList();
  }

  private static List<int[]> completions(List<Integer> part, List<Rollout> drawn) {
    return part.stream().map(i -> drawn.get(i).completion().tokens()).toList();
  }

  /** What the updates of a step know of the entropies of their tokens. */
  private record Focus(Map<Integer, float[]> entropies, float least) {
    static final Focus NONE = new Focus(Map.of(), 0);

    float[] selected(int completion) {
      float[] own = entropies.get(completion);
      float[] selected = new float[own.length];
      for (int i = 0; i < own.length; i++) {
        selected[i] = own[i] >= least ? 1 : 0;
      }
      return selected;
    }
  }

  private Focus focus(List<Integer> update, List<Rollout> drawn) {
    if (!options.objective().isFocused()) {
      return Focus.NONE;
    }
    Map<Integer, float[]> entropies = perToken(update, drawn, entropies());
    float[] all = new float[Math.toIntExact(tokens(update, drawn))];
    int at = 0;
    for (int i : update) {
      if (isCounted(drawn.get(i))) {
        float[] own = sampled(drawn.get(i), entropies.get(i));
        System.arraycopy(own, 0, all, at, own.length);
        at += own.length;
      }
    }
    return new Focus(entropies, options.objective().leastEntropy(all));
  }

  private double selected(List<Integer> update, List<Rollout> drawn, Focus focus) {
    double sum = 0;
    for (int i : update) {
      if (isCounted(drawn.get(i))) {
        for (float one : sampled(drawn.get(i), focus.selected(i))) {
          sum += one;
        }
      }
    }
    return sum;
  }

  /** Performs one optimizer update, and returns the norm of its gradient. */
  private double learn(Batch batch, List<Integer> update) {
    List<Integer> all = batch.updates().stream().flatMap(List::stream).toList();
    Focus focus = focus(update, batch.drawn());
    double tokens = tokens(update, batch.drawn());
    UpdateTotals totals =
        new UpdateTotals(
            update.size(),
            tokens,
            (double) tokens(all, batch.drawn()) / batch.updates().size(),
            focus == Focus.NONE ? tokens : selected(update, batch.drawn(), focus),
            entropy.applied());
    List<Callable<Piece>> pieces = new ArrayList<>();
    List<Integer> arranged =
        TextParts.arranged(policy, update, i -> batch.drawn().get(i).completion().tokens().length);
    pieces(arranged).forEach(part -> pieces.add(() -> piece(part, batch, focus, totals)));
    Map<String, Double> metrics = learn(pieces, options.rate(), options.schedule());
    double norm = metrics.get("grad_norm");
    if (options.objective().entropyBonus().isActive()) {
      if (Double.isFinite(norm)) {
        entropy.after(metrics.get("entropy/focus"));
      }
      metrics.put("entropy_coef", entropy.coefficient());
    }
    return norm;
  }

  private Piece piece(List<Integer> part, Batch batch, Focus focus, UpdateTotals totals) {
    List<int[]> completions = completions(part, batch.drawn());
    int longest = completions.stream().mapToInt(tokens -> tokens.length).max().orElseThrow();
    PolicyObjective objective = options.objective();
    Tensor mask =
        perRow(
            part,
            longest,
            i -> {
              Rollout own = batch.drawn().get(i);
              return isCounted(own)
                  ? own.transcript().weights()
                  : new float[own.completion().tokens().length];
            });
    float[] weights = new float[part.size()];
    for (int i = 0; i < weights.length; i++) {
      weights[i] = (float) batch.advantages()[part.get(i)];
    }
    Tensor advantages = Tensors.of(weights, weights.length);
    Optional<Tensor> before = given(part, longest, batch.before());
    Optional<Tensor> held =
        objective.isPenalized() ? given(part, longest, batch.reference()) : Optional.empty();
    Optional<Tensor> sampled =
        objective
            .correction()
            .map(
                correction ->
                    perRow(
                        part, longest, i -> batch.drawn().get(i).completion().logProbabilities()));
    Optional<Tensor> selected =
        focus == Focus.NONE
            ? Optional.empty()
            : Optional.of(perRow(part, longest, focus::selected));
    boolean hasEntropies = objective.entropyBonus().isActive();
    return new Piece(
        TextParts.of(
            policy,
            prompts(part, batch.drawn()),
            completions,
            options.sampling().temperature(),
            options.checkpointed()),
        1,
        hasEntropies ? TokenMeasures.Entropies.DIFFERENTIATED : TokenMeasures.Entropies.MEASURED,
        measures -> {
          Tensor own = measures.logProbabilities();
          return objective.loss(
              new PolicyBatch(
                  own,
                  before.orElseGet(own::detach),
                  mask,
                  advantages,
                  held,
                  sampled,
                  measures.entropies(),
                  selected),
              totals);
        });
  }

  private static Optional<Tensor> given(
      List<Integer> part, int longest, Map<Integer, float[]> values) {
    return values.isEmpty() ? Optional.empty() : Optional.of(perRow(part, longest, values::get));
  }

  /** Returns values of tokens, float32, with zeros at padding. */
  private static Tensor perRow(List<Integer> part, int longest, IntFunction<float[]> valuesOf) {
    float[] values = new float[part.size() * longest];
    for (int i = 0; i < part.size(); i++) {
      float[] own = valuesOf.apply(part.get(i));
      System.arraycopy(own, 0, values, i * longest, own.length);
    }
    return Tensors.of(values, part.size(), longest);
  }

  /** Moves the reference model towards the policy after some updates. */
  private void follow() {
    options
        .sync()
        .filter(sync -> optimizer.steps() % sync.steps() == 0)
        .ifPresent(sync -> Scopes.run(() -> mix(reference.orElseThrow(), sync.mixup())));
  }

  private void mix(Decoder held, double mixup) {
    held.parameters()
        .forEach(
            (name, own) ->
                own.detach()
                    .mul_(new Scalar(1 - mixup))
                    .add_(policy.parameters().get(name).detach(), new Scalar(mixup)));
  }

  @Override
  Map<String, Tensor> tensors() {
    Map<String, Tensor> tensors = new LinkedHashMap<>();
    if (options.sync().isPresent()) {
      reference.orElseThrow().parameters().forEach((name, own) -> tensors.put(HELD + name, own));
    }
    return tensors;
  }

  @Override
  Map<String, String> numbers() {
    return entropy.state();
  }

  @Override
  Runnable restored(Path file, Map<String, String> metadata) {
    try {
      return entropy.restored(name -> metadata.getOrDefault(name, ""));
    } catch (NumberFormatException e) {
      throw new InvalidInputException(
          file + ": the numbers of the entropy's weight are missing in its metadata", e);
    }
  }
}
