package org.threegate.rl.study;

import java.nio.file.Path;
import java.time.Duration;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.threegate.analysis.study.Accuracy;
import org.threegate.analysis.study.Mean;
import org.threegate.analysis.study.StudyRun;
import org.threegate.kernel.Context;
import org.threegate.rl.curvature.CapturedLayers;
import org.threegate.rl.event.TrainingEvent;
import org.threegate.rl.observe.DivergenceObserver;
import org.threegate.rl.policy.Decoder;
import org.threegate.rl.policy.JsonTokenizer;
import org.threegate.rl.policy.SamplingOptions;
import org.threegate.rl.policy.Threads;
import org.threegate.rl.policy.Tokenizer;
import org.threegate.rl.rollout.Rollout;
import org.threegate.rl.rollout.Rollouts;
import org.threegate.rl.task.Problem;
import org.threegate.rl.verifier.BoundedVerifier;

/** Measures the models of the study: their accuracy, and their divergence from the base. */
final class Behaviour implements AutoCloseable {
  static final int LONGEST = 10; // tokens of a completion
  static final int LONGEST_PROMPT = 16; // tokens

  private static final int EACH = 4; // completions per held-out problem
  private static final long DRAWN = 4711; // the sampling seed, the same for all models
  private static final Duration LIMIT = Duration.ofSeconds(5);

  /**
   * KL(base ‖ model), and its prediction from the update and the Fisher information at the base.
   */
  record Divergence(Mean measured, Mean predicted) {}

  private final Tokenizer tokenizer;
  private final BoundedVerifier verifier;
  private final Rollouts rollouts;
  private final SamplingOptions sampling;
  private final List<Problem> problems;
  private final List<CapturedLayers.Text> texts;
  private final DivergenceObserver observer;
  private final Map<String, Double> told = new HashMap<>();

  private Behaviour(
      Context context,
      Decoder base,
      Tokenizer tokenizer,
      BoundedVerifier verifier,
      Task task,
      StudyOptions options) {
    this.tokenizer = tokenizer;
    this.verifier = verifier;
    this.rollouts = new Rollouts(tokenizer, verifier, LONGEST_PROMPT);
    this.sampling = SamplingOptions.plain(LONGEST, base.config().tokens().ends());
    List<Problem> held = task.problems(Corpus.TEST);
    this.problems = held.subList(0, Math.min(options.problems(), held.size()));
    this.texts =
        rollouts
            .draw(base, problems.subList(0, options.texts()), 1, sampling, options.seed())
            .stream()
            .map(Behaviour::text)
            .toList();
    this.observer =
        DivergenceObserver.of(
            context,
            base,
            texts,
            name -> name.endsWith("_proj.weight") || name.equals("lm_head.weight"),
            1,
            options.seed(),
            event -> told.putAll(event.metrics()));
  }

  /**
   * Prepares the measurements.
   *
   * @param base the directory of the model that others are compared with
   * @param task the problems
   */
  static Behaviour of(Context context, Path base, Task task, StudyOptions options) {
    Tokenizer tokenizer = JsonTokenizer.load(base);
    BoundedVerifier verifier = new BoundedVerifier(Corpus.VERIFIER, LIMIT, Threads.count());
    try (Decoder model = Decoder.load(context, base)) {
      return new Behaviour(context, model, tokenizer, verifier, task, options);
    }
  }

  private static CapturedLayers.Text text(Rollout rollout) {
    int[] prompt = rollout.prompt();
    int[] own = rollout.completion().tokens();
    int[] all = Arrays.copyOf(prompt, prompt.length + own.length);
    System.arraycopy(own, 0, all, prompt.length, own.length);
    return new CapturedLayers.Text(all, prompt.length);
  }

  Rollouts rollouts() {
    return rollouts;
  }

  SamplingOptions sampling() {
    return sampling;
  }

  /** Returns the texts that the base has sampled. */
  List<CapturedLayers.Text> texts() {
    return texts;
  }

  /** Measures the accuracy on held-out problems. */
  Accuracy accuracy(Decoder model) {
    List<Rollout> drawn = rollouts.draw(model, problems, EACH, sampling, DRAWN);
    double[] shares = new double[problems.size()];
    for (int i = 0; i < drawn.size(); i++) {
      shares[i / EACH] += drawn.get(i).score().value() / EACH;
    }
    return Accuracy.of(shares);
  }

  /** Returns whether a stored run was measured on the same number of problems. */
  boolean hasAsked(StudyRun run) {
    return run.behaviour().stored().shares().length == problems.size()
        && run.behaviour().exact().shares().length == problems.size();
  }

  Divergence divergence(long step, Decoder model) {
    observer.on(new TrainingEvent.StepTaken(step, Map.of(), model));
    return new Divergence(mean("divergence/kl_per_token"), mean("divergence/kl_predicted"));
  }

  private Mean mean(String name) {
    return new Mean(told.get(name), told.get(name + "/se"));
  }

  @Override
  public void close() {
    observer.close();
    verifier.close();
    tokenizer.close();
  }
}
