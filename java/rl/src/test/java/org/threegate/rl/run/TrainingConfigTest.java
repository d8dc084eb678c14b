package org.threegate.rl.run;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.LocalDate;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.threegate.rl.adapter.Initialisation;
import org.threegate.rl.objective.Divergence;
import org.threegate.rl.objective.LossType;
import org.threegate.rl.objective.PolicyObjective;
import org.threegate.rl.train.AdvantageRule;
import org.threegate.rl.train.TrainingOptions;
import org.threegate.run.InvalidInputException;

/** Tests the types, ranges, defaults and documentation of the keys of configurations. */
class TrainingConfigTest {
  private static final String BEGIN = "<!-- keys -->\n";
  private static final String END = "<!-- end of keys -->\n";

  @TempDir Path directory;

  private TrainingConfig read(String text) throws IOException {
    Path file = Files.writeString(directory.resolve("run.yaml"), text);
    return TrainingConfigs.read(file, Map.of(), "nowhere");
  }

  @Test
  void theDocumentationHasEveryKey() throws IOException {
    String text = Files.readString(page("training.md"));
    assertThat(text).contains(BEGIN, END);
    assertThat(text.substring(text.indexOf(BEGIN) + BEGIN.length(), text.indexOf(END)))
        .isEqualTo(KeyTable.of(KeyTable.trl()));
  }

  @Test
  void theExampleHasEveryKeyWithItsDefault() throws IOException {
    String example = TrainingConfigs.example();
    assertThat(read(example)).isEqualTo(TrainingConfigs.of(Map.of()));
    for (ConfigKey key : ConfigKey.of(TrainingConfig.class)) {
      String line = "\n" + (key.description().byAlgorithm() ? "# " : "") + key.name() + ": ";
      assertThat(example).containsOnlyOnce(line);
    }
    assertThat(example.lines()).allMatch(line -> line.length() <= 120);
    assertThat(read(example.replaceAll("(?m)^# ([a-z_]+: )", "$1")))
        .isEqualTo(TrainingConfigs.of(Map.of()));
  }

  @Test
  void everyKeyIsDescribed() {
    for (ConfigKey key : ConfigKey.of(TrainingConfig.class)) {
      assertThat(key.description()).as(key.name()).isNotNull();
      assertThat(key.description().meaning()).as(key.name()).endsWith(".");
    }
  }

  @ParameterizedTest
  @EnumSource(Algorithm.class)
  void whatIsWrittenIsReadAgain(Algorithm algorithm) throws IOException {
    TrainingConfig config =
        TrainingConfigs.of(
            Map.of(
                "algorithm",
                algorithm,
                "model_name_or_path",
                Path.of("a: b"),
                "chat_template_date",
                LocalDate.of(2026, 1, 31),
                "chat_template_kwargs",
                Map.of("enable_thinking", false, "list", List.of(1, "x")),
                "init_lora_weights",
                Initialisation.GEORA,
                "report_to",
                List.of(),
                "environment",
                "calculator",
                "max_tool_calling_iterations",
                3,
                "learning_rate",
                1e-5,
                "seed",
                1L << 40));
    assertThat(config.run().seed()).isEqualTo(1L << 40);
    assertThat(config.model().modelNameOrPath()).isEqualTo(Optional.of(Path.of("a: b")));
    assertThat(read(TrainingConfigs.yaml(config))).isEqualTo(config);
    assertThat(TrainingConfigs.with(config, Map.of())).isEqualTo(config);
    assertThat(TrainingConfigs.identity(config))
        .contains("learning_rate")
        .doesNotContain("output_dir", "threads", "report_to", "chat_template_date")
        .doesNotContain("max_steps", "model_name_or_path", "train_dataset");
  }

  /** Each algorithm selects the objective and the advantages that its name stands for. */
  @Test
  void algorithmsArePresets() {
    Map<Algorithm, PolicyObjective> objectives =
        Map.of(
            Algorithm.NONE,
            PolicyObjective.builder().build(),
            Algorithm.DAPO,
            PolicyObjective.DAPO,
            Algorithm.GRPO,
            PolicyObjective.GRPO,
            Algorithm.DR_GRPO,
            PolicyObjective.drGrpo(256),
            Algorithm.GSPO,
            PolicyObjective.GSPO,
            Algorithm.CISPO,
            PolicyObjective.CISPO,
            Algorithm.RLOO,
            PolicyObjective.RLOO,
            Algorithm.REINFORCE_PLUS_PLUS,
            PolicyObjective.REINFORCE_PLUS_PLUS,
            Algorithm.REJECTION_SAMPLING,
            PolicyObjective.CISPO);
    objectives.forEach(
        (algorithm, objective) ->
            assertThat(Composition.objective(TrainingConfigs.of(Map.of("algorithm", algorithm))))
                .as(algorithm.name())
                .isEqualTo(objective.toBuilder().maxCompletionLength(256).build()));
    assertThat(advantages(Algorithm.DAPO)).isSameAs(AdvantageRule.NORMALISED);
    assertThat(advantages(Algorithm.CISPO)).isSameAs(AdvantageRule.NORMALISED);
    assertThat(advantages(Algorithm.DR_GRPO)).isSameAs(AdvantageRule.CENTRED);
    assertThat(advantages(Algorithm.RLOO)).isSameAs(AdvantageRule.LEAVE_ONE_OUT);
    assertThat(advantages(Algorithm.REINFORCE_PLUS_PLUS)).isSameAs(AdvantageRule.OF_BATCH);
    assertThat(advantages(Algorithm.REJECTION_SAMPLING)).isSameAs(AdvantageRule.ONES);
    for (Algorithm algorithm : Algorithm.values()) {
      TrainingOptions.Kept kept = options(Map.of("algorithm", algorithm)).kept();
      assertThat(kept)
          .as(algorithm.name())
          .isEqualTo(
              switch (algorithm) {
                case DAPO -> TrainingOptions.Kept.DIFFERING;
                case REJECTION_SAMPLING -> TrainingOptions.Kept.RIGHT;
                default -> TrainingOptions.Kept.ALL;
              });
    }
    assertThat(options(Map.of("algorithm", "rloo")).rewards().penalty())
        .isEqualTo(new PolicyObjective.Penalty(0.05, Divergence.K1, true));
  }

  /** Presets set keys that say so, and the documentation shows what each sets. */
  @Test
  void presetsOnlySetKeysThatSaySo() throws IOException {
    assertThat(
            ConfigKey.of(TrainingConfig.class).stream()
                .filter(key -> key.description().byAlgorithm())
                .map(ConfigKey::name))
        .containsExactlyInAnyOrderElementsOf(Algorithm.keys());
    String page = Files.readString(page("training.md"));
    for (Algorithm algorithm : Algorithm.values()) {
      if (algorithm != Algorithm.SFT) {
        assertThat(page).contains(KeyTable.preset(algorithm));
      }
    }
  }

  private static Path page(String name) {
    return Path.of(System.getProperty("threegate.root"), "docs", name);
  }

  private static AdvantageRule advantages(Algorithm algorithm) {
    return options(Map.of("algorithm", algorithm)).advantages();
  }

  private static TrainingOptions options(Map<String, ?> values) {
    return Composition.reinforcement(TrainingConfigs.of(values), List.of(1));
  }

  @Test
  void keysOfTheObjectiveReplaceThoseOfThePreset() {
    TrainingConfig config =
        TrainingConfigs.of(
            Map.of(
                "algorithm",
                "grpo",
                "loss_type",
                "dr_grpo",
                "epsilon_high",
                0.3,
                "beta",
                0.04,
                "kl_estimator",
                "k2",
                "scale_rewards",
                "none"));
    assertThat(Composition.objective(config))
        .isEqualTo(
            PolicyObjective.drGrpo(256).toBuilder()
                .clip(0.2, 0.3)
                .penalty(new PolicyObjective.Penalty(0.04, Divergence.K2, true))
                .build());
    // Selecting another algorithm discards these keys.
    assertThat(TrainingConfigs.with(config, Map.of("algorithm", "gspo")).objective().lossType())
        .isEqualTo(LossType.GRPO);
  }

  /** Without keys, the options equal the defaults of the trainers. */
  @Test
  void defaultsAreThoseOfTheTrainers() {
    TrainingOptions own = options(Map.of());
    TrainingOptions plain = TrainingOptions.of(100, 16, 16, own.sampling(), 1e-6, 0);
    assertThat(own.objective().toBuilder().maxCompletionLength(0).build())
        .isEqualTo(plain.objective());
    assertThat(own.rewards()).isEqualTo(plain.rewards());
    assertThat(own.optimizer()).isEqualTo(plain.optimizer());
    assertThat(own.rows()).isEqualTo(plain.rows());
    assertThat(own.kept()).isEqualTo(plain.kept());
    assertThat(own.schedule().at(0)).isEqualTo(1);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "learning_rte: 1 | there is no key \"learning_rte\"; did you mean \"learning_rate\"?",
        "optimizer: {learning_rate: 1} | it must be one of adamw, sgd, muon",
        "model.device: cpu | there is no key \"model.device\"; did you mean \"device\"?",
        "learning_rate: 0 | learning_rate is 0.0; it must be above 0 and finite",
        "learning_rate: fast | learning_rate is \"fast\"; it must be a number",
        "learning_rate: 1e999 | learning_rate is \"Infinity\"; it must be a number",
        "learning_rate: | learning_rate is null; it must be a number",
        "max_steps: \"3\" | max_steps is \"3\"; it must be a whole number",
        "save_steps: 99999999999 | it must be a whole number",
        "use_peft: 1 | use_peft is 1; it must be true or false",
        "output_dir: '' | output_dir is \"\"; it must be a path",
        "output_dir: [a] | output_dir is [\"a\"]; it must be a path",
        "chat_template_kwargs: 3 | chat_template_kwargs is 3; it must be a mapping",
        "chat_template_date: today | chat_template_date is \"today\"; it must be a day",
        "lora_target_modules: [] | lora_target_modules is []; it must be one layer or more",
        "reward_funcs: judge | the reward functions are exact, numeric, mathematical,"
            + " mathematical_sentence, countdown",
        "environment: chess | environment: \"chess\" is not an environment; the environments are calculator, countdown and class:NAME",
        "environment: 'class:' | names nothing after the colon",
        "max_tool_calling_iterations: 2 | max_tool_calling_iterations is 2; it must be left out without an environment",
        "{environment: calculator, max_tool_calling_iterations: -1} | max_tool_calling_iterations is -1; it must be 0 or more",
        "{environment: calculator, max_tool_calling_iterations: many} | max_tool_calling_iterations is \"many\"; it must be a whole number",
        "{environment: calculator, max_tool_calling_iterations: 1.5} | it must be a whole number",
        "{environment: calculator, environment_timeout: 0} | environment_timeout is 0.0; it must be above 0 and finite",
        "reward_funcs: [] | reward_funcs is []; it must be one function or more without an environment",
        "report_to: [wandb] | report_to is \"wandb\"; it must be one of tensorboard",
        "temperature: 0 | temperature is 0.0; it must be above 0 in training",
        "num_generations: 1 | num_generations is 1; it must be 2 or more",
        "soft_punish_cache: 300 | at most max_completion_length, which is 256",
        "warmup_steps: 5 | 0 with the constant schedule; constant_with_warmup has a warm-up",
        "{lr_scheduler_type: linear, warmup_steps: 100} | less than the updates of the run",
        "{adv_estimator: rloo, scale_rewards: group} | scale_rewards is group; it must be none with adv_estimator rloo",
        "{algorithm: rloo, scale_rewards: group} | it must be none with adv_estimator rloo",
        "normalize_advantages: true | it must be false without adv_estimator rloo",
        "{algorithm: sft, loss_type: grpo} | it must be dapo with algorithm sft",
        "max_num_gen_batches: 2 | 1 unless learn_from is differing",
        "steps_per_generation: 7 | a divisor of prompts_per_step * num_generations, which is 256",
        "sync_ref_model: true | sync_ref_model is true; it must be false while beta is 0",
        "{sync_ref_model: true, beta: 0.1, use_peft: true} | false with use_peft",
        "reward_funcs: [exact, exact] | a list of functions with different names",
        "reward_weights: [a] | reward_weights is \"a\"; it must be a list",
        "reward_clip_range: [1, 0] | two numbers in rising order",
        "{multi_objective_aggregation: normalize_then_sum, algorithm: rloo} | sum_then_normalize unless",
        "epsilon_high: 0 | epsilon_high is 0.0; it must be above 0 and finite",
        "off_policy_mask_threshold: -1 | it must be above 0 and finite",
        "top_entropy_quantile: 2 | it must be 0.0 to 1.0",
        "vllm_importance_sampling_clip_min: 4 | below vllm_importance_sampling_clip_max",
        "{vllm_importance_sampling_correction: true, vllm_importance_sampling_mode: token_truncate, vllm_importance_sampling_clip_max: } | needs a bound",
        "{vllm_importance_sampling_correction: true, loss_type: vespo, vllm_importance_sampling_mode: sequence_mask} | with loss_type vespo",
        "observed_matrices: '(' | observed_matrices: \"(\" is not a valid regular expression"
      })
  void whatIsWrongNamesTheFileAndTheKey(String text, String message) {
    assertThatThrownBy(() -> read(text))
        .isInstanceOf(InvalidInputException.class)
        .hasMessageStartingWith(directory.resolve("run.yaml") + ": ")
        .hasMessageContaining(message);
  }

  @Test
  void aKeyIsGivenOnce() {
    assertThatThrownBy(() -> read("seed: 1\nthreads: 2\nseed: 3\n"))
        .isInstanceOf(InvalidInputException.class)
        .hasMessageContaining("run.yaml: invalid YAML: Duplicate field 'seed'");
  }

  @Test
  void changesAreNamedByTheirSource() throws IOException {
    Path file = Files.writeString(directory.resolve("run.yaml"), "seed: 1\nthreads: 2\n");
    Map<String, String> changes = Map.of("seed", "3", "chat_template_kwargs.mode", "{x: 1}");
    TrainingConfig config = TrainingConfigs.read(file, changes, "options");
    assertThat(config.run().seed()).isEqualTo(3);
    assertThat(config.model().threads()).isEqualTo(2);
    assertThat(config.data().chat().chatTemplateKwargs()).containsEntry("mode", Map.of("x", 1));
    assertThatThrownBy(() -> TrainingConfigs.read(file, Map.of("threads", "-1"), "options"))
        .hasMessage("options: threads is -1; it must be 0 or more");
    assertThatThrownBy(() -> TrainingConfigs.read(file, Map.of("threads", "["), "options"))
        .hasMessageStartingWith("options threads: invalid YAML");
  }

  @Test
  void inputsAreFilesThatAreGiven() {
    List<Path> inputs = new ArrayList<>();
    for (String key :
        List.of("model_name_or_path", "train_dataset", "eval_dataset", "weight_mask")) {
      inputs.addAll(TrainingConfigs.of(Map.of(key, Path.of(key))).inputs());
    }
    assertThat(inputs).hasSize(4);
    assertThatThrownBy(() -> TrainingConfigs.of(Map.of()).modelDirectory())
        .hasMessage("model_name_or_path is missing in the configuration");
  }
}
