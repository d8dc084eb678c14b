package org.threegate.rl.run;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;
import org.threegate.analysis.mask.MaskFile;
import org.threegate.kernel.Context;
import org.threegate.kernel.Mask;
import org.threegate.rl.adapter.LowRankAdapter;
import org.threegate.rl.environment.BoundedEnvironment;
import org.threegate.rl.environment.EnvironmentSource;
import org.threegate.rl.policy.CompletionEngine;
import org.threegate.rl.policy.Decoder;
import org.threegate.rl.policy.JsonTokenizer;
import org.threegate.rl.policy.SamplingOptions;
import org.threegate.rl.policy.Threads;
import org.threegate.rl.policy.Tokenizer;
import org.threegate.rl.rollout.Interaction;
import org.threegate.rl.rollout.Rollouts;
import org.threegate.rl.task.ChatTemplate;
import org.threegate.rl.task.Demonstration;
import org.threegate.rl.task.PlainProblems;
import org.threegate.rl.task.Problem;
import org.threegate.rl.task.ProblemFile;
import org.threegate.rl.train.PolicyTrainer;
import org.threegate.rl.train.SupervisedTrainer;
import org.threegate.rl.train.Trainer;
import org.threegate.rl.train.TrainingOptions;
import org.threegate.rl.verifier.BoundedVerifier;
import org.threegate.rl.verifier.RewardSource;
import org.threegate.run.InvalidInputException;

/**
 * The parts of a training run in memory: model, adapter, problems, rewards, objective and
 * optimizer, as a configuration describes them. A caller may supply each part instead. The session
 * closes the parts that it created, and only those. It must be closed by the thread that opened it.
 *
 * <pre>{@code
 * TrainingConfig config =
 *     TrainingConfigs.of(Map.of("model_name_or_path", base, "max_steps", 10));
 * try (TrainingSession session =
 *     TrainingSession.builder(context, config).problems(problems).open()) {
 *   session.trainer().run(event -> System.out.println(event.metrics().get("reward")));
 * }
 * }</pre>
 */
public final class TrainingSession implements AutoCloseable {
  private final TrainingConfig config;
  private final Opened opened;
  private final Decoder policy;
  private final Optional<LowRankAdapter> adapter;
  private final Optional<Rollouts> rollouts;
  private final List<Problem> problems;
  private final Trainer trainer;
  private final List<String> unmasked;

  private TrainingSession(Builder parts, Opened opened) {
    Context context = parts.context;
    this.config = parts.config;
    this.opened = opened;
    opened.add(new PointerScope());
    this.problems = parts.problems.isEmpty() && !parts.isImitating() ? read() : parts.problems;
    this.policy = parts.policy.orElseGet(() -> opened.add(load(context)));
    this.rollouts =
        parts.isImitating() ? Optional.empty() : Optional.of(parts.rollouts.orElseGet(this::score));
    Optional<Decoder> reference =
        config.objective().reference().beta() > 0
            ? Optional.of(opened.add(Decoder.load(context, config.modelDirectory())))
            : Optional.empty();
    this.adapter =
        config.adapter().usePeft() ? Optional.of(opened.add(attach(context))) : Optional.empty();
    WeightMasks masks = masks(context, parts.masks);
    this.unmasked = masks.unmasked();
    try {
      this.trainer = opened.add(trainer(parts, reference, masks.tensors()));
    } catch (IllegalArgumentException e) {
      throw new InvalidInputException("configuration: " + e.getMessage(), e);
    }
  }

  /**
   * Starts a session.
   *
   * @param context the context of the kernels that read and write models
   * @param config the configuration of the run
   * @return a builder, to supply parts
   */
  public static Builder builder(Context context, TrainingConfig config) {
    return new Builder(context, config);
  }

  /** Builds a session. Supplied parts replace those that the configuration names. */
  public static final class Builder {
    private final Context context;
    private final TrainingConfig config;
    private Optional<Decoder> policy = Optional.empty();
    private Optional<Rollouts> rollouts = Optional.empty();
    private Optional<CompletionEngine> engine = Optional.empty();
    private Optional<Tokenizer> tokenizer = Optional.empty();
    private Optional<SupervisedTrainer.Source> demonstrations = Optional.empty();
    private List<Problem> problems = List.of();
    private Map<String, Mask> masks = Map.of();

    private Builder(Context context, TrainingConfig config) {
      this.context = context;
      this.config = config;
    }

    /**
     * Trains this model instead of the one of {@code model_name_or_path}.
     *
     * @param value the model, which the caller closes
     * @return this builder
     */
    public Builder policy(Decoder value) {
      policy = Optional.of(value);
      return this;
    }

    /**
     * Samples and scores with these rollouts instead of {@code reward_funcs}.
     *
     * @param value samples and scores completions; the caller closes its parts
     * @return this builder
     */
    public Builder rollouts(Rollouts value) {
      rollouts = Optional.of(value);
      return this;
    }

    /**
     * Asks this engine for the completions of training, and not the policy itself.
     *
     * @param value completes prompts with the tokenizer of the policy; the caller closes it
     * @return this builder
     */
    public Builder engine(CompletionEngine value) {
      engine = Optional.of(value);
      return this;
    }

    /**
     * Trains on these problems instead of {@code train_dataset}.
     *
     * @param value the training problems
     * @return this builder
     */
    public Builder problems(List<Problem> value) {
      problems = List.copyOf(value);
      return this;
    }

    /**
     * Imitates these demonstrations instead of the answers of problems. It requires the algorithm
     * {@code sft}.
     *
     * @param value the demonstrations
     * @param of the tokenizer of the model
     * @return this builder
     */
    public Builder demonstrations(SupervisedTrainer.Source value, Tokenizer of) {
      demonstrations = Optional.of(value);
      tokenizer = Optional.of(of);
      return this;
    }

    /**
     * Restricts updates to the entries that are true in these masks, by the names of matrices.
     *
     * @param value a mask for each restricted matrix, of its shape
     * @return this builder
     */
    public Builder masks(Map<String, Mask> value) {
      masks = new LinkedHashMap<>(value);
      return this;
    }

    private boolean isImitating() {
      return demonstrations.isPresent();
    }

    /**
     * Opens the session.
     *
     * @return the session, which the caller closes
     * @throws InvalidInputException for files or values that cannot be used
     */
    public TrainingSession open() {
      if (isImitating() && config.objective().algorithm() != Algorithm.SFT) {
        throw new IllegalArgumentException("demonstrations require the algorithm sft");
      }
      Opened opened = new Opened();
      try {
        return new TrainingSession(this, opened);
      } catch (RuntimeException e) {
        closed(opened, e);
        throw e;
      }
    }

    private static void closed(Opened opened, RuntimeException failure) {
      try {
        opened.close();
      } catch (IOException | RuntimeException e) {
        failure.addSuppressed(e);
      }
    }
  }

  private List<Problem> read() {
    return read(config.trainingFile());
  }

  /** Reads problems, and renders them like those of the training data. */
  List<Problem> read(Path file) {
    TrainingConfig.Chat chat = config.data().chat();
    boolean needsAnswers =
        config.objective().algorithm() == Algorithm.SFT
            || config.data().reward().sources().stream().anyMatch(RewardSource::needsAnswers)
            || config.generation().turns().source().map(own -> own.needsAnswers()).orElse(false);
    return PlainProblems.rendered(
        ProblemFile.read(
            file, needsAnswers ? ProblemFile.Answers.REQUIRED : ProblemFile.Answers.OPTIONAL),
        config.modelDirectory(),
        Composition.chat(chat),
        Composition.clock(chat));
  }

  private Decoder load(Context context) {
    return Decoder.load(
        context,
        config.modelDirectory(),
        switch (config.model().dtype()) {
          case FLOAT32 -> Decoder.Storage.FLOAT32;
          case BFLOAT16 -> Decoder.Storage.BF16;
        });
  }

  private Rollouts score() {
    TrainingConfig.Reward reward = config.data().reward();
    Tokenizer tokenizer = opened.add(JsonTokenizer.load(config.modelDirectory()));
    List<Rollouts.Reward> rewards = new ArrayList<>();
    Duration limit = duration(reward.rewardTimeout());
    for (RewardSource source : reward.sources()) {
      BoundedVerifier verifier =
          opened.add(new BoundedVerifier(source.open(limit), limit, Threads.count()));
      rewards.add(new Rollouts.Reward(source.name(), verifier));
    }
    return new Rollouts(
        tokenizer,
        rewards,
        config.data().maxPromptLength(),
        config.generation().turns().source().map(this::interaction));
  }

  private Interaction interaction(EnvironmentSource source) {
    TrainingConfig.Turns turns = config.generation().turns();
    BoundedEnvironment environment =
        opened.add(
            new BoundedEnvironment(
                source.open(), duration(turns.environmentTimeout()), Threads.count()));
    if (config.data().reward().rewardFuncs().isEmpty() && !environment.isScoring()) {
      throw new InvalidInputException(
          "reward_funcs is []; the environment " + source.name() + " has no rewards of its own");
    }
    TrainingConfig.Chat chat = config.data().chat();
    return new Interaction(
        source.name(),
        environment,
        turns.maxToolCallingIterations().orElse(Integer.MAX_VALUE),
        ChatTemplate.load(config.modelDirectory())
            .map(own -> own.with(Composition.chat(chat)).at(Composition.clock(chat))));
  }

  private static Duration duration(double seconds) {
    return Duration.ofMillis(Math.max(1, Math.round(1000 * seconds)));
  }

  private LowRankAdapter attach(Context context) {
    try {
      return LowRankAdapter.attach(
          context, policy, Composition.adapter(config.adapter()), config.run().seed());
    } catch (IllegalArgumentException e) {
      throw new InvalidInputException("lora_target_modules: " + e.getMessage(), e);
    }
  }

  private WeightMasks masks(Context context, Map<String, Mask> given) {
    WeightMasks masks = new WeightMasks(policy);
    given.forEach((name, mask) -> masks.put("masks", name, mask));
    config
        .optimization()
        .weightMask()
        .ifPresent(
            file -> {
              if (!policy.factors().isEmpty()) {
                throw new InvalidInputException("weight_mask: cannot be combined with use_peft");
              }
              MaskFile.read(context, file)
                  .entries()
                  .forEach(entry -> masks.put(file.toString(), entry.name(), entry.mask()));
            });
    return masks;
  }

  private Trainer trainer(Builder parts, Optional<Decoder> reference, Map<String, Tensor> masks) {
    if (config.objective().algorithm() != Algorithm.SFT) {
      TrainingOptions options = Composition.reinforcement(config, policy.config().tokens().ends());
      PolicyTrainer asking =
          reference.isPresent()
              ? PolicyTrainer.of(policy, reference.get(), problems, rollouts(), options, masks)
              : PolicyTrainer.of(policy, problems, rollouts(), options, masks);
      parts.engine.ifPresent(asking::ask);
      return asking;
    }
    Tokenizer tokenizer = parts.tokenizer.orElseGet(() -> rollouts().tokenizer());
    return SupervisedTrainer.of(
        policy,
        tokenizer,
        parts.demonstrations.orElseGet(() -> answers(tokenizer)),
        Composition.supervision(config),
        masks);
  }

  /** Converts the answers of problems to demonstrations, each with an end token. */
  private SupervisedTrainer.Source answers(Tokenizer tokenizer) {
    List<Integer> ends = policy.config().tokens().ends();
    String end = ends.isEmpty() ? "" : tokenizer.decode(new int[] {ends.get(0)});
    List<Demonstration> demonstrations =
        problems.stream()
            .map(
                problem ->
                    new Demonstration(problem.prompt(), problem.answer() + end, problem.rendered()))
            .toList();
    return SupervisedTrainer.Source.of(demonstrations, config.run().seed());
  }

  /** {@return the configuration of the run} */
  public TrainingConfig config() {
    return config;
  }

  /** {@return the model that is trained} */
  public Decoder policy() {
    return policy;
  }

  /** {@return the adapter, if one is trained} */
  public Optional<LowRankAdapter> adapter() {
    return adapter;
  }

  /**
   * {@return the weights that have no mask and may move everywhere, if there are masks for others}
   */
  public List<String> unmasked() {
    return unmasked;
  }

  /** {@return the training problems} The list is empty when demonstrations were given. */
  public List<Problem> problems() {
    return problems;
  }

  /**
   * {@return the sampler and scorer of completions}
   *
   * @throws IllegalStateException when demonstrations were given
   */
  public Rollouts rollouts() {
    return rollouts.orElseThrow(() -> new IllegalStateException("demonstrations are not sampled"));
  }

  /** {@return the sampling options} */
  public SamplingOptions sampling() {
    return Composition.sampling(config, policy.config().tokens().ends());
  }

  /** {@return the trainer} */
  public Trainer trainer() {
    return trainer;
  }

  @Override
  public void close() {
    try {
      opened.close();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
