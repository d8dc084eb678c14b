package org.threegate.rl.run;

import java.net.URI;
import java.nio.file.Path;
import java.time.LocalDate;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.threegate.patch.PatchFormat;
import org.threegate.rl.adapter.Initialisation;
import org.threegate.rl.environment.EnvironmentSource;
import org.threegate.rl.objective.Divergence;
import org.threegate.rl.objective.ImportanceCorrection;
import org.threegate.rl.objective.ImportanceSamplingLevel;
import org.threegate.rl.objective.LossType;
import org.threegate.rl.objective.ScaleRewards;
import org.threegate.rl.optimizer.Muon.Scaling;
import org.threegate.rl.train.RewardOptions;
import org.threegate.rl.train.TrainingOptions;
import org.threegate.rl.verifier.RewardSource;
import org.threegate.run.InvalidInputException;

/**
 * The configuration of a training run. Each component of the nested records is a key of the YAML
 * file, written in snake case. Keys have TRL's names where TRL has the same thing. The file is
 * flat: the records only group the keys.
 *
 * <pre>{@code
 * TrainingConfig config =
 *     TrainingConfigs.of(
 *         Map.of(
 *             "model_name_or_path", Path.of("base"),
 *             "train_dataset", Path.of("train.jsonl"),
 *             "learning_rate", 1e-5));
 * System.out.print(TrainingConfigs.yaml(config));
 * }</pre>
 *
 * @param model the model, its dtype and its device
 * @param run the length of the run, and its outputs
 * @param data problems, prompts and rewards
 * @param generation how completions are sampled
 * @param objective the objective that is minimized
 * @param optimization the optimizer and its learning rate
 * @param adapter the low-rank adapter
 * @param observation the measurements and reports during the run
 */
public record TrainingConfig(
    Model model,
    Run run,
    Data data,
    Generation generation,
    Objective objective,
    Optimization optimization,
    Adapter adapter,
    Observation observation) {
  private static final long MOST_STEPS = 1L << 40;

  /** Types that parameters are stored in. */
  public enum Dtype {
    /** float32 parameters. */
    FLOAT32,
    /** bfloat16 parameters, with float32 masters that the optimizer moves. */
    BFLOAT16
  }

  /** Services that metrics are reported to. */
  public enum Report {
    /** Event files of TensorBoard. */
    TENSORBOARD,
    /** A tracking server of MLflow. */
    MLFLOW
  }

  /** Optimizers. */
  public enum OptimizerKind {
    /** AdamW (arXiv 1711.05101). */
    ADAMW,
    /** Stochastic gradient descent with momentum. */
    SGD,
    /** Muon for hidden matrices, and AdamW for all other parameters. */
    MUON
  }

  /** The learning rate schedules, with the names of transformers. */
  public enum LrScheduler {
    /** The peak at each step. */
    CONSTANT,
    /** A linear warm-up, then the peak. */
    CONSTANT_WITH_WARMUP,
    /** A linear warm-up, then a linear decay. */
    LINEAR,
    /** A linear warm-up, then a decay along a cosine. */
    COSINE
  }

  /**
   * The model.
   *
   * @param modelNameOrPath directory of a Hugging Face decoder: {@code config.json}, {@code
   *     *.safetensors}, {@code tokenizer.json}
   * @param dtype type that parameters are stored in: float32, or bfloat16 with float32 masters
   * @param device device of the model: cpu, cuda, cuda:N or auto. A GPU needs a build with {@code
   *     -Dpytorch.classifier=linux-x86_64-gpu}
   * @param threads number of threads. 0 takes all processors. The results do not depend on it
   */
  public record Model(
      @Key(
              meaning =
                  "Directory of a Hugging Face decoder: `config.json`, `*.safetensors`, `tokenizer.json`.",
              trl = "also names of the Hub")
          Optional<Path> modelNameOrPath,
      @Key(
              standard = "float32",
              meaning =
                  "Type that parameters are stored in: float32, or bfloat16 with float32 masters.")
          Dtype dtype,
      @Key(
              standard = "cpu",
              meaning =
                  "Device of the model: cpu, cuda, cuda:N or auto. A GPU needs a build with"
                      + " `-Dpytorch.classifier=linux-x86_64-gpu`.",
              mayChange = true,
              trl = "`use_cpu`")
          String device,
      @Key(
              standard = "0",
              meaning =
                  "Number of threads. 0 takes all processors. The results do not depend on it.",
              mayChange = true)
          int threads) {
    /**
     * Checks the values.
     *
     * @throws IllegalArgumentException if one of them is out of its range; the message names the
     *     key
     */
    public Model {
      Limits.least("threads", threads, 0);
    }
  }

  /**
   * The length of a run, and its outputs.
   *
   * @param outputDir directory of the run. It gets the metrics, the checkpoints and the result
   * @param maxSteps number of training steps
   * @param seed seed of all random numbers. The same seed gives the same bits
   * @param saveSteps steps between two checkpoints. An interrupted run resumes from the last one
   * @param saveTotalLimit number of checkpoints that are kept. The oldest ones are deleted
   * @param evaluation when the model is evaluated, and what follows from it
   */
  public record Run(
      @Key(
              standard = "threegate-run",
              meaning =
                  "Directory of the run. It gets the metrics, the checkpoints and the result.",
              mayChange = true)
          Path outputDir,
      @Key(
              standard = "100",
              meaning =
                  "Number of training steps. A run may be extended: resume it with a larger number.",
              mayChange = true)
          long maxSteps,
      @Key(
              standard = "0",
              meaning = "Seed of all random numbers. The same seed gives the same bits.")
          long seed,
      @Key(
              standard = "50",
              meaning =
                  "Steps between two checkpoints. An interrupted run resumes from the last one.",
              mayChange = true)
          int saveSteps,
      @Key(
              standard = "2",
              meaning = "Number of checkpoints that are kept. The oldest ones are deleted.",
              mayChange = true)
          int saveTotalLimit,
      Evaluation evaluation) {
    /**
     * Checks the values.
     *
     * @throws IllegalArgumentException if one of them is out of its range; the message names the
     *     key
     */
    public Run {
      Limits.within("max_steps", maxSteps, 1, MOST_STEPS);
      Limits.least("save_steps", saveSteps, 1);
      Limits.least("save_total_limit", saveTotalLimit, 1);
    }
  }

  /**
   * When the model is evaluated, and what follows from it.
   *
   * @param evalSteps steps between two evaluations. 0: only before and after training
   * @param metricForBestModel metric of evaluations that tells which model is the best one: pass@1,
   *     or pass@K with K = num_generations_eval
   * @param loadBestModelAtEnd whether the result is the model of the best evaluation. Its state is
   *     kept
   * @param earlyStoppingPatience evaluations without a better one after which the run ends. 0:
   *     never
   * @param earlyStoppingThreshold how much better an evaluation has to be for that
   */
  public record Evaluation(
      @Key(
              standard = "0",
              meaning = "Steps between two evaluations. 0: only before and after training.",
              mayChange = true)
          int evalSteps,
      @Key(
              standard = "pass@1",
              meaning =
                  "Metric of evaluations that tells which model is the best one: pass@1, or pass@K with"
                      + " K = num_generations_eval.")
          String metricForBestModel,
      @Key(
              standard = "false",
              meaning =
                  "Whether the result is the model of the best evaluation, that before training included."
                      + " Its state is kept.")
          boolean loadBestModelAtEnd,
      @Key(
              standard = "0",
              meaning = "Evaluations without a better one after which the run ends. 0: never.",
              trl = "argument of `EarlyStoppingCallback`",
              mayChange = true)
          int earlyStoppingPatience,
      @Key(
              standard = "0.0",
              meaning = "How much better an evaluation has to be for that.",
              trl = "argument of `EarlyStoppingCallback`",
              mayChange = true)
          double earlyStoppingThreshold) {
    /**
     * Checks the values.
     *
     * @throws IllegalArgumentException if one of them is out of its range; the message names the
     *     key
     */
    public Evaluation {
      Limits.least("eval_steps", evalSteps, 0);
      Limits.least("early_stopping_patience", earlyStoppingPatience, 0);
      Limits.notNegative("early_stopping_threshold", earlyStoppingThreshold);
    }
  }

  /**
   * Problems, prompts and rewards.
   *
   * @param trainDataset training problems: JSON Lines or Parquet, a directory of either, or a
   *     directory and a split, as in {@code data/train}
   * @param evalDataset the same for evaluation, which takes place before and after training. May be
   *     left out
   * @param numGenerationsEval completions of each evaluation problem, for pass@1 and pass@k
   * @param maxPromptLength longest prompt in tokens. Problems with longer prompts are skipped and
   *     counted
   * @param chat the options of the chat template
   * @param reward the reward of a completion
   */
  public record Data(
      @Key(
              meaning =
                  "Training problems: JSON Lines or Parquet, a directory of either, or a directory and a split, as in `data/train`.",
              trl = "argument of `GRPOTrainer`")
          Optional<Path> trainDataset,
      @Key(
              meaning =
                  "The same for evaluation, which takes place before and after training. May be left out.",
              trl = "argument of `GRPOTrainer`")
          Optional<Path> evalDataset,
      @Key(
              standard = "8",
              meaning = "Completions of each evaluation problem, for pass@1 and pass@k.")
          int numGenerationsEval,
      @Key(
              standard = "512",
              meaning =
                  "Longest prompt in tokens. Problems with longer prompts are skipped and counted.")
          int maxPromptLength,
      Chat chat,
      Reward reward) {
    /**
     * Checks the values.
     *
     * @throws IllegalArgumentException if one of them is out of its range; the message names the
     *     key
     */
    public Data {
      Limits.least("num_generations_eval", numGenerationsEval, 1);
      Limits.least("max_prompt_length", maxPromptLength, 1);
    }
  }

  /**
   * The options of the chat template, which renders conversations as prompts.
   *
   * @param systemPrompt system message of conversations that have none
   * @param chatTemplateKwargs arguments of the chat template, such as {@code {enable_thinking:
   *     false}}
   * @param chatTemplateDate day that templates print which print a date, such as 2026-01-31. By
   *     default the day on which the run began
   */
  public record Chat(
      @Key(standard = "\"\"", meaning = "System message of conversations that have none.")
          String systemPrompt,
      @Key(
              standard = "{}",
              meaning = "Arguments of the chat template, such as `{enable_thinking: false}`.")
          Map<String, Object> chatTemplateKwargs,
      @Key(
              meaning =
                  "Day that templates print which print a date, such as 2026-01-31. By default the day on which the run began.",
              mayChange = true)
          Optional<LocalDate> chatTemplateDate) {
    /** Copies the arguments. */
    public Chat {
      chatTemplateKwargs = Collections.unmodifiableMap(new LinkedHashMap<>(chatTemplateKwargs));
    }
  }

  /**
   * The reward of a completion.
   *
   * @param rewardFuncs reward functions: exact, numeric (GSM8K's {@code ####}), mathematical
   *     ({@code \boxed{}}), mathematical_sentence (also "The answer is 7."), countdown, or what
   *     {@link RewardSource#of} reads. The first one tells what is right, unless an environment
   *     does. They may be left out where the environment has rewards
   * @param rewardWeights weight of each reward function. Without weights, each has 1
   * @param multiObjectiveAggregation whether the sum of the reward functions is normalized, or each
   *     of them before the sum
   * @param rewardClipRange least and largest sum of rewards. Without it, sums are not clipped
   * @param rewardTimeout seconds after which a completion scores 0 and is counted as failed
   * @param softPunishCache tokens before the longest completion in which length is punished, as
   *     DAPO does. 0: never
   */
  public record Reward(
      @Key(
              standard = "[exact]",
              meaning =
                  "Reward functions: exact, numeric (GSM8K's `####`), mathematical (`\\boxed{}`), mathematical_sentence, countdown,"
                      + " class:NAME, command:PROGRAM or an address of http. The first one tells what is right, unless an"
                      + " environment does. `[]` takes the rewards of the environment alone.",
              trl = "argument of `GRPOTrainer`")
          List<String> rewardFuncs,
      @Key(
              standard = "[]",
              meaning = "Weight of each reward function. Without weights, each has 1.")
          List<Double> rewardWeights,
      @Key(
              standard = "sum_then_normalize",
              meaning =
                  "Whether the sum of the reward functions is normalized, or each of them before the sum:"
                      + " sum_then_normalize or normalize_then_sum.")
          RewardOptions.Aggregation multiObjectiveAggregation,
      @Key(
              standard = "[]",
              meaning = "Least and largest sum of rewards. Without it, sums are not clipped.")
          List<Double> rewardClipRange,
      @Key(
              standard = "5.0",
              meaning = "Seconds after which a completion scores 0 and is counted as failed.")
          double rewardTimeout,
      @Key(
              standard = "0",
              meaning =
                  "Tokens before the longest completion in which length is punished, as DAPO does. 0: never.",
              trl = "argument of `get_soft_overlong_punishment`")
          int softPunishCache) {
    /**
     * Checks the values.
     *
     * @throws IllegalArgumentException if one of them is out of its range; the message names the
     *     key
     */
    public Reward {
      rewardFuncs = List.copyOf(rewardFuncs);
      rewardWeights = List.copyOf(rewardWeights);
      rewardClipRange = List.copyOf(rewardClipRange);
      Limits.require(
          rewardFuncs.stream().map(Reward::source).map(RewardSource::name).distinct().count()
              == rewardFuncs.size(),
          "reward_funcs",
          rewardFuncs,
          "a list of functions with different names, such as style=command:./style");
      Limits.require(
          rewardClipRange.isEmpty()
              || rewardClipRange.size() == 2 && rewardClipRange.get(0) < rewardClipRange.get(1),
          "reward_clip_range",
          rewardClipRange,
          "two numbers in rising order");
      Limits.positive("reward_timeout", rewardTimeout);
      Limits.least("soft_punish_cache", softPunishCache, 0);
    }

    private static RewardSource source(String text) {
      return Limits.reward("reward_funcs", text);
    }

    /** {@return where the reward functions come from, in their order} */
    List<RewardSource> sources() {
      return rewardFuncs.stream().map(Reward::source).toList();
    }
  }

  /**
   * How completions are sampled.
   *
   * @param promptsPerStep prompts of a step, or demonstrations of a step of supervised fine-tuning
   * @param numGenerations completions of each prompt
   * @param maxNumGenBatches most batches of prompts in a step, until enough groups have differing
   *     rewards (DAPO's dynamic sampling)
   * @param maxCompletionLength longest completion in tokens
   * @param temperature temperature of sampling
   * @param topP probability mass of the tokens that are sampled from, in evaluation too
   * @param topK number of most likely tokens that are sampled from. 0: all of them
   * @param minP least probability of a token that is sampled, as a share of the largest one
   * @param repetitionPenalty divisor of the logits of tokens that prompt or completion have. 1: no
   *     penalty
   * @param stopStrings texts that end a completion, which keeps them
   * @param turns the environment, which makes completions of several turns
   */
  public record Generation(
      @Key(
              standard = "16",
              meaning = "Prompts of a step, or demonstrations of a step of supervised fine-tuning.",
              trl = "`generation_batch_size` / `num_generations`")
          int promptsPerStep,
      @Key(standard = "16", meaning = "Completions of each prompt.") int numGenerations,
      @Key(
              standard = "1",
              meaning =
                  "Most batches of prompts in a step, until enough groups have differing rewards (DAPO's dynamic sampling).",
              trl = "verl's name")
          int maxNumGenBatches,
      @Key(standard = "256", meaning = "Longest completion in tokens.") int maxCompletionLength,
      @Key(standard = "1.0", meaning = "Temperature of sampling.") double temperature,
      @Key(
              standard = "1.0",
              meaning = "Probability mass of the tokens that are sampled from, in evaluation too.")
          double topP,
      @Key(
              standard = "0",
              meaning = "Number of most likely tokens that are sampled from. 0: all of them.")
          int topK,
      @Key(
              standard = "0.0",
              meaning =
                  "Least probability of a token that is sampled, as a share of the largest one. 0: none.")
          double minP,
      @Key(
              standard = "1.0",
              meaning =
                  "Divisor of the logits of tokens that prompt or completion have, above 1 for fewer repetitions.")
          double repetitionPenalty,
      @Key(
              standard = "[]",
              meaning = "Texts that end a completion, which keeps them.",
              trl = "member of `generation_kwargs`")
          List<String> stopStrings,
      Turns turns) {
    /**
     * Checks the values.
     *
     * @throws IllegalArgumentException if one of them is out of its range; the message names the
     *     key
     */
    public Generation {
      Limits.least("prompts_per_step", promptsPerStep, 1);
      Limits.least("num_generations", numGenerations, 1);
      Limits.least("max_num_gen_batches", maxNumGenBatches, 1);
      Limits.within("max_completion_length", maxCompletionLength, 1, 1 << 20);
      Limits.notNegative("temperature", temperature);
      Limits.share("top_p", topP);
      Limits.least("top_k", topK, 0);
      Limits.within("min_p", minP, 0, 1);
      Limits.positive("repetition_penalty", repetitionPenalty);
      stopStrings = List.copyOf(stopStrings);
      Limits.require(
          stopStrings.stream().noneMatch(String::isEmpty),
          "stop_strings",
          stopStrings,
          "without an empty text");
    }
  }

  /**
   * Completions of several turns.
   *
   * @param environment answers each turn of the model: calculator, countdown or class:NAME. Without
   *     it, completions have one turn
   * @param maxToolCallingIterations most answers that the model sees in a completion. By default
   *     only max_completion_length limits them, which counts all tokens of a completion
   * @param environmentTimeout seconds after which a call of the environment ends the episode, which
   *     scores 0 and is counted as failed
   */
  public record Turns(
      @Key(
              meaning =
                  "What answers each turn of the model: calculator, countdown or class:NAME. Without it,"
                      + " completions have one turn.",
              trl = "argument `environment_factory` or `tools` of `GRPOTrainer`")
          Optional<String> environment,
      @Key(
              meaning =
                  "Most answers of the environment that the model sees in a completion. By default only"
                      + " max_completion_length is a limit.")
          Optional<Integer> maxToolCallingIterations,
      @Key(
              standard = "5.0",
              meaning =
                  "Seconds after which a call of the environment ends the episode, which scores 0 and is"
                      + " counted as failed.")
          double environmentTimeout) {
    /**
     * Checks the values.
     *
     * @throws IllegalArgumentException if one of them is out of its range; the message names the
     *     key
     */
    public Turns {
      environment.ifPresent(text -> Limits.environment("environment", text));
      maxToolCallingIterations.ifPresent(
          most -> Limits.least("max_tool_calling_iterations", most, 0));
      Limits.require(
          environment.isPresent() || maxToolCallingIterations.isEmpty(),
          "max_tool_calling_iterations",
          maxToolCallingIterations.orElse(0),
          "left out without an environment");
      Limits.positive("environment_timeout", environmentTimeout);
    }

    /** {@return where the environment comes from, if there is one} */
    Optional<EnvironmentSource> source() {
      return environment.map(EnvironmentSource::of);
    }
  }

  /**
   * The objective that is minimized.
   *
   * @param algorithm preset of keys of this section: none, dapo, grpo, dr_grpo, gspo, cispo, sapo,
   *     luspo, vespo, rloo, reinforce_plus_plus; rejection_sampling imitates right completions, sft
   *     the answers
   * @param lossType what is minimized, and how the losses of tokens are averaged
   * @param importanceSamplingLevel probability ratios of each token, of the whole sequence by their
   *     mean, or by their product
   * @param epsilon ratios below 1 - epsilon are clipped
   * @param epsilonHigh ratios above 1 + epsilon_high are clipped. With loss type cispo it is the
   *     cap. By default epsilon
   * @param delta largest ratio where the clip does not apply, as in two-sided GRPO
   * @param advantage the advantages of completions
   * @param smooth the parameters of losses without a clip
   * @param reference the penalty of the divergence from a reference model
   * @param entropy the reward of entropy, and the selection of tokens by it
   * @param correction the corrections of completions that another policy sampled
   */
  public record Objective(
      @Key(
              standard = "none",
              meaning =
                  "Preset of keys of this section: none, dapo, grpo, dr_grpo, gspo, cispo, sapo, luspo, vespo, rloo,"
                      + " reinforce_plus_plus; rejection_sampling imitates right completions, sft the answers.")
          Algorithm algorithm,
      @Key(
              standard = "dapo",
              byAlgorithm = true,
              meaning =
                  "What is minimized, and how the losses of tokens are averaged: grpo, bnpo, dr_grpo, dapo, cispo, sapo,"
                      + " luspo or vespo.")
          LossType lossType,
      @Key(
              standard = "token",
              byAlgorithm = true,
              meaning =
                  "Probability ratios of each token, or of the whole sequence: token, sequence (their geometric mean) or"
                      + " sequence_product.",
              trl = "`sequence_product` is in `RLOOTrainer`")
          ImportanceSamplingLevel importanceSamplingLevel,
      @Key(standard = "0.2", byAlgorithm = true, meaning = "Ratios below 1 - epsilon are clipped.")
          double epsilon,
      @Key(
              byAlgorithm = true,
              meaning =
                  "Ratios above 1 + epsilon_high are clipped. With loss type cispo it is the cap. By default epsilon.")
          Optional<Double> epsilonHigh,
      @Key(meaning = "Largest ratio where the clip does not apply, as in two-sided GRPO.")
          Optional<Double> delta,
      Advantage advantage,
      Smooth smooth,
      Reference reference,
      Entropy entropy,
      Correction correction) {
    /**
     * Checks the values.
     *
     * @throws IllegalArgumentException if one of them is out of its range; the message names the
     *     key
     */
    public Objective {
      Limits.share("epsilon", epsilon);
      epsilonHigh.ifPresent(value -> Limits.positive("epsilon_high", value));
      delta.ifPresent(value -> Limits.positive("delta", value));
      Limits.require(
          algorithm != Algorithm.SFT || lossType == LossType.DAPO,
          "loss_type",
          ConfigKey.label(lossType),
          "dapo with algorithm sft");
      Limits.require(
          lossType != LossType.VESPO
              || !correction.vllmImportanceSamplingCorrection()
              || !correction.vllmImportanceSamplingMode().name().startsWith("SEQUENCE"),
          "vllm_importance_sampling_mode",
          ConfigKey.label(correction.vllmImportanceSamplingMode()),
          "token_truncate or token_mask with loss_type vespo");
    }
  }

  /**
   * The advantages of completions.
   *
   * @param advEstimator how advantages are estimated
   * @param scaleRewards what advantages are divided by: the standard deviation of the group's or of
   *     the batch's rewards, or nothing
   * @param normalizeAdvantages whether advantages of rloo are normalized over the batch
   * @param learnFrom the completions that are learnt from: all, those of groups whose rewards
   *     differ, or the right ones
   * @param maskTruncatedCompletions whether completions that reach the longest length have no loss
   */
  public record Advantage(
      @Key(
              standard = "grpo",
              byAlgorithm = true,
              meaning =
                  "How advantages are estimated: grpo, rloo, reinforce_plus_plus, reinforce_plus_plus_baseline, or ones.",
              trl = "the trainer's class; verl's name")
          AdvEstimator advEstimator,
      @Key(
              standard = "group",
              byAlgorithm = true,
              meaning =
                  "What advantages are divided by: the standard deviation of the group's or of the batch's rewards, or"
                      + " nothing: group, batch or none.")
          ScaleRewards scaleRewards,
      @Key(
              standard = "false",
              meaning = "Whether advantages of rloo are normalized over the batch.")
          boolean normalizeAdvantages,
      @Key(
              standard = "all",
              byAlgorithm = true,
              meaning =
                  "Completions that are learnt from: all, those of groups whose rewards are differing (DAPO), or the"
                      + " right ones.",
              trl = "always all; verl's `filter_groups.enable`")
          TrainingOptions.Kept learnFrom,
      @Key(
              standard = "false",
              meaning = "Whether completions that reach the longest length have no loss.")
          boolean maskTruncatedCompletions) {
    /**
     * Checks the values.
     *
     * @throws IllegalArgumentException if one of them is out of its range; the message names the
     *     key
     */
    public Advantage {
      advEstimator.require(scaleRewards, normalizeAdvantages);
    }
  }

  /**
   * The parameters of losses without a clip.
   *
   * @param sapoTemperatureNeg temperature of sapo where advantages are not positive
   * @param sapoTemperaturePos temperature of sapo where advantages are positive
   * @param vespoKPos exponent of vespo where advantages are not negative
   * @param vespoLambdaPos decay of vespo where advantages are not negative
   * @param vespoKNeg exponent of vespo where advantages are negative
   * @param vespoLambdaNeg decay of vespo where advantages are negative
   */
  public record Smooth(
      @Key(standard = "1.05", meaning = "Temperature of sapo where advantages are not positive.")
          double sapoTemperatureNeg,
      @Key(standard = "1.0", meaning = "Temperature of sapo where advantages are positive.")
          double sapoTemperaturePos,
      @Key(standard = "2.0", meaning = "Exponent of vespo where advantages are not negative.")
          double vespoKPos,
      @Key(standard = "3.0", meaning = "Decay of vespo where advantages are not negative.")
          double vespoLambdaPos,
      @Key(standard = "3.0", meaning = "Exponent of vespo where advantages are negative.")
          double vespoKNeg,
      @Key(standard = "2.0", meaning = "Decay of vespo where advantages are negative.")
          double vespoLambdaNeg) {
    /**
     * Checks the values.
     *
     * @throws IllegalArgumentException if one of them is out of its range; the message names the
     *     key
     */
    public Smooth {
      Limits.positive("sapo_temperature_neg", sapoTemperatureNeg);
      Limits.positive("sapo_temperature_pos", sapoTemperaturePos);
      Limits.notNegative("vespo_k_pos", vespoKPos);
      Limits.notNegative("vespo_lambda_pos", vespoLambdaPos);
      Limits.notNegative("vespo_k_neg", vespoKNeg);
      Limits.notNegative("vespo_lambda_neg", vespoLambdaNeg);
    }
  }

  /**
   * The penalty of the divergence from a reference model.
   *
   * @param beta weight of the KL divergence from the reference model, which is the initial one. 0:
   *     none, and no reference is loaded
   * @param klEstimator estimator of that divergence: k1, k2 or k3
   * @param useBiasCorrectionKl whether the estimate is multiplied by the probability ratio, so that
   *     its gradient is unbiased
   * @param useKlInReward whether the divergence lowers the reward instead of adding to the loss
   * @param syncRefModel whether the reference model follows the policy
   * @param refModelMixupAlpha share of the policy in the reference model where it follows
   * @param refModelSyncSteps updates from one change of the reference model to the next
   */
  public record Reference(
      @Key(
              standard = "0.0",
              byAlgorithm = true,
              meaning =
                  "Weight of the KL divergence from the reference model, which is the initial one. 0: none, and no"
                      + " reference is loaded.",
              trl = "0.05 in `RLOOConfig`")
          double beta,
      @Key(
              standard = "k3",
              byAlgorithm = true,
              meaning = "Estimator of that divergence: k1, k2 or k3.",
              trl = "k3, and k1 in `RLOOTrainer`")
          Divergence klEstimator,
      @Key(
              standard = "true",
              meaning =
                  "Whether the estimate is multiplied by the probability ratio, so that its gradient is unbiased.")
          boolean useBiasCorrectionKl,
      @Key(
              standard = "false",
              byAlgorithm = true,
              meaning = "Whether the divergence lowers the reward instead of adding to the loss.",
              trl = "as in `RLOOTrainer`; verl's name")
          boolean useKlInReward,
      @Key(standard = "false", meaning = "Whether the reference model follows the policy.")
          boolean syncRefModel,
      @Key(
              standard = "0.6",
              meaning = "Share of the policy in the reference model where it follows.")
          double refModelMixupAlpha,
      @Key(
              standard = "512",
              meaning = "Updates from one change of the reference model to the next.")
          int refModelSyncSteps) {
    /**
     * Checks the values.
     *
     * @throws IllegalArgumentException if one of them is out of its range; the message names the
     *     key
     */
    public Reference {
      Limits.notNegative("beta", beta);
      Limits.within("ref_model_mixup_alpha", refModelMixupAlpha, 0, 1);
      Limits.least("ref_model_sync_steps", refModelSyncSteps, 1);
      Limits.require(
          !syncRefModel || beta > 0, "sync_ref_model", syncRefModel, "false while beta is 0");
    }
  }

  /**
   * The reward of entropy, and the selection of tokens by it.
   *
   * @param entropyCoef weight of the mean entropy of tokens, which lowers the loss
   * @param useAdaptiveEntropy whether that weight adapts to the entropy after each update
   * @param entropyCoefMin least weight where it adapts
   * @param entropyCoefMax largest weight where it adapts
   * @param entropyCoefDelta change of the weight in an update
   * @param entropyTarget entropy in nats per token. At most this: the weight grows and applies
   * @param topEntropyQuantile share of tokens, those of highest entropy, that the policy's loss has
   */
  public record Entropy(
      @Key(
              standard = "0.0",
              meaning = "Weight of the mean entropy of tokens, which lowers the loss.")
          double entropyCoef,
      @Key(
              standard = "false",
              meaning = "Whether that weight adapts to the entropy after each update.")
          boolean useAdaptiveEntropy,
      @Key(standard = "0.0", meaning = "Least weight where it adapts.") double entropyCoefMin,
      @Key(standard = "1.0", meaning = "Largest weight where it adapts.") double entropyCoefMax,
      @Key(standard = "0.005", meaning = "Change of the weight in an update.")
          double entropyCoefDelta,
      @Key(
              standard = "0.2",
              meaning = "Entropy in nats per token. At most this: the weight grows and applies.")
          double entropyTarget,
      @Key(
              standard = "1.0",
              meaning =
                  "Share of tokens, those of highest entropy in an update, that the policy's loss has.")
          double topEntropyQuantile) {
    /**
     * Checks the values.
     *
     * @throws IllegalArgumentException if one of them is out of its range; the message names the
     *     key
     */
    public Entropy {
      Limits.within("entropy_coef", entropyCoef, -Double.MAX_VALUE, Double.MAX_VALUE);
      Limits.within("entropy_coef_max", entropyCoefMax, entropyCoefMin, Double.MAX_VALUE);
      Limits.notNegative("entropy_coef_delta", entropyCoefDelta);
      Limits.notNegative("entropy_target", entropyTarget);
      Limits.within("top_entropy_quantile", topEntropyQuantile, 0, 1);
    }
  }

  /**
   * The corrections of completions that another policy sampled.
   *
   * @param vllmImportanceSamplingCorrection whether losses are multiplied by the ratio of the
   *     model's probabilities to those that the sampler reported
   * @param vllmImportanceSamplingMode level of these ratios, and what happens to those out of
   *     bounds
   * @param vllmImportanceSamplingClipMax upper bound of these ratios
   * @param vllmImportanceSamplingClipMin lower bound of these ratios
   * @param offPolicyMaskThreshold nats per token that a completion with a negative advantage may
   *     have lost since it was sampled. Above, it has no loss of the policy
   */
  public record Correction(
      @Key(
              standard = "false",
              meaning =
                  "Whether losses are multiplied by the ratio of the model's probabilities to those that the sampler"
                      + " reported.",
              trl = "with `use_vllm` only")
          boolean vllmImportanceSamplingCorrection,
      @Key(
              standard = "sequence_mask",
              meaning =
                  "Level of these ratios, and what happens to those out of bounds: token_truncate, token_mask,"
                      + " sequence_truncate or sequence_mask.")
          ImportanceCorrection.Mode vllmImportanceSamplingMode,
      @Key(standard = "3.0", meaning = "Upper bound of these ratios.")
          Optional<Double> vllmImportanceSamplingClipMax,
      @Key(meaning = "Lower bound of these ratios.") Optional<Double> vllmImportanceSamplingClipMin,
      @Key(
              meaning =
                  "Nats per token that a completion with a negative advantage may have lost since it was sampled. Above,"
                      + " it has no loss of the policy.")
          Optional<Double> offPolicyMaskThreshold) {
    /**
     * Checks the values.
     *
     * @throws IllegalArgumentException if one of them is out of its range; the message names the
     *     key
     */
    public Correction {
      double most = vllmImportanceSamplingClipMax.orElse(Double.POSITIVE_INFINITY);
      vllmImportanceSamplingClipMin.ifPresent(
          least ->
              Limits.require(
                  least < most,
                  "vllm_importance_sampling_clip_min",
                  least,
                  "below vllm_importance_sampling_clip_max"));
      Limits.require(
          !vllmImportanceSamplingCorrection
              || vllmImportanceSamplingClipMax.isPresent()
              || vllmImportanceSamplingClipMin.isPresent()
              || vllmImportanceSamplingMode.name().endsWith("MASK"),
          "vllm_importance_sampling_clip_max",
          "\"\"",
          "a number, as a mode that truncates needs a bound");
      offPolicyMaskThreshold.ifPresent(
          value -> Limits.positive("off_policy_mask_threshold", value));
    }
  }

  /**
   * The optimizer and its learning rate.
   *
   * @param learningRate the learning rate over time
   * @param optimizer optimizer: adamw, sgd, or muon (hidden matrices; adamw for all others)
   * @param adam the decays and limits of AdamW, and what all optimizers share
   * @param sgd the momentum of SGD
   * @param muon the momentum and the scaling of Muon
   * @param numIterations passes over the completions of a step
   * @param stepsPerGeneration updates that a pass is split into. Completions are shuffled and dealt
   *     to them
   * @param microBatchSize sequences that one thread differentiates at a time. It bounds memory
   * @param gradientCheckpointing whether activations are computed again in the backward pass: a
   *     third slower, much less memory
   * @param weightMask mask file of the entries that may move; weights without a mask move
   *     everywhere
   */
  public record Optimization(
      LearningRate learningRate,
      @Key(
              standard = "adamw",
              meaning = "Optimizer: adamw, sgd, or muon (hidden matrices; adamw for all others).",
              trl = "`optim`")
          OptimizerKind optimizer,
      Adam adam,
      Sgd sgd,
      Muon muon,
      @Key(standard = "1", meaning = "Passes over the completions of a step.") int numIterations,
      @Key(
              standard = "1",
              meaning =
                  "Updates that a pass is split into. Completions are shuffled and dealt to them.",
              trl = "in units of micro-batches")
          int stepsPerGeneration,
      @Key(
              standard = "64",
              meaning = "Sequences that one thread differentiates at a time. It bounds memory.",
              trl = "`per_device_train_batch_size`")
          int microBatchSize,
      @Key(
              standard = "false",
              meaning =
                  "Whether activations are computed again in the backward pass: a third slower, much less memory.")
          boolean gradientCheckpointing,
      @Key(
              meaning =
                  "Mask file of the entries that may move. Weights without a mask move everywhere.")
          Optional<Path> weightMask) {
    /**
     * Checks the values.
     *
     * @throws IllegalArgumentException if one of them is out of its range; the message names the
     *     key
     */
    public Optimization {
      Limits.least("num_iterations", numIterations, 1);
      Limits.least("steps_per_generation", stepsPerGeneration, 1);
      Limits.least("micro_batch_size", microBatchSize, 1);
    }
  }

  /**
   * The learning rate over time.
   *
   * @param learningRate peak learning rate
   * @param lrSchedulerType schedule: constant, constant_with_warmup, linear or cosine
   * @param warmupSteps steps over which the rate rises in a line to its peak
   * @param minLrRate share of the peak at which linear and cosine schedules end
   */
  public record LearningRate(
      @Key(standard = "1.0e-6", meaning = "Peak learning rate.") double learningRate,
      @Key(
              standard = "constant",
              meaning = "Schedule: constant, constant_with_warmup, linear or cosine.")
          LrScheduler lrSchedulerType,
      @Key(
              standard = "0",
              meaning = "Steps over which the rate rises in a line to its peak.",
              trl = "the first step has rate 0, here 1 / warmup_steps")
          int warmupSteps,
      @Key(
              standard = "0.0",
              meaning = "Share of the peak at which linear and cosine schedules end.",
              trl = "`lr_scheduler_kwargs.min_lr_rate`")
          double minLrRate) {
    /**
     * Checks the values.
     *
     * @throws IllegalArgumentException if one of them is out of its range; the message names the
     *     key
     */
    public LearningRate {
      Limits.positive("learning_rate", learningRate);
      Limits.least("warmup_steps", warmupSteps, 0);
      Limits.within("min_lr_rate", minLrRate, 0, 1);
      Limits.require(
          lrSchedulerType != LrScheduler.CONSTANT || warmupSteps == 0,
          "warmup_steps",
          warmupSteps,
          "0 with the constant schedule; constant_with_warmup has a warm-up");
    }
  }

  /**
   * AdamW, and what all optimizers share.
   *
   * @param adamBeta1 decay of AdamW's mean of gradients
   * @param adamBeta2 decay of AdamW's mean of squared gradients
   * @param adamEpsilon added to the root of the latter
   * @param weightDecay weight decay of matrices. Vectors have none
   * @param maxGradNorm norm to which the gradient of a step is clipped
   */
  public record Adam(
      @Key(standard = "0.9", meaning = "Decay of AdamW's mean of gradients.") double adamBeta1,
      @Key(standard = "0.999", meaning = "Decay of AdamW's mean of squared gradients.")
          double adamBeta2,
      @Key(standard = "1.0e-8", meaning = "Added to the root of the latter.") double adamEpsilon,
      @Key(standard = "0.0", meaning = "Weight decay of matrices. Vectors have none.")
          double weightDecay,
      @Key(standard = "1.0", meaning = "Norm to which the gradient of a step is clipped.")
          double maxGradNorm) {
    /**
     * Checks the values.
     *
     * @throws IllegalArgumentException if one of them is out of its range; the message names the
     *     key
     */
    public Adam {
      Limits.decay("adam_beta1", adamBeta1);
      Limits.decay("adam_beta2", adamBeta2);
      Limits.positive("adam_epsilon", adamEpsilon);
      Limits.notNegative("weight_decay", weightDecay);
      Limits.positive("max_grad_norm", maxGradNorm);
    }
  }

  /**
   * The momentum of SGD.
   *
   * @param sgdMomentum decay of SGD's sum of gradients. 0: none
   * @param sgdNesterov whether SGD looks ahead along its momentum
   */
  public record Sgd(
      @Key(
              standard = "0.9",
              meaning = "Decay of SGD's sum of gradients. 0: none.",
              trl = "`optim_args`, default 0")
          double sgdMomentum,
      @Key(standard = "false", meaning = "Whether SGD looks ahead along its momentum.")
          boolean sgdNesterov) {
    /**
     * Checks the values.
     *
     * @throws IllegalArgumentException if one of them is out of its range; the message names the
     *     key
     */
    public Sgd {
      Limits.decay("sgd_momentum", sgdMomentum);
      Limits.require(
          !sgdNesterov || sgdMomentum > 0,
          "sgd_momentum",
          sgdMomentum,
          "above 0 with sgd_nesterov");
    }
  }

  /**
   * The momentum and the scaling of Muon.
   *
   * @param muonMomentum decay of Muon's mean of gradients
   * @param muonNesterov whether Muon looks ahead along its momentum
   * @param muonNsSteps Newton-Schulz iterations of a step
   * @param muonAdjustLrFn scaling of the rate by the shape of a matrix: original (√max(1, rows /
   *     columns)) or match_rms_adamw (0.2 √max(rows, columns))
   * @param muonLrRatio rate of Muon's matrices divided by learning_rate, which all others have
   */
  public record Muon(
      @Key(standard = "0.95", meaning = "Decay of Muon's mean of gradients.") double muonMomentum,
      @Key(standard = "true", meaning = "Whether Muon looks ahead along its momentum.")
          boolean muonNesterov,
      @Key(
              standard = "5",
              meaning = "Newton-Schulz iterations of a step.",
              trl = "`ns_steps` of PyTorch")
          int muonNsSteps,
      @Key(
              standard = "match_rms_adamw",
              meaning =
                  "Scaling of the rate by the shape of a matrix: original (√max(1, rows / columns)) or"
                      + " match_rms_adamw (0.2 √max(rows, columns)).",
              trl = "`adjust_lr_fn` of PyTorch, default original")
          Scaling muonAdjustLrFn,
      @Key(
              standard = "1.0",
              meaning =
                  "Rate of Muon's matrices divided by `learning_rate`, which all others have.")
          double muonLrRatio) {
    /**
     * Checks the values.
     *
     * @throws IllegalArgumentException if one of them is out of its range; the message names the
     *     key
     */
    public Muon {
      Limits.decay("muon_momentum", muonMomentum);
      Limits.within("muon_ns_steps", muonNsSteps, 1, 99);
      Limits.positive("muon_lr_ratio", muonLrRatio);
    }
  }

  /**
   * The low-rank adapter.
   *
   * @param usePeft whether an adapter is trained and the model stays
   * @param initLoraWeights what the factors begin as: lora, pissa, milora, olora or geora
   * @param loraR rank of the adapter
   * @param loraAlpha the product is scaled by lora_alpha / lora_r
   * @param useRslora whether it is scaled by lora_alpha / √lora_r instead
   * @param loraTargetModules names of the linear layers that get factors
   */
  public record Adapter(
      @Key(standard = "false", meaning = "Whether an adapter is trained and the model stays.")
          boolean usePeft,
      @Key(
              standard = "lora",
              meaning = "What the factors begin as: lora, pissa, milora, olora or geora.",
              trl = "PEFT's `init_lora_weights`, whose `true` is lora")
          Initialisation initLoraWeights,
      @Key(standard = "8", meaning = "Rank of the adapter.") int loraR,
      @Key(standard = "16.0", meaning = "The product is scaled by lora_alpha / lora_r.")
          double loraAlpha,
      @Key(standard = "false", meaning = "Whether it is scaled by lora_alpha / √lora_r instead.")
          boolean useRslora,
      @Key(
              standard = "[q_proj, k_proj, v_proj, o_proj, gate_proj, up_proj, down_proj]",
              meaning = "Names of the linear layers that get factors.")
          List<String> loraTargetModules) {
    /**
     * Checks the values.
     *
     * @throws IllegalArgumentException if one of them is out of its range; the message names the
     *     key
     */
    public Adapter {
      loraTargetModules = List.copyOf(loraTargetModules);
      Limits.least("lora_r", loraR, 1);
      Limits.positive("lora_alpha", loraAlpha);
      Limits.require(
          !loraTargetModules.isEmpty(), "lora_target_modules", "[]", "one layer or more");
    }
  }

  /**
   * The measurements and reports during a run.
   *
   * @param logging the outputs of metrics
   * @param geometrySteps steps between two counts of the weights that changed. 0: never
   * @param spectrumSteps steps between two measurements of spectral drift, angles and energies,
   *     with null models. 0: never
   * @param divergenceSteps steps between two measurements of the KL divergence from the initial
   *     model, with each layer's share by its Fisher information. 0: never
   * @param divergenceTexts training prompts that the initial model completes for it
   * @param observedMatrices regular expression of the names of matrices that are measured
   * @param patches how the policy is published as patches
   */
  public record Observation(
      Logging logging,
      @Key(
              standard = "1",
              meaning = "Steps between two counts of the weights that changed. 0: never.")
          int geometrySteps,
      @Key(
              standard = "0",
              meaning =
                  "Steps between two measurements of spectral drift, angles and energies, with null models. 0: never.")
          int spectrumSteps,
      @Key(
              standard = "0",
              meaning =
                  "Steps between two measurements of the KL divergence from the initial model, with each"
                      + " layer's share by its Fisher information. 0: never.")
          int divergenceSteps,
      @Key(standard = "64", meaning = "Training prompts that the initial model completes for it.")
          int divergenceTexts,
      @Key(
              standard = "\"_proj\\\\.weight$\"",
              meaning = "Regular expression of the names of matrices that are measured.")
          String observedMatrices,
      Patches patches) {
    /**
     * Checks the values.
     *
     * @throws IllegalArgumentException if one of them is out of its range; the message names the
     *     key
     */
    public Observation {
      Limits.least("geometry_steps", geometrySteps, 0);
      Limits.least("spectrum_steps", spectrumSteps, 0);
      Limits.least("divergence_steps", divergenceSteps, 0);
      Limits.least("divergence_texts", divergenceTexts, 1);
      Limits.pattern("observed_matrices", observedMatrices);
    }
  }

  /**
   * The outputs of metrics. {@code metrics.jsonl} always has all of them.
   *
   * @param loggingSteps steps between two lines on the console. 0: none
   * @param reportTo services that metrics are also reported to: tensorboard, mlflow
   * @param mlflowTrackingUri address of an MLflow server. Without it, that in the environment
   *     variable MLFLOW_TRACKING_URI
   * @param mlflowExperimentName experiment of MLflow that the run is in. Its run has the name of
   *     output_dir
   * @param logCompletions whether {@code completions.jsonl} gets the completions of every {@code
   *     logging_steps}-th step with their rewards
   * @param numCompletionsToPrint number of completions of such a step that are printed. 0: none
   * @param pagePort port of a page on this machine that shows the run while it goes on. 0: a free
   *     port. -1: no page
   */
  public record Logging(
      @Key(
              standard = "10",
              meaning = "Steps between two lines on the console. 0: none.",
              mayChange = true)
          int loggingSteps,
      @Key(
              standard = "[tensorboard]",
              meaning = "Services that metrics are also reported to: tensorboard, mlflow.",
              mayChange = true)
          List<Report> reportTo,
      @Key(
              meaning =
                  "Address of an MLflow server. Without it, that in the environment variable"
                      + " `MLFLOW_TRACKING_URI`.",
              trl = "the variable",
              mayChange = true)
          Optional<URI> mlflowTrackingUri,
      @Key(
              standard = "threegate",
              meaning =
                  "Experiment of MLflow that the run is in. Its run has the name of `output_dir`.",
              trl = "the variable `MLFLOW_EXPERIMENT_NAME`",
              mayChange = true)
          String mlflowExperimentName,
      @Key(
              standard = "false",
              meaning =
                  "Whether `completions.jsonl` gets the completions of every `logging_steps`-th step with their"
                      + " rewards. Where that is 0, it is every step.",
              mayChange = true)
          boolean logCompletions,
      @Key(
              standard = "0",
              meaning = "Number of completions of such a step that are printed. 0: none.",
              mayChange = true)
          int numCompletionsToPrint,
      @Key(
              standard = "-1",
              meaning =
                  "Port of a page on this machine that shows the run while it goes on. 0: a free port. -1: no page.",
              mayChange = true)
          int pagePort) {
    /**
     * Checks the values.
     *
     * @throws IllegalArgumentException if one of them is out of its range; the message names the
     *     key
     */
    public Logging {
      reportTo = List.copyOf(reportTo);
      Limits.least("logging_steps", loggingSteps, 0);
      mlflowTrackingUri.ifPresent(uri -> Limits.server("mlflow_tracking_uri", uri));
      Limits.require(!mlflowExperimentName.isBlank(), "mlflow_experiment_name", "empty", "a name");
      Limits.least("num_completions_to_print", numCompletionsToPrint, 0);
      Limits.within("page_port", pagePort, -1, 65535);
    }

    /** {@return the number of steps between two whose completions are logged} */
    public int completionSteps() {
      return Math.max(1, loggingSteps);
    }
  }

  /**
   * How the policy is published as patches.
   *
   * @param patchSteps steps between two published patches, in {@code versions/} of the run. 0:
   *     never
   * @param patchFormat format of patches: planar, disk-delta-xor, disk-delta-overwrite or sparse
   * @param patchAnchorInterval versions from one that is whole to the next
   */
  public record Patches(
      @Key(
              standard = "0",
              meaning = "Steps between two published patches, in `versions/` of the run. 0: never.")
          int patchSteps,
      @Key(
              standard = "planar",
              meaning =
                  "Format of patches: planar, disk-delta-xor, disk-delta-overwrite or sparse.")
          PatchFormat patchFormat,
      @Key(standard = "50", meaning = "Versions from one that is whole to the next.")
          int patchAnchorInterval) {
    /**
     * Checks the values.
     *
     * @throws IllegalArgumentException if one of them is out of its range; the message names the
     *     key
     */
    public Patches {
      Limits.least("patch_steps", patchSteps, 0);
      Limits.least("patch_anchor_interval", patchAnchorInterval, 1);
    }
  }

  /**
   * Checks values that depend on each other.
   *
   * @throws IllegalArgumentException if they do not fit; the message names a key
   */
  public TrainingConfig {
    boolean imitates = objective.algorithm() == Algorithm.SFT;
    Limits.require(
        imitates || generation.numGenerations() > 1,
        "num_generations",
        generation.numGenerations(),
        "2 or more");
    Limits.require(
        imitates || generation.temperature() > 0,
        "temperature",
        generation.temperature(),
        "above 0 in training");
    Limits.require(
        !data.reward().rewardFuncs().isEmpty() || generation.turns().environment().isPresent(),
        "reward_funcs",
        "[]",
        "one function or more without an environment");
    int cache = data.reward().softPunishCache();
    Limits.require(
        cache <= generation.maxCompletionLength(),
        "soft_punish_cache",
        cache,
        "at most max_completion_length, which is " + generation.maxCompletionLength());
    long completions = (long) generation.promptsPerStep() * generation.numGenerations();
    Limits.require(
        completions % optimization.stepsPerGeneration() == 0,
        "steps_per_generation",
        optimization.stepsPerGeneration(),
        "a divisor of prompts_per_step * num_generations, which is " + completions);
    Limits.require(
        generation.maxNumGenBatches() == 1
            || objective.advantage().learnFrom() == TrainingOptions.Kept.DIFFERING,
        "max_num_gen_batches",
        generation.maxNumGenBatches(),
        "1 unless learn_from is differing");
    Limits.require(
        data.reward().multiObjectiveAggregation() == RewardOptions.Aggregation.SUM_THEN_NORMALIZE
            || objective.advantage().advEstimator() == AdvEstimator.GRPO
                && !objective.reference().useKlInReward()
                && data.reward().rewardClipRange().isEmpty(),
        "multi_objective_aggregation",
        "normalize_then_sum",
        "sum_then_normalize unless adv_estimator is grpo, without use_kl_in_reward and"
            + " reward_clip_range");
    Limits.require(
        !objective.reference().syncRefModel() || !adapter.usePeft(),
        "sync_ref_model",
        true,
        "false with use_peft, whose reference is the model without the adapter");
    Evaluation evaluation = run.evaluation();
    boolean isEvaluated = data.evalDataset().isPresent();
    Limits.require(
        isEvaluated || evaluation.evalSteps() == 0,
        "eval_steps",
        evaluation.evalSteps(),
        "0 without an eval_dataset");
    Limits.require(
        isEvaluated || !evaluation.loadBestModelAtEnd(),
        "load_best_model_at_end",
        true,
        "false without an eval_dataset");
    Limits.require(
        evaluation.evalSteps() > 0 || evaluation.earlyStoppingPatience() == 0,
        "early_stopping_patience",
        evaluation.earlyStoppingPatience(),
        "0 without eval_steps");
    List<String> metrics = List.of("pass@1", "pass@" + data.numGenerationsEval());
    Limits.require(
        metrics.contains(evaluation.metricForBestModel()),
        "metric_for_best_model",
        evaluation.metricForBestModel(),
        "one of " + String.join(", ", metrics));
    LearningRate rate = optimization.learningRate();
    long updates = updates(run, optimization);
    Limits.require(
        rate.lrSchedulerType() == LrScheduler.CONSTANT_WITH_WARMUP
            || rate.warmupSteps() == 0
            || rate.warmupSteps() < updates,
        "warmup_steps",
        rate.warmupSteps(),
        "less than the updates of the run, of which there are " + updates);
  }

  /** Returns the number of optimizer steps of a run. */
  private static long updates(Run run, Optimization optimization) {
    return run.maxSteps() * optimization.numIterations() * optimization.stepsPerGeneration();
  }

  /** {@return the number of optimizer steps of the run} */
  long updates() {
    return updates(run, optimization);
  }

  /**
   * {@return the directory of the model}
   *
   * @throws InvalidInputException when the configuration has none
   */
  public Path modelDirectory() {
    return required("model_name_or_path", model.modelNameOrPath());
  }

  /**
   * {@return the file of training problems}
   *
   * @throws InvalidInputException when the configuration has none
   */
  public Path trainingFile() {
    return required("train_dataset", data.trainDataset());
  }

  private static Path required(String key, Optional<Path> path) {
    return path.orElseThrow(
        () -> new InvalidInputException(key + " is missing in the configuration"));
  }

  /** {@return the files and directories that a run reads} */
  public List<Path> inputs() {
    List<Path> inputs = new ArrayList<>();
    model.modelNameOrPath().ifPresent(inputs::add);
    data.trainDataset().ifPresent(inputs::add);
    data.evalDataset().ifPresent(inputs::add);
    optimization.weightMask().ifPresent(inputs::add);
    return List.copyOf(inputs);
  }
}
