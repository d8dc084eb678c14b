package org.threegate.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.FileTime;
import java.time.LocalDate;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.SplittableRandom;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.threegate.kernel.Context;
import org.threegate.kernel.Control;
import org.threegate.rl.environment.Environment;
import org.threegate.rl.environment.Episode;
import org.threegate.rl.environment.Reply;
import org.threegate.rl.event.Decision;
import org.threegate.rl.event.TrainingCallback;
import org.threegate.rl.event.TrainingEvent;
import org.threegate.rl.run.TrainingConfig;
import org.threegate.rl.run.TrainingConfigs;
import org.threegate.rl.run.TrainingRun;
import org.threegate.rl.task.Message;
import org.threegate.rl.task.Problem;
import org.threegate.run.CancelledException;
import org.threegate.testing.Glossary;
import org.threegate.testing.NativeLeaks;

/** Tests {@code train}, {@code eval} and {@code generate} as a user types them. */
@ExtendWith(NativeLeaks.class)
class TrainingCommandsTest {
  private static final Path FIXTURE =
      Path.of(System.getProperty("threegate.root"))
          .resolve("java/rl/src/test/resources/decoders/llama");
  private static final String LETTERS = "~^$abcdefghijklmnopqrstu";
  private static final int KILLS = Integer.getInteger("threegate.test.kills", 5);
  private static final int STEPS = 300;
  private static final int FULL_KILOBYTES = 24;

  /** What runs of several turns have that others do not. Turns end with a token or a letter. */
  private static final List<String> TURNS =
      List.of(
          "environment=class:" + Repeated.class.getName(),
          "reward_funcs=[exact]",
          "max_tool_calling_iterations=2",
          "max_completion_length=8",
          "log_completions=true",
          "logging_steps=50");

  /** Asks for the last letter of the prompt again, up to a number that the seed decides. */
  public static final class Repeated implements Environment {
    private static final int MOST = 3;

    @Override
    public Episode start(Problem problem, long seed) {
      int wanted = 1 + new SplittableRandom(seed).nextInt(MOST);
      int[] turns = new int[1];
      return text -> {
        double reward = text.equals(problem.answer()) ? 1.0 / wanted : 0;
        return ++turns[0] == wanted
            ? Reply.done(reward).with("wanted", wanted)
            : Reply.of(new Message("", "t" + problem.answer())).withReward(reward);
      };
    }

    @Override
    public List<String> stops() {
      return "abcdefghijklmnopqrstu~^"
          .chars()
          .mapToObj(letter -> String.valueOf((char) letter))
          .toList();
    }
  }

  @TempDir Path directory;
  private Path model;
  private Path config;
  private Path out;

  private static CommandRun run(Object... arguments) {
    return CommandRun.of(arguments);
  }

  private static void refused(CommandRun run, String... parts) {
    run.assertRefused(parts);
  }

  @BeforeEach
  void write() throws IOException {
    model = Files.createDirectory(directory.resolve("model"));
    for (String file : List.of("config.json", "model.safetensors")) {
      Files.copy(FIXTURE.resolve(file), model.resolve(file));
    }
    ObjectMapper json = new ObjectMapper();
    ObjectNode tokenizer = json.createObjectNode().put("version", "1.0");
    ObjectNode split = tokenizer.putObject("pre_tokenizer").put("type", "Split");
    split.putObject("pattern").put("Regex", ".");
    split.put("behavior", "Isolated").put("invert", false);
    tokenizer.putObject("decoder").put("type", "Fuse");
    tokenizer.putArray("added_tokens");
    ObjectNode words = tokenizer.putObject("model").put("type", "WordLevel").put("unk_token", "~");
    ObjectNode vocabulary = words.putObject("vocab");
    for (int i = 0; i < LETTERS.length(); i++) {
      vocabulary.put(LETTERS.substring(i, i + 1), i);
    }
    Files.writeString(model.resolve("tokenizer.json"), tokenizer.toString());
    StringBuilder problems = new StringBuilder();
    for (char letter = 'a'; letter <= 'u'; letter++) {
      problems.append(
          String.format(
              "{\"prompt\": \"%s%c\", \"answer\": \"%c\"}%n",
              "stu".substring(letter % 3), letter, letter));
    }
    Files.writeString(directory.resolve("problems.jsonl"), problems.toString());
    out = directory.resolve("run");
    config = directory.resolve("run.yaml");
    Files.writeString(
        config,
        String.join(
            "\n",
            "model_name_or_path: " + model,
            "output_dir: " + out,
            "max_steps: 6",
            "seed: 5",
            "train_dataset: " + directory.resolve("problems.jsonl"),
            "max_prompt_length: 8",
            "prompts_per_step: 6",
            "num_generations: 24",
            "max_completion_length: 1",
            "learning_rate: 1e-2",
            "micro_batch_size: 20",
            "save_steps: 2",
            "save_total_limit: 2",
            "spectrum_steps: 3",
            "divergence_steps: 3",
            "logging_steps: 0",
            ""));
  }

  /** Rewrites the tokenizer: ^ and $ are special, and ^ begins each text if that is wanted. */
  private void special(boolean begins) throws IOException {
    ObjectMapper json = new ObjectMapper();
    Path file = model.resolve("tokenizer.json");
    ObjectNode tokenizer = (ObjectNode) json.readTree(file.toFile());
    ArrayNode added = tokenizer.putArray("added_tokens");
    for (int id = 1; id <= 2; id++) {
      added
          .addObject()
          .put("id", id)
          .put("content", LETTERS.substring(id, id + 1))
          .put("normalized", false)
          .put("special", true);
    }
    tokenizer.set(
        "post_processor",
        json.readTree(
            begins
                ? "{\"type\":\"TemplateProcessing\",\"single\":[{\"SpecialToken\":{\"id\":\"^\",\"type_id\":0}},"
                    + "{\"Sequence\":{\"id\":\"A\",\"type_id\":0}}],\"pair\":[],\"special_tokens\":"
                    + "{\"^\":{\"id\":\"^\",\"ids\":[1],\"tokens\":[\"^\"]}}}"
                : "null"));
    Files.writeString(file, tokenizer.toString());
  }

  /** What all commands make of the problems. */
  private List<Object> results(Path problems, String prompt, String name) throws IOException {
    Path capture = directory.resolve(name + ".safetensors");
    List<CommandRun> runs = new ArrayList<>();
    runs.add(run("generate", model, prompt, "--longest", 6, "--seed", 3));
    runs.add(
        run("eval", model, "--problems", problems, "--completions", 16, "--longest", 2, "--json"));
    runs.add(run("capture", model, "--problems", problems, "--out", capture));
    List<Object> results =
        new ArrayList<>(List.of(runs.get(0).out().replace("^", ""), runs.get(1).out()));
    results.add(Arrays.hashCode(Files.readAllBytes(capture)));
    for (String algorithm : List.of("dapo", "sft")) {
      Path trained = directory.resolve(name + "-" + algorithm);
      List<Object> train = new ArrayList<>(List.of("train", config));
      Map.of(
              "algorithm",
              algorithm,
              "max_steps",
              "1",
              "train_dataset",
              problems.toString(),
              "output_dir",
              trained.toString())
          .forEach((key, value) -> train.addAll(List.of("--set", key + "=" + value)));
      runs.add(run(train.toArray()));
      results.add(Arrays.hashCode(Files.readAllBytes(trained.resolve("model/model.safetensors"))));
    }
    for (CommandRun one : runs) {
      assertThat(one.code()).as(one.err()).isZero();
    }
    return results;
  }

  /** Whether the user or the tokenizer writes the token of the beginning, commands do the same. */
  @Test
  void theTokenizerBeginsTextsInAllCommandsAlike() throws IOException {
    Path plain = directory.resolve("problems.jsonl");
    Path written = directory.resolve("written.jsonl");
    Files.writeString(
        written, Files.readString(plain).replace("{\"prompt\": \"", "{\"prompt\": \"^"));
    special(false);
    List<Object> wanted = results(written, "^stu", "by-hand");
    List<Object> without = results(plain, "stu", "without");
    for (int i = 0; i < wanted.size(); i++) {
      assertThat(without.get(i)).as("result " + i).isNotEqualTo(wanted.get(i));
    }
    special(true);
    assertThat(results(plain, "stu", "by-tokenizer")).isEqualTo(wanted);
    // A chat template writes it, so that the tokenizer must not.
    Files.writeString(model.resolve("tokenizer_config.json"), "{\"bos_token\": \"^\"}");
    Files.writeString(
        model.resolve("chat_template.jinja"), "{{ bos_token }}{{ messages[0].content }}");
    CommandRun chat = run("generate", model, "stu", "--chat", "--longest", 6, "--seed", 3);
    assertThat("stu" + chat.out()).isEqualTo(wanted.get(0));
    Path chats = directory.resolve("chats.jsonl");
    Files.writeString(
        chats,
        Files.readString(plain)
            .replaceAll(
                "\"prompt\": (\"\\\\w+\")",
                "\"messages\": [{\"role\": \"user\", \"content\": $1}]"));
    assertThat(results(chats, "stu", "chats")).isEqualTo(wanted);
  }

  /** The same command can be given again: a run has not begun. */
  @Test
  void whatCannotBeReachedIsNamedBeforeTheRunBegins() throws IOException {
    String port;
    try (ServerSocket socket = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
      port = String.valueOf(socket.getLocalPort());
      for (int i = 0; i < 2; i++) {
        refused(
            run("train", config, "--set", "page_port=" + port),
            "page_port " + port,
            "0 for a free");
      }
    }
    String server = "http://127.0.0.1:" + port;
    for (int i = 0; i < 2; i++) {
      refused(
          run(
              "train",
              config,
              "--set",
              "report_to=mlflow",
              "--set",
              "mlflow_tracking_uri=" + server),
          "MLflow: " + server,
          "refused");
    }
    assertThat(TrainingRun.exists(out)).isFalse();
    refused(run("train", config, "--set", "report_to=mlflow"), "mlflow_tracking_uri");
    refused(
        run("train", config, "--set", "mlflow_tracking_uri=mlruns"),
        "mlflow_tracking_uri: mlruns is not the address of an MLflow server");
  }

  @Test
  void completionsEndWhereTheyAreTold() throws IOException {
    special(true);
    String whole = run("generate", model, "stu", "--longest", 12, "--seed", 5).out().strip();
    String after = whole.substring("stu".length());
    assertThat(after.length()).isGreaterThan(4);
    String stop = after.substring(2, 4);
    CommandRun stopped =
        run(
            "generate",
            model,
            "stu",
            "--longest",
            12,
            "--seed",
            5,
            "--stop-strings",
            "not there",
            "--stop-strings",
            stop);
    // It may begin in the prompt, but not end there.
    assertThat(stopped.out().strip()).isEqualTo(whole.substring(0, whole.indexOf(stop, 2) + 2));
    Files.writeString(
        model.resolve("generation_config.json"),
        "{\"eos_token_id\": [" + LETTERS.indexOf(after.charAt(0)) + "]}");
    assertThat(run("generate", model, "stu", "--longest", 12, "--seed", 5).out().strip())
        .isEqualTo("stu");
    refused(run("generate", model, "a", "--stop-strings", ""), "--stop-strings");
    refused(run("generate", model, "a", "--min-p", 2), "min_p must be from 0 to 1");
    refused(run("generate", model, "a", "--repetition-penalty", 0), "must be above 0");
    refused(run("train", config, "--set", "stop_strings=[a, '']"), "stop_strings");
    refused(run("train", config, "--set", "min_p=-1"), "min_p is -1");
  }

  private static List<JsonNode> metrics(Path run) throws IOException {
    List<JsonNode> rows = lines(run.resolve("metrics.jsonl"));
    Glossary glossary = Glossary.read();
    assertThat(rows)
        .flatMap(row -> row.properties().stream().map(Map.Entry::getKey).toList())
        .as("docs/glossary.md explains each metric")
        .allMatch(glossary::hasMetric);
    return rows;
  }

  private static List<JsonNode> lines(Path file) throws IOException {
    ObjectMapper json = new ObjectMapper();
    List<JsonNode> rows = new ArrayList<>();
    for (String line : Files.readAllLines(file)) {
      rows.add(json.readTree(line));
    }
    return rows;
  }

  @Test
  void aModelIsTrainedMeasuredEvaluatedAndAsked() throws IOException {
    Path problems = directory.resolve("problems.jsonl");
    CommandRun run =
        run("train", config, "--set", "eval_dataset=" + problems, "--set", "max_steps=60");
    assertThat(run.err()).isEmpty();
    assertThat(run.code()).isZero();
    assertThat(run.out()).contains("step 0: pass@1 0.", "step 60: pass@1 0.", "threegate compare");
    List<JsonNode> rows = metrics(out);
    double before = rows.get(0).path("pass@1").asDouble();
    double after = rows.get(rows.size() - 1).path("pass@1").asDouble();
    assertThat(after).isGreaterThan(before + 0.2);
    assertThat(rows).anyMatch(row -> row.path("divergence/kl_per_token").asDouble() > 0.01);
    // It is measured in every third step, except in steps that change no weight.
    assertThat(rows.stream().filter(row -> row.has("geometry/nss/norm-matched")).count())
        .isBetween(12L, 20L);
    try (Stream<Path> states = Files.list(out.resolve("checkpoints"))) {
      assertThat(states.map(path -> path.getFileName().toString()))
          .containsExactlyInAnyOrder("state-00000058.safetensors", "state-00000060.safetensors");
    }
    CommandRun evaluated =
        run(
            "eval",
            out.resolve("model"),
            "--problems",
            problems,
            "--longest",
            1,
            "--k",
            "1,8",
            "--json");
    assertThat(evaluated.err()).isEmpty();
    JsonNode rates = new ObjectMapper().readTree(evaluated.out());
    assertThat(rates.path("pass@1").path("value").asDouble()).isGreaterThan(before + 0.2);
    assertThat(rates.path("pass@1").path("low").asDouble())
        .isLessThan(rates.path("pass@1").path("value").asDouble());
    CommandRun asked =
        run("generate", out.resolve("model"), "tb", "uc", "--longest", 1, "--completions", 2);
    assertThat(asked.out().lines()).hasSize(4).allMatch(line -> line.matches("(tb|uc).{0,1}"));
    assertThat(
            run("generate", out.resolve("model"), "tb", "uc", "--longest", 1, "--completions", 2))
        .isEqualTo(asked);
    Path capture = directory.resolve("capture.safetensors");
    CommandRun captured =
        run("capture", model, "--problems", problems, "--include", "up_proj", "--out", capture);
    assertThat(captured.out())
        .contains("21 sequences, true", "entries in 2 of 2 tensors are captured")
        .contains("not captured, not selected: model.embed_tokens.weight, ");
    captured = run("capture", model, "--problems", problems, "--include", "e", "--out", capture);
    assertThat(captured.out())
        .contains("not captured, left out (it is not a linear layer): model.embed_tokens.weight, ");
    captured =
        run("capture", model, "--problems", problems, "--include", "up_proj", "--out", capture);
    assertThat(captured.code()).isZero();
    CommandRun curvature =
        run(
            "curvature",
            capture,
            "--base",
            model,
            "--tuned",
            out.resolve("model"),
            "--out",
            directory.resolve("curvature"));
    assertThat(curvature.err()).isEmpty();
    assertThat(curvature.code()).isZero();
    refused(
        run("capture", model, "--problems", problems, "--include", "none", "--out", capture),
        "no linear layer is selected");
    // Other commands can read the model that training writes.
    CommandRun compared =
        run(
            "compare",
            model,
            out.resolve("model"),
            "--nulls",
            "none",
            "--out",
            directory.resolve("report"));
    assertThat(compared.code()).isZero();
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "grpo",
        "dr_grpo",
        "gspo",
        "cispo",
        "sapo",
        "luspo",
        "vespo",
        "rloo",
        "reinforce_plus_plus",
        "rejection_sampling",
        "sft"
      })
  void everyAlgorithmRuns(String algorithm) throws IOException {
    CommandRun run =
        run(
            "train",
            config,
            "--set",
            "algorithm=" + algorithm,
            "--set",
            "beta=0.001",
            "--set",
            "dtype=bfloat16",
            "--set",
            "lr_scheduler_type=cosine",
            "--set",
            "gradient_checkpointing=true",
            "--set",
            "max_steps=3");
    assertThat(run.err()).isEmpty();
    assertThat(run.code()).isZero();
    assertThat(metrics(out)).anyMatch(row -> row.has("loss"));
  }

  @ParameterizedTest
  @ValueSource(strings = {"lora", "pissa", "milora", "olora", "geora"})
  void adaptersAreTrainedAndUsed(String kind) throws IOException {
    CommandRun run =
        run(
            "train",
            config,
            "--set",
            "use_peft=true",
            "--set",
            "init_lora_weights=" + kind,
            "--set",
            "lora_r=2");
    assertThat(run.err()).isEmpty();
    assertThat(run.out()).contains("adapter: " + out.resolve("adapter"));
    assertThat(
            new ObjectMapper()
                .readTree(out.resolve("adapter/adapter_config.json").toFile())
                .path("base_model_name_or_path")
                .asText())
        .isEqualTo(model.toString());
    CommandRun compared =
        run(
            "compare",
            model,
            out.resolve("adapter"),
            "--nulls",
            "none",
            "--out",
            directory.resolve("report"));
    assertThat(compared.err()).isEmpty();
    assertThat(compared.code()).isZero();
    CommandRun asked =
        run("generate", model, "tb", "--adapter", out.resolve("adapter"), "--longest", 1);
    assertThat(asked.out()).startsWith("tb");
  }

  @Test
  void masksHoldWeightsWhereTheyAre() throws IOException {
    Path mask = directory.resolve("mask.safetensors");
    assertThat(run("mask", model, "--kind", "safe", "--out", mask, "--include", "up_proj").code())
        .isZero();
    CommandRun run =
        run("train", config, "--set", "weight_mask=" + mask, "--set", "observed_matrices=up_proj");
    assertThat(run.err()).isEmpty();
    assertThat(run.out())
        .contains("weights have no mask and may move everywhere: model.embed_tokens.weight, ");
    double changed =
        metrics(out).stream()
            .filter(row -> row.has("geometry/changed"))
            .reduce((first, second) -> second)
            .orElseThrow()
            .path("geometry/changed")
            .asDouble();
    // At this learning rate, all weights that the mask selects change.
    assertThat(changed).isBetween(0.5, 0.95);
    refused(
        run(
            "train",
            config,
            "--set",
            "weight_mask=" + mask,
            "--set",
            "use_peft=true",
            "--set",
            "output_dir=" + out + "2"),
        "weight_mask: cannot be combined with use_peft");
  }

  /** Masks, measurements, patches and files are of every tensor, whatever the family. */
  @ParameterizedTest
  @ValueSource(
      strings = {
        "gemma3",
        "gpt-oss",
        "qwen3-moe",
        "qwen3-moe-fused",
        "qwen3-5",
        "qwen3-5-moe",
        "qwen3-next"
      })
  void everyFamilyTrainsWithMasks(String family) throws IOException {
    for (String file : List.of("config.json", "model.safetensors")) {
      Files.copy(
          FIXTURE.resolveSibling(family).resolve(file),
          model.resolve(file),
          StandardCopyOption.REPLACE_EXISTING);
    }
    Path mask = directory.resolve("mask.safetensors");
    String some = "mlp|q_proj|in_proj|out_proj";
    assertThat(run("mask", model, "--kind", "safe", "--out", mask, "--include", some).code())
        .isZero();
    CommandRun run =
        run(
            "train",
            config,
            "--set",
            "weight_mask=" + mask,
            "--set",
            "observed_matrices=" + some,
            "--set",
            "patch_steps=3");
    assertThat(run.err()).isEmpty();
    assertThat(run.code()).isZero();
    double changed =
        metrics(out).stream()
            .filter(row -> row.has("geometry/changed"))
            .reduce((first, second) -> second)
            .orElseThrow()
            .path("geometry/changed")
            .asDouble();
    assertThat(changed).isBetween(0.3, 0.95);
    CommandRun compared =
        run(
            "compare",
            model,
            out.resolve("model"),
            "--nulls",
            "none",
            "--out",
            directory.resolve("report"));
    assertThat(compared.code()).isZero();
    assertThat(compared.err()).isEmpty();
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "lerning_rate=1 | --set: there is no key \"lerning_rate\"; did you mean \"learning_rate\"?",
        "sampling.temprature=1 | did you mean \"temperature\"?",
        "max_steps=many | --set: max_steps is \"many\"; it must be a whole number",
        "max_steps=1.5 | it must be a whole number",
        "max_steps=0 | max_steps is 0; it must be 1 to",
        "device=tpu | device: \"tpu\" is not a device",
        "dtype=int8 | dtype is \"int8\"; it must be one of float32, bfloat16",
        "algorithm=ppo | algorithm is \"ppo\"; it must be one of none, dapo, grpo",
        "init_lora_weights=dora | init_lora_weights is \"dora\"; it must be one of lora, pissa",
        "observed_matrices=( | observed_matrices: \"(\" is not a valid regular expression",
        "observed_matrices=none | observed_matrices: no matrix is selected",
        "model_name_or_path=/nowhere | /nowhere",
        "model_name_or_path= | model_name_or_path is missing in the configuration",
        "train_dataset=/nowhere.jsonl | /nowhere.jsonl: no such file",
        "max_prompt_length=1 | no problem has a prompt of 1 to 1 tokens",
        "environment=chess | environment: \"chess\" is not an environment",
        "environment=class:no.Such | there is no class no.Such; add it to the class path",
        "environment=class:java.lang.String | an environment must be a public class that implements",
        "max_tool_calling_iterations=1 | it must be left out without an environment",
        "weight_mask=/nowhere.safetensors | /nowhere.safetensors",
        "adam_beta1=2 | adam_beta1 is 2.0; it must be 0 or more, and below 1",
        "max_steps | --set max_steps: not of the form KEY=VALUE",
        "'max_steps=[' | invalid YAML"
      })
  void whatIsWrongIsSaidInALine(String change, String message) {
    refused(run("train", config, "--set", change), message);
  }

  @Test
  void filesThatAreWrongAreRefused() throws IOException {
    refused(run("train"), "a configuration is missing");
    refused(run("train", directory.resolve("none.yaml")), "none.yaml: no such file");
    Path other = directory.resolve("other.yaml");
    Files.writeString(other, "- a list");
    refused(run("train", other), "other.yaml: must be a mapping");
    Files.writeString(other, Files.readString(config) + "\nsampling:\n  prompt: 3\n");
    refused(run("train", other), "other.yaml: there is no key \"sampling\"");
    Files.writeString(other, Files.readString(config) + "\nwarmup_steps: 3\n");
    refused(run("train", other), "other.yaml: warmup_steps is 3", "constant_with_warmup");
    Path problems = directory.resolve("problems.jsonl");
    refused(run("eval", model, "--problems", problems, "--k", "9"), "--k 9");
    refused(
        run("eval", model, "--problems", problems, "--verifier", "none"),
        "is not a reward function");
    refused(
        run("eval", model, "--problems", problems, "--environment", "chess"),
        "--environment: \"chess\" is not an environment; the environments are calculator");
    refused(
        run("eval", model, "--problems", problems, "--max-tool-calling-iterations", "1"),
        "--max-tool-calling-iterations 1: must be 0 or more, and needs --environment");
    refused(
        run("train", config, "--set", "environment=calculator", "--set", "reward_funcs=[]"),
        "reward_funcs is []; the environment calculator has no rewards of its own");
    refused(run("generate", model, "a", "--temperature", "-1"), "--temperature");
    refused(
        run("train", config, "--set", "use_peft=true", "--set", "lora_target_modules=[x_proj]"),
        "lora_target_modules: no linear layer matches the targets [x_proj]");
    assertThat(run("train", "--example").out()).isEqualTo(TrainingConfigs.example());
    for (String command : List.of("train", "eval", "generate", "capture")) {
      CommandRun help = run(command, "--help");
      assertThat(help.code()).isZero();
      assertThat(help.out()).contains("Examples:").doesNotContain("%n");
      assertThat(help.err()).isEmpty();
    }
    // Training does not overwrite an earlier run.
    assertThat(run("train", config, "--set", "max_steps=2").code()).isZero();
    refused(run("train", config), "already holds a run; continue it with --resume");
    refused(
        run("train", config, "--set", "seed=6", "--resume"),
        "the state belongs to another run: seed was 5 and is 6");
    refused(
        run("train", config, "--set", "max_steps=1", "--resume"),
        "max_steps is 1; the run has already taken 2 steps");
    refused(run("train", config, "--set", "eval_steps=1"), "eval_steps is 1", "eval_dataset");
  }

  /** Runs with evaluations after each step, which end early after the third one. */
  private CommandRun evaluated(Path output, String... changes) {
    List<Object> arguments = new ArrayList<>(List.of("train", config));
    for (String change :
        List.of(
            "output_dir=" + output,
            "eval_steps=1",
            "num_generations_eval=4",
            "load_best_model_at_end=true",
            "early_stopping_patience=3",
            "early_stopping_threshold=2",
            "log_completions=true")) {
      arguments.addAll(List.of("--set", change));
    }
    arguments.addAll(List.of((Object[]) changes));
    return run(arguments.toArray());
  }

  /** Stops after the second of two evaluations, and lowers the rate after the first of them. */
  private static final class Patient implements TrainingCallback {
    private int evaluations;

    @Override
    public Decision after(TrainingEvent event) {
      if (!(event instanceof TrainingEvent.Measured)) {
        return Decision.GO_ON;
      }
      return ++evaluations == 2
          ? Decision.learningRate(1e-4)
          : evaluations == 3 ? Decision.stop("enough evaluations") : Decision.GO_ON;
    }

    @Override
    public Map<String, String> state() {
      return Map.of("evaluations", Integer.toString(evaluations));
    }

    @Override
    public void restore(Map<String, String> state) {
      evaluations = Integer.parseInt(state.get("evaluations"));
    }
  }

  /** Runs with a callback, and cancels the run after a step; -1 for never. */
  private TrainingRun.Result called(Path output, long cancelledAt) throws IOException {
    TrainingConfig settings =
        TrainingConfigs.read(
            config,
            Map.of(
                "output_dir", output.toString(),
                "max_steps", "9",
                "save_steps", "100",
                "spectrum_steps", "0",
                "divergence_steps", "0",
                "eval_steps", "2",
                "num_generations_eval", "2",
                "load_best_model_at_end", "true",
                "eval_dataset", directory.resolve("problems.jsonl").toString()),
            "options");
    try (Context context = Context.open();
        Control control = Control.open(context);
        TrainingRun run = TrainingRun.open(context, control, settings, true)) {
      return run.run(
          TrainingRun.Listener.NONE,
          List.of(
              event -> {
                if (event.step() == cancelledAt) {
                  control.cancel();
                }
              }),
          List.of(new Patient()));
    }
  }

  @Test
  void callbacksStopARunAndSetItsRate() throws IOException {
    Path whole = directory.resolve("whole");
    TrainingRun.Result result = called(whole, -1);
    // There is an evaluation before the first step. The best model is not always the last one.
    assertThat(result.steps()).isEqualTo(4);
    assertThat(result.stopReason()).contains("enough evaluations");
    assertThat(result.path()).isEqualTo(whole.resolve("model"));
    assertThat(
            metrics(whole).stream()
                .filter(row -> row.has("learning_rate"))
                .map(row -> row.path("learning_rate").asDouble()))
        .containsExactly(1e-2, 1e-2, 1e-4, 1e-4);
    for (long step : new long[] {2, 3}) {
      out = directory.resolve("cancelled" + step);
      assertThatThrownBy(() -> called(out, step)).isInstanceOf(CancelledException.class);
      assertThat(called(out, -1).stopReason()).contains("enough evaluations");
      for (String file : List.of("metrics.jsonl", "model/model.safetensors")) {
        assertThat(Files.mismatch(out.resolve(file), whole.resolve(file))).as(file).isEqualTo(-1);
      }
    }
    // The run has ended. It stays as it is when it is resumed.
    assertThat(called(out, -1))
        .isEqualTo(new TrainingRun.Result(out.resolve("model"), 4, result.stopReason()));
  }

  /** A finished run goes on elsewhere, and writes what a run writes that was as long at once. */
  @Test
  void aRunIsExtendedAndMoved() throws IOException {
    Path problems = directory.resolve("problems.jsonl");
    String tested = "eval_dataset=" + problems;
    Path whole = directory.resolve("whole");
    CommandRun once = evaluated(whole, "--set", tested);
    assertThat(once.err()).isEmpty();
    assertThat(once.out()).contains("step 3: the run ends early; the evaluation after step ");
    assertThat(metrics(whole).stream().filter(row -> row.has("pass@4/high"))).hasSize(4);
    assertThat(lines(whole.resolve("completions.jsonl"))).hasSize(3 * 6 * 24);
    assertThat(lines(whole.resolve("timings.jsonl")))
        .hasSize(3)
        .allMatch(row -> row.path("tokens_per_second").asDouble() > 0);
    assertThat(evaluated(out, "--set", tested, "--set", "max_steps=2").err()).isEmpty();
    Path elsewhere = Files.createDirectory(directory.resolve("elsewhere"));
    Path moved = Files.move(out, elsewhere.resolve("moved"));
    Files.move(model, elsewhere.resolve("base"));
    Path data = Files.move(problems, elsewhere.resolve("data.jsonl"));
    Files.setLastModifiedTime(data, FileTime.fromMillis(0));
    String[] there = {
      "--set", "model_name_or_path=" + elsewhere.resolve("base"),
      "--set", "train_dataset=" + data,
      "--set", "eval_dataset=" + data,
      "--resume"
    };
    assertThat(evaluated(moved, there).err()).isEmpty();
    for (String file : List.of("metrics.jsonl", "completions.jsonl", "model/model.safetensors")) {
      assertThat(Files.mismatch(moved.resolve(file), whole.resolve(file))).as(file).isEqualTo(-1);
    }
    Files.writeString(data, "\n", StandardOpenOption.APPEND);
    refused(
        evaluated(moved, there),
        "another run: eval_dataset has other contents; train_dataset has other contents");
  }

  /** Steps that spoil the model leave the best one, which is that before training. */
  @Test
  void theBestModelIsTheResult() throws IOException {
    String tested = "eval_dataset=" + directory.resolve("problems.jsonl");
    CommandRun spoilt =
        evaluated(out, "--set", tested, "--set", "learning_rate=100", "--set", "max_steps=2");
    assertThat(spoilt.err()).isEmpty();
    List<Double> rates =
        metrics(out).stream()
            .filter(row -> row.has("pass@1"))
            .map(row -> row.path("pass@1").asDouble())
            .toList();
    assertThat(rates.subList(1, 3)).allMatch(rate -> rate <= rates.get(0));
    Path still = directory.resolve("still");
    run(
        "train",
        config,
        "--set",
        "output_dir=" + still,
        "--set",
        "learning_rate=1e-30",
        "--set",
        "max_steps=1");
    assertThat(
            Files.mismatch(
                out.resolve("model/model.safetensors"), still.resolve("model/model.safetensors")))
        .isEqualTo(-1);
  }

  /** A second process applies the published patches and ends with the final model of the run. */
  @Test
  void samplersFollowByPatches() throws Exception {
    Path served = directory.resolve("served");
    Process sampler =
        start(
            List.of(),
            List.of("patch", "follow", out.resolve("versions").toString(), served.toString()));
    CommandRun run = run("train", config, "--set", "patch_steps=1", "--set", "max_steps=5");
    assertThat(run.err()).isEmpty();
    assertThat(metrics(out)).noneMatch(row -> row.has("patch/version"));
    List<JsonNode> published = lines(out.resolve("patches.jsonl"));
    assertThat(published).isNotEmpty();
    assertThat(published.get(0).path("patch/version").asLong()).isEqualTo(2);
    assertThat(published.get(0).path("patch/share_of_model").asDouble()).isBetween(0.01, 3.0);
    String last = served + ": version " + (1 + published.size());
    while (sampler.isAlive() && !log().contains(last)) {
      Thread.sleep(20);
    }
    sampler.destroy();
    assertThat(log().lines()).allMatch(line -> line.startsWith(served + ": version "));
    assertThat(log()).contains(last);
    sampler.waitFor();
    assertThat(served.resolve("config.json")).exists();
    assertThat(served.resolve("tokenizer.json")).exists();
    assertThat(
            run("patch", "follow", out.resolve("versions"), directory.resolve("late"), "--once")
                .out())
        .contains("late: version " + (1 + published.size()));
    assertThat(
            Files.mismatch(
                served.resolve("model.safetensors"), out.resolve("model/model.safetensors")))
        .isEqualTo(-1);
    refused(
        run(
            "train",
            config,
            "--set",
            "patch_steps=1",
            "--set",
            "patch_format=zip",
            "--set",
            "output_dir=" + out + "2"),
        "patch_format is \"zip\"; it must be one of");
  }

  @Test
  void conversationsGoThroughTheTemplate() throws IOException {
    Path chat = directory.resolve("chat.jsonl");
    Files.writeString(
        chat, "{\"messages\": [{\"role\": \"user\", \"content\": \"a\"}], \"answer\": \"b\"}\n");
    refused(
        run("eval", model, "--problems", chat, "--longest", 1), "no chat template; write prompts");
    Files.writeString(
        model.resolve("chat_template.jinja"),
        "{% for message in messages %}{{ 's' + message.content }}{% endfor %}");
    CommandRun evaluated =
        run("eval", model, "--problems", chat, "--longest", 1, "--longest-prompt", 2);
    assertThat(evaluated.err()).isEmpty();
    assertThat(evaluated.out()).contains("1 problems, 8 completions each");
    assertThat(
            run("train", config, "--set", "train_dataset=" + chat, "--set", "max_steps=2").code())
        .isZero();
    assertThat(out.resolve("model/chat_template.jinja")).exists();
  }

  @Test
  void argumentsReachTheTemplate() throws IOException {
    Path chat = directory.resolve("chat.jsonl");
    Files.writeString(
        chat, "{\"messages\": [{\"role\": \"user\", \"content\": \"a\"}], \"answer\": \"b\"}\n");
    Files.writeString(
        model.resolve("chat_template.jinja"),
        "{% if mode is undefined or messages[0].role != 'system' or mode.x != 1 %}{{ raise_exception('bare') }}{% endif %}"
            + "{{ messages[0].content }}{{ messages[1].content }}{{ strftime_now('') }}");
    List<Object> evaluate = List.of("eval", model, "--problems", chat, "--longest", 1);
    refused(run(evaluate.toArray()), "chat_template.jinja: the chat template fails: line 1: bare");
    List<Object> given = new ArrayList<>(evaluate);
    given.addAll(List.of("--system", "s", "--template-argument", "mode={\"x\": 1}"));
    assertThat(run(given.toArray()).code()).isZero();
    given.set(given.size() - 1, "mode=no");
    refused(run(given.toArray()), "--template-argument mode=no: not JSON");
    given.set(given.size() - 1, "messages=[]");
    refused(run(given.toArray()), "\"messages\" cannot be an argument");
    given.set(given.size() - 1, "mode");
    refused(run(given.toArray()), "not of the form NAME=JSON");

    refused(run("generate", model, "a", "--system", "s"), "add --chat");
    assertThat(
            run(
                    "generate",
                    model,
                    "a",
                    "--chat",
                    "--system",
                    "s",
                    "--template-argument",
                    "mode={\"x\":1}",
                    "--longest",
                    1)
                .code())
        .isZero();

    List<Object> train =
        List.of("train", config, "--set", "train_dataset=" + chat, "--set", "max_steps=2");
    refused(run(train.toArray()), "line 1: bare");
    List<Object> set = new ArrayList<>(train);
    set.addAll(List.of("--set", "system_prompt=s", "--set", "chat_template_kwargs.mode={x: 1}"));
    assertThat(run(set.toArray()).code()).isZero();
    assertThat(out.resolve("config.yaml"))
        .content()
        .contains("chat_template_date: \"" + LocalDate.now().getYear());
  }

  /** A model is trained and evaluated in an environment, which is named and told apart. */
  @Test
  void completionsHaveSeveralTurnsInAnEnvironment() throws IOException {
    Path problems = directory.resolve("problems.jsonl");
    List<Object> train = new ArrayList<>(List.of("train", config));
    for (String change : TURNS) {
      train.addAll(List.of("--set", change));
    }
    train.addAll(
        List.of(
            "--set",
            "eval_dataset=" + problems,
            "--set",
            "max_steps=40",
            "--set",
            "num_generations=12",
            "--set",
            "geometry_steps=0",
            "--set",
            "num_generations_eval=4",
            "--set",
            "num_completions_to_print=8",
            "--set",
            "logging_steps=40",
            "--set",
            "reward_funcs=[]"));
    CommandRun run = run(train.toArray());
    assertThat(run.err()).contains("  completion:", "  environment:\n    t");
    assertThat(run.code()).isZero();
    List<JsonNode> rows = metrics(out);
    double before = rows.get(0).path("pass@1").asDouble();
    assertThat(rows.get(rows.size() - 1).path("pass@1").asDouble()).isGreaterThan(before + 0.2);
    JsonNode step =
        rows.stream()
            .filter(row -> row.path("event").asText().equals("step"))
            .findFirst()
            .orElseThrow();
    assertThat(step.path("environment/turns/mean").asDouble()).isBetween(1.5, 2.5);
    assertThat(step.path("environment/tokens/mean").asDouble()).isBetween(1.0, 3.0);
    assertThat(step.path("environment/wanted/mean").asDouble()).isBetween(1.5, 2.5);
    assertThat(step.path("environment/failed_ratio").asDouble()).isZero();
    assertThat(step.path("rewards/TrainingCommandsTest$Repeated/mean").asDouble())
        .isEqualTo(step.path("reward").asDouble());
    List<JsonNode> turns = new ArrayList<>();
    for (String line : Files.readAllLines(out.resolve("completions.jsonl"))) {
      JsonNode own = new ObjectMapper().readTree(line);
      StringBuilder text = new StringBuilder();
      own.path("turns").forEach(turn -> text.append(turn.path("text").asText()));
      assertThat(own.has("turns") ? text.toString() : own.path("completion").asText())
          .isEqualTo(own.path("completion").asText());
      own.path("turns").forEach(turns::add);
    }
    assertThat(turns).anyMatch(turn -> turn.path("environment").asBoolean());
    assertThat(turns)
        .filteredOn(turn -> turn.path("environment").asBoolean())
        .allMatch(turn -> turn.path("text").asText().matches("t[a-u]"));
    List<Object> evaluate =
        List.of(
            "eval",
            out.resolve("model"),
            "--problems",
            problems,
            "--environment",
            TURNS.get(0).substring("environment=".length()),
            "--max-tool-calling-iterations",
            2,
            "--longest",
            8,
            "--k",
            "1,8");
    CommandRun evaluated = run(evaluate.toArray());
    assertThat(evaluated.err()).isEmpty();
    assertThat(evaluated.out())
        .contains("pass@8", "turns of the model: ", "completions cut off: 0, scored 0");
    List<Object> json = new ArrayList<>(evaluate);
    json.addAll(List.of("--json", "--verifier", "exact"));
    JsonNode rates = new ObjectMapper().readTree(run(json.toArray()).out());
    // The rewards of the environment tell what is right, and not those of the verifier.
    assertThat(rates.path("pass@1").path("value").asDouble()).isGreaterThan(before + 0.2);
    assertThat(rates.path("turns").asDouble()).isBetween(1.5, 2.5);
    assertThat(rates.path("environmentFailed").asInt()).isZero();
    // The countdown fails on problems that are not its own, which are counted.
    CommandRun failed =
        run("eval", model, "--problems", problems, "--environment", "countdown", "--json");
    JsonNode none = new ObjectMapper().readTree(failed.out());
    assertThat(none.path("environmentFailed").asInt()).isEqualTo(21 * 8);
    assertThat(none.path("pass@1").path("value").asDouble()).isZero();
  }

  private Process start(Path output, boolean resume) throws IOException {
    return start(output, resume, List.of());
  }

  /**
   * Starts a long training in a process of its own.
   *
   * @param before a command that runs the training, such as a shell with a limit
   */
  private Process start(Path output, boolean resume, List<String> before) throws IOException {
    List<String> arguments =
        new ArrayList<>(
            List.of(
                "train",
                config.toString(),
                "--set",
                "output_dir=" + output,
                "--set",
                "max_steps=" + STEPS,
                "--set",
                "spectrum_steps=0",
                "--set",
                "eval_dataset=" + directory.resolve("problems.jsonl"),
                "--set",
                "num_generations_eval=2",
                "--set",
                "eval_steps=30",
                "--set",
                "load_best_model_at_end=true",
                "--set",
                "num_generations=8",
                "--set",
                "save_steps=4"));
    TURNS.forEach(change -> arguments.addAll(List.of("--set", change)));
    if (resume) {
      arguments.add("--resume");
    }
    return start(before, arguments);
  }

  /** Starts a command line in a process of its own. */
  private Process start(List<String> before, List<String> arguments) throws IOException {
    List<String> command = new ArrayList<>(before);
    command.addAll(
        List.of(
            Path.of(System.getProperty("java.home"), "bin", "java").toString(),
            "-cp",
            System.getProperty("java.class.path"),
            "-XX:TieredStopAtLevel=1",
            "-XX:-UsePerfData"));
    // Newer JVMs log a warning if native access is not enabled.
    ManagementFactory.getRuntimeMXBean().getInputArguments().stream()
        .filter(argument -> argument.startsWith("--enable-native-access"))
        .forEach(command::add);
    for (String property :
        List.of("threegate.binding", "threegate.library.path", "threegate.root")) {
      if (System.getProperty(property) != null) {
        command.add("-D" + property + "=" + System.getProperty(property));
      }
    }
    command.add(Main.class.getName());
    command.addAll(arguments);
    return new ProcessBuilder(command)
        .redirectErrorStream(true)
        .redirectOutput(directory.resolve("process.log").toFile())
        .start();
  }

  private String log() throws IOException {
    return Files.readString(directory.resolve("process.log"));
  }

  /** Returns the last step in a file of metrics, or 0 if there is none. */
  private static long step(Path metrics) throws IOException {
    if (!Files.exists(metrics)) {
      return 0;
    }
    String text = Files.readString(metrics);
    int line = text.lastIndexOf("{\"step\":");
    int end = line < 0 ? -1 : text.indexOf(',', line);
    return end < 0 ? 0 : Long.parseLong(text.substring(line + 8, end));
  }

  /**
   * A run that is killed twenty times, or that runs out of disk space, and is resumed writes the
   * same bytes as one that is not interrupted.
   */
  @Test
  void aRunThatIsEndedAndResumedEndsWithTheSameBytes() throws Exception {
    Path whole = directory.resolve("whole");
    assertThat(start(whole, false).waitFor()).isZero();
    Random random = new Random(11);
    Path metrics = out.resolve("metrics.jsonl");
    for (int kill = 1; kill <= KILLS; kill++) {
      Process process = start(out, true);
      if (kill % 4 == 0) {
        // This kill may hit the process while it starts.
        Thread.sleep(random.nextInt(1000));
      } else {
        long wanted = (long) kill * STEPS / (KILLS + 2);
        while (process.isAlive() && step(metrics) < wanted) {
          Thread.sleep(2);
        }
        Thread.sleep(random.nextInt(20));
      }
      assertThat(process.isAlive()).as(log()).isTrue();
      process.destroyForcibly().waitFor();
    }
    assertThat(start(out, true).waitFor()).as(log()).isZero();
    assertSameRun(whole);
    // The limit of file sizes acts like a full disk when the first state is saved.
    out = directory.resolve("full");
    List<String> limited =
        List.of("bash", "-c", "ulimit -f " + FULL_KILOBYTES + "; exec \"$@\"", "bash");
    Process process = start(out, false, limited);
    assertThat(process.waitFor()).as(log()).isEqualTo(2);
    assertThat(log().lines().toList()).hasSize(1);
    assertThat(log()).startsWith("threegate: ").contains("cannot be written", "too large");
    try (Stream<Path> left = Files.walk(out)) {
      assertThat(left).noneMatch(file -> file.getFileName().toString().startsWith(".partial"));
    }
    assertThat(start(out, true).waitFor()).as(log()).isZero();
    assertSameRun(whole);
  }

  private void assertSameRun(Path whole) throws IOException {
    for (String file :
        List.of(
            "metrics.jsonl",
            "completions.jsonl",
            "model/model.safetensors",
            "checkpoints/state-00000300.safetensors")) {
      assertThat(Files.mismatch(out.resolve(file), whole.resolve(file))).as(file).isEqualTo(-1);
    }
  }
}
