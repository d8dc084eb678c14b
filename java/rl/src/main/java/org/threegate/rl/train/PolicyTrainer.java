package org.threegate.rl.train;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.SplittableRandom;
import java.util.function.Predicate;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.threegate.rl.event.TrainingEvent;
import org.threegate.rl.event.TrainingObserver;
import org.threegate.rl.objective.Advantages;
import org.threegate.rl.objective.Loss;
import org.threegate.rl.objective.PolicyBatch;
import org.threegate.rl.objective.PolicyObjective;
import org.threegate.rl.optimizer.AdamW;
import org.threegate.rl.policy.Decoder;
import org.threegate.rl.policy.Padded;
import org.threegate.rl.policy.Scopes;
import org.threegate.rl.policy.Tensors;
import org.threegate.rl.rollout.Rollout;
import org.threegate.rl.rollout.Rollouts;
import org.threegate.rl.task.Problem;
import org.threegate.rl.verifier.BoundedVerifier;

/**
 * Reinforcement with verifiable rewards: draws completions, scores them, and follows the gradient
 * of an objective. Observers are told; none of them is known here.
 *
 * <pre>{@code
 * try (PolicyTrainer trainer =
 *     PolicyTrainer.of(decoder, Optional.empty(), problems, rollouts, options, Map.of())) {
 *   trainer.run(event -> System.out.println("step " + event.step()));
 * }
 * }</pre>
 */
public final class PolicyTrainer implements AutoCloseable {
  /** Steps in a row whose gradient is not finite, after which a run is given up. */
  static final int MOST_FAILURES = 5;

  private final Decoder policy;
  private final Optional<Decoder> reference;
  private final List<Problem> problems;
  private final Rollouts rollouts;
  private final TrainingOptions options;
  private final AdamW optimizer;
  private long step;
  private int failures;

  private PolicyTrainer(
      Decoder policy,
      Optional<Decoder> reference,
      List<Problem> problems,
      Rollouts rollouts,
      TrainingOptions options,
      AdamW optimizer) {
    this.policy = policy;
    this.reference = reference;
    this.problems = List.copyOf(problems);
    this.rollouts = rollouts;
    this.options = options;
    this.optimizer = optimizer;
  }

  /**
   * @param policy whose parameters move; it stays the caller's, as everything here does
   * @param reference that a divergence is measured from
   * @param masks where parameters may move, by their names
   */
  public static PolicyTrainer of(
      Decoder policy,
      Optional<Decoder> reference,
      List<Problem> problems,
      Rollouts rollouts,
      TrainingOptions options,
      Map<String, Tensor> masks) {
    if (problems.isEmpty()) {
      throw new IllegalArgumentException("no problems to learn from");
    }
    if (options.objective().divergence().isPresent() && reference.isEmpty()) {
      throw new IllegalArgumentException("a divergence, and no reference to measure it from");
    }
    AdamW optimizer = AdamW.of(policy.parameters(), options.optimizer(), masks);
    return new PolicyTrainer(policy, reference, problems, rollouts, options, optimizer);
  }

  /** Runs to the end. */
  public void run(TrainingObserver observer) {
    while (step < options.steps()) {
      observer.on(next());
    }
  }

  /**
   * Takes one step.
   *
   * @throws TrainingException when gradients have not been finite for some steps
   */
  public TrainingEvent next() {
    step++;
    Map<String, Double> metrics = new LinkedHashMap<>();
    List<Rollout> drawn =
        rollouts.draw(policy, batch(), options.group(), options.sampling(), seed(2 * step + 1));
    double[] rewards = rewards(drawn, metrics);
    double[] advantages = options.advantages().advantages(rewards, options.group());
    List<Integer> kept = kept(rewards, metrics);
    if (kept.isEmpty()) {
      return new TrainingEvent.StepSkipped(step, "all rewards of each group are equal", metrics);
    }
    double norm = 0;
    for (int update = 0; update < options.updates(); update++) {
      norm = learn(kept, drawn, advantages, metrics);
      if (!Double.isFinite(norm)) {
        return failed(metrics);
      }
    }
    failures = 0;
    return new TrainingEvent.StepTaken(step, metrics, policy.parameters());
  }

  private TrainingEvent failed(Map<String, Double> metrics) {
    if (++failures >= MOST_FAILURES) {
      throw new TrainingException(
          "step "
              + step
              + ": the gradient has not been finite in "
              + failures
              + " steps in a row; a lower learning rate may help");
    }
    return new TrainingEvent.StepSkipped(step, "the gradient is not finite", metrics);
  }

  /** Everything that is drawn in a step follows from the seed and its number. */
  private long seed(long number) {
    return new SplittableRandom(options.seed() + 0x9e3779b97f4a7c15L * number).nextLong();
  }

  /** The next problems of an order that is drawn anew once all have had their turn. */
  private List<Problem> batch() {
    List<Problem> batch = new ArrayList<>();
    long first = (step - 1) * options.prompts();
    for (long at = first; at < first + options.prompts(); at++) {
      long epoch = at / problems.size();
      batch.add(problems.get(order(epoch)[(int) (at % problems.size())]));
    }
    return batch;
  }

  private int[] order(long epoch) {
    SplittableRandom random = new SplittableRandom(seed(-2 * epoch - 2));
    int[] order = new int[problems.size()];
    for (int i = 0; i < order.length; i++) {
      int j = random.nextInt(i + 1);
      order[i] = order[j];
      order[j] = i;
    }
    return order;
  }

  private double[] rewards(List<Rollout> drawn, Map<String, Double> metrics) {
    double[] rewards = drawn.stream().mapToDouble(rollout -> rollout.score().value()).toArray();
    double mean = Arrays.stream(rewards).average().orElseThrow();
    double squares = Arrays.stream(rewards).map(r -> (r - mean) * (r - mean)).sum();
    metrics.put("reward", mean);
    metrics.put("reward_std", Math.sqrt(squares / (rewards.length - 1)));
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

  private static double share(List<Rollout> drawn, Predicate<Rollout> which) {
    return (double) drawn.stream().filter(which).count() / drawn.size();
  }

  /** Completions that teach something. */
  private List<Integer> kept(double[] rewards, Map<String, Double> metrics) {
    boolean[] differing = Advantages.differing(rewards, options.group());
    List<Integer> kept = new ArrayList<>();
    int equal = 0;
    for (int group = 0; group < differing.length; group++) {
      equal += differing[group] ? 0 : 1;
    }
    metrics.put("frac_reward_zero_std", (double) equal / differing.length);
    for (int i = 0; i < rewards.length; i++) {
      boolean teaches = differing[i / options.group()] || !options.dropEqual();
      if (teaches && equal < differing.length) {
        kept.add(i);
      }
    }
    return kept;
  }

  /** One update; the norm of its gradient. */
  private double learn(
      List<Integer> kept, List<Rollout> drawn, double[] advantages, Map<String, Double> metrics) {
    long tokens = kept.stream().mapToLong(i -> drawn.get(i).completion().tokens().length).sum();
    Map<String, Double> sums = new LinkedHashMap<>();
    for (int begin = 0; begin < kept.size(); begin += options.rows()) {
      List<Integer> part = kept.subList(begin, Math.min(kept.size(), begin + options.rows()));
      long own = part.stream().mapToLong(i -> drawn.get(i).completion().tokens().length).sum();
      boolean byTokens = options.objective().average() == PolicyObjective.Average.TOKENS;
      double share = byTokens ? (double) own / tokens : (double) part.size() / kept.size();
      Scopes.run(() -> differentiate(part, drawn, advantages, share, sums));
    }
    double rate = options.rate() * options.schedule().at(optimizer.steps());
    double norm = optimizer.step(rate);
    metrics.putAll(sums);
    metrics.put("grad_norm", norm);
    metrics.put("learning_rate", rate);
    return norm;
  }

  private void differentiate(
      List<Integer> part,
      List<Rollout> drawn,
      double[] advantages,
      double share,
      Map<String, Double> sums) {
    List<Rollout> rows = part.stream().map(drawn::get).toList();
    int prompt = rows.stream().mapToInt(row -> row.prompt().length).max().orElseThrow();
    int longest =
        rows.stream().mapToInt(row -> row.completion().tokens().length).max().orElseThrow();
    int padding = policy.config().padding();
    Padded prompts = Padded.left(rows.stream().map(Rollout::prompt).toList(), prompt, padding);
    Padded completions =
        Padded.right(
            rows.stream().map(row -> row.completion().tokens()).toList(), longest, padding);
    Padded texts = prompts.followedBy(completions);
    Tensor own = logProbabilities(policy, texts, prompt, longest);
    Tensor before = options.updates() == 1 ? own.detach() : drawnWith(rows, longest);
    Optional<Tensor> held =
        reference.map(
            model ->
                Scopes.keepWithoutGradient(() -> logProbabilities(model, texts, prompt, longest)));
    float[] weights = new float[part.size()];
    for (int i = 0; i < weights.length; i++) {
      weights[i] = (float) advantages[part.get(i)];
    }
    Tensor mask = completions.mask().to(own.scalar_type());
    Loss loss =
        options
            .objective()
            .loss(new PolicyBatch(own, before, held, mask, Tensors.of(weights, weights.length)));
    loss.value().mul(new Scalar(share)).backward();
    sums.merge("loss", share * loss.value().item_double(), Double::sum);
    loss.metrics().forEach((name, value) -> sums.merge(name, share * value, Double::sum));
  }

  private Tensor logProbabilities(Decoder model, Padded texts, int prompt, int longest) {
    return model
        .logProbabilities(texts.tokens(), texts.mask(), options.sampling().temperature())
        .narrow(1, prompt - 1, longest);
  }

  /** Log-probabilities of the policy that drew them. */
  private static Tensor drawnWith(List<Rollout> rows, int longest) {
    float[] values = new float[rows.size() * longest];
    for (int i = 0; i < rows.size(); i++) {
      float[] own = rows.get(i).completion().logProbabilities();
      System.arraycopy(own, 0, values, i * longest, own.length);
    }
    return Tensors.of(values, rows.size(), longest);
  }

  @Override
  public void close() {
    optimizer.close();
  }
}
