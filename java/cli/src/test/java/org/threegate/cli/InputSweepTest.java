package org.threegate.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assertions.assertTimeoutPreemptively;

import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.threegate.checkpoint.SafetensorsWriter;
import org.threegate.checkpoint.TensorType;
import org.threegate.testing.Seeds;
import picocli.CommandLine.Model.ArgSpec;

/** Tests that each command rejects any unusable input file in one line, and without delay. */
class InputSweepTest {
  private static final Duration LONGEST = Duration.ofSeconds(20);

  @TempDir Path directory;
  private Path good;
  private Path problems;
  private Path out;

  @BeforeEach
  void prepare() throws IOException {
    good = directory.resolve("good.safetensors");
    byte[] weights = new byte[2 * 32];
    new SafetensorsWriter()
        .tensor("model.layers.0.self_attn.q_proj.weight", TensorType.BF16, List.of(4L, 8L), weights)
        .write(good);
    problems = directory.resolve("good.jsonl");
    Files.writeString(problems, "{\"prompt\":\"a\",\"answer\":\"b\"}\n");
    out = directory.resolve("out");
  }

  /** Returns paths that are no valid inputs, by a description of each. */
  private Map<String, String> bad() throws IOException, InterruptedException {
    Map<String, String> bad = new LinkedHashMap<>();
    Path pipe = directory.resolve("pipe");
    assertThat(new ProcessBuilder("mkfifo", pipe.toString()).start().waitFor()).isZero();
    bad.put("pipe", pipe.toString());
    bad.put("endless device", "/dev/zero");
    bad.put("empty directory", Files.createDirectory(directory.resolve("nothing")).toString());
    Path sparse = directory.resolve("sparse");
    try (RandomAccessFile file = new RandomAccessFile(sparse.toFile(), "rw")) {
      file.setLength(1L << 40);
    }
    bad.put("terabyte without data", sparse.toString());
    bad.put("missing file", directory.resolve("none").toString());
    bad.put("empty file", Files.createFile(directory.resolve("empty")).toString());
    bad.put("name with a NUL", directory + "/a\0b");
    byte[] noise = new byte[4096];
    Random random = Seeds.random("InputSweepTest");
    random.nextBytes(noise);
    bad.put("noise", Files.write(directory.resolve("noise"), noise).toString());
    bad.put("file in a file", good + "/below");
    bad.put("long name", directory + "/" + "x".repeat(5000));
    return bad;
  }

  private void refused(String what, List<String> line) {
    CommandRun run =
        assertTimeoutPreemptively(LONGEST, () -> CommandRun.of(line.toArray()), what + ": " + line);
    assertThat(run.err()).as(what + ": " + line).hasLineCount(1);
    assertThat(run.err()).as(what + ": " + line).hasSizeLessThan(700);
    run.assertRefused("");
    assertThat(out).doesNotExist();
  }

  static Stream<CommandLines.Command> reading() {
    return CommandLines.all().stream()
        .filter(command -> !command.inputs().isEmpty() && !command.name().equals("train"));
  }

  @ParameterizedTest
  @MethodSource("reading")
  void noInputHangsOrEndsACommand(CommandLines.Command command)
      throws IOException, InterruptedException {
    for (Map.Entry<String, String> one : bad().entrySet()) {
      for (ArgSpec read : command.inputs()) {
        String[] line =
            command.line(
                argument ->
                    Optional.of(
                        argument == read
                            ? Path.of("BAD")
                            : !CommandLines.isInput(argument)
                                ? out
                                : CommandLines.label(argument).equals("--problems")
                                    ? problems
                                    : good));
        refused(
            command + " " + CommandLines.label(read) + " as " + one.getKey(),
            Stream.of(line).map(text -> text.equals("BAD") ? one.getValue() : text).toList());
      }
    }
  }

  @Test
  void noFileOfATrainingHangsOrEndsIt() throws IOException, InterruptedException {
    Path config =
        Files.writeString(
            directory.resolve("run.yaml"),
            "model_name_or_path: "
                + directory.resolve("model")
                + "\ntrain_dataset: "
                + problems
                + "\n");
    for (Map.Entry<String, String> one : bad().entrySet()) {
      refused("configuration as " + one.getKey(), List.of("train", one.getValue()));
      for (String key :
          List.of(
              "model_name_or_path", "train_dataset", "eval_dataset", "weight_mask", "output_dir")) {
        refused(
            key + " as " + one.getKey(),
            List.of(
                "train",
                config.toString(),
                "--set",
                "output_dir=" + out,
                "--set",
                key + "=\"" + one.getValue().replace("\0", "\\0") + "\""));
      }
    }
  }

  /** The journal of an interrupted run is an input, too. */
  @Test
  void noJournalHangsOrEndsACommand() throws IOException, InterruptedException {
    Path journal = directory.resolve(".out.journal");
    for (Map.Entry<String, String> one : bad().entrySet()) {
      if (one.getKey().contains("name") || one.getKey().contains("missing")) {
        continue;
      }
      Files.deleteIfExists(journal);
      Files.createSymbolicLink(journal, Path.of(one.getValue()));
      if (Files.exists(journal)) {
        refused(
            "journal as " + one.getKey(),
            List.of(
                "compare", good.toString(), good.toString(), "--out", out.toString(), "--resume"));
      }
    }
  }

  /** Configurations may be written to exhaust memory, time or the stack. */
  @Test
  void noConfigurationFillsTheMemory() throws IOException {
    String bomb =
        "a: &a [x,x,x,x,x,x,x,x,x,x]\n"
            + Stream.iterate('b', c -> (char) (c + 1))
                .limit(12)
                .map(
                    c ->
                        String.format(
                            "%c: &%c [%s]%n", c, c, ("*" + (char) (c - 1) + ",").repeat(10)))
                .reduce("", String::concat);
    for (String text :
        List.of(
            bomb,
            "[".repeat(100_000),
            "{a: ".repeat(100_000),
            "? ".repeat(100_000),
            "- ".repeat(100_000),
            "a: &a {b: *a}",
            "&a [*a]",
            "x".repeat(900_000) + ": 1",
            "max_steps: 1e999999999",
            "max_steps: " + "9".repeat(10_000),
            "max_steps: 99999999999",
            "learning_rate: .nan",
            "learning_rate: .inf",
            "learning_rate: 1e999",
            "learning_rate: " + "9".repeat(5000),
            "max_steps: !!java.net.URL ['http://localhost']",
            "max_steps: !!javax.script.ScriptEngineManager []",
            "max_steps: 0x" + "f".repeat(900),
            "max_steps: 2001-01-01",
            "max_steps: 0b_",
            "max_steps: 1:60:00",
            "\"\\uD800\": 1",
            "\0",
            "%YAML 9.9\n---\nmax_steps: 1",
            "max_steps: 1\n---\nmax_steps: 2",
            "model_name_or_path: \"a\\0b\"",
            "model_name_or_path: \"\u202e\"\ntrain_dataset: \"\\x1b[2J\"",
            "lora_target_modules: [" + "x,".repeat(100_000) + "]")) {
      Path config = Files.writeString(directory.resolve("bomb.yaml"), text);
      refused(
          text.substring(0, Math.min(40, text.length())),
          List.of("train", config.toString(), "--set", "output_dir=" + out));
    }
  }

  @Test
  void noProblemsFillTheMemory() throws IOException {
    for (String text :
        List.of(
            "{\"prompt\":\"" + "x".repeat(20_000_000) + "\",\"answer\":\"1\"}",
            "[".repeat(100_000),
            "{\"prompt\":".repeat(100_000),
            "{\"prompt\":\"\\u001b[2J\\u202e\"}",
            "{\"prompt\":\"a\",\"answer\":" + "9".repeat(100_000) + "}",
            "{\"prompt\":\"a\",\"answer\":1e999999999}",
            "{\"prompt\":[],\"answer\":1}")) {
      Files.writeString(problems, text);
      refused(
          text.substring(0, Math.min(40, text.length())),
          List.of("eval", good.toString(), "--problems", problems.toString()));
    }
  }

  @Test
  void aPromptIsNoFileOfArguments() throws IOException, InterruptedException {
    refused("an argument file", List.of("generate", good.toString(), "@" + bad().get("pipe")));
  }
}
