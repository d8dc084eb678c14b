package org.threegate.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.CompletableFuture;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.threegate.file.OutputLock;
import picocli.CommandLine.Model.ArgSpec;

/** Tests that no command overwrites its inputs or files that Threegate did not write. */
class OutputGuardTest {
  /** Arguments of text type that are no file names. */
  private static final Set<String> WORDS =
      Set.of(
          "--include",
          "--rename",
          "--system",
          "--template-argument",
          "--exclude",
          "--kind",
          "--layers",
          "--unit",
          "--format",
          "--checksum",
          "--device",
          "--verifier",
          "--environment",
          "--nulls",
          "--set",
          "--stop-strings",
          "--spark",
          "--spark-conf",
          "PROMPT",
          "COMMAND");

  @TempDir Path directory;
  private Path input;
  private Path other;

  @BeforeEach
  void prepare() throws IOException {
    input = model("in");
    other = model("elsewhere/other");
  }

  private Path model(String name) throws IOException {
    Path model = Files.createDirectories(directory.resolve(name));
    Files.writeString(model.resolve("model.safetensors"), "weights of " + name);
    Files.writeString(model.resolve("config.json"), "{}");
    return model;
  }

  /** Returns the contents of all files below the directory, without following links. */
  private Map<String, String> contents() throws IOException {
    Map<String, String> contents = new TreeMap<>();
    try (Stream<Path> files = Files.walk(directory)) {
      for (Path file : files.toList()) {
        contents.put(
            directory.relativize(file).toString(),
            Files.isRegularFile(file, LinkOption.NOFOLLOW_LINKS)
                ? Files.readString(file, StandardCharsets.ISO_8859_1)
                : "");
      }
    }
    return contents;
  }

  private void refused(List<String> line, String... parts) throws IOException {
    Map<String, String> before = contents();
    CommandRun run = CommandRun.of(line.toArray());
    assertThat(run.err()).as(String.join(" ", line)).startsWith("threegate: ").hasLineCount(1);
    run.assertRefused(parts.length > 0 ? parts : new String[] {""});
    if (parts.length == 0) {
      // The guard must refuse it, before a reader finds that the file holds no weights.
      assertThat(run.err())
          .as(String.join(" ", line))
          .matches(
              Pattern.compile(
                  ".*(which is an input; choose another|exists already[;,].*choose|is a file; choose a directory"
                      + "|is a directory; choose a file|files other than results of Threegate).*\\R"));
    }
    assertThat(run.out()).isEmpty();
    assertThat(contents()).as(String.join(" ", line)).isEqualTo(before);
  }

  @Test
  void everyArgumentThatNamesAFileSaysWhetherItIsReadOrWritten() {
    for (CommandLines.Command command : CommandLines.all()) {
      for (ArgSpec argument : command.spec().args()) {
        boolean declared = CommandLines.isInput(argument) ^ CommandLines.kind(argument).isPresent();
        List<Class<?>> types =
            new ArrayList<>(Arrays.asList(argument.typeInfo().getAuxiliaryTypes()));
        types.add(argument.type());
        assertThat(types).doesNotContain(java.io.File.class);
        if (types.contains(Path.class)
            || types.contains(String.class) && !WORDS.contains(CommandLines.label(argument))) {
          assertThat(declared)
              .as(command + " " + CommandLines.label(argument) + ": @Input or @Output")
              .isTrue();
        }
      }
    }
  }

  /** Returns paths that are the input, lie in it, or contain it. */
  private List<Path> places() throws IOException {
    Path link = Files.createSymbolicLink(directory.resolve("link"), input);
    Path file =
        Files.createSymbolicLink(
            directory.resolve("file-link"), input.resolve("model.safetensors"));
    Path hard = directory.resolve("hard-link");
    Files.createLink(hard, input.resolve("model.safetensors"));
    Files.createDirectory(input.resolve("sub"));
    Path deep = Files.createSymbolicLink(directory.resolve("deep-link"), input.resolve("sub"));
    return List.of(
        input,
        input.resolve("model.safetensors"),
        input.resolve("new"),
        input.resolve("new/below/it"),
        input.resolve("sub/../new"),
        directory.resolve("elsewhere/../in/new"),
        link,
        link.resolve("new"),
        deep.resolve("../new"),
        file,
        hard,
        directory);
  }

  static Stream<CommandLines.Command> writing() {
    return CommandLines.writing();
  }

  @ParameterizedTest
  @MethodSource("writing")
  void noOutputTouchesAnInput(CommandLines.Command command) throws IOException {
    List<Path> places = places();
    for (ArgSpec read : command.inputs()) {
      for (Path out : places) {
        refused(
            List.of(
                command.line(
                    argument ->
                        Optional.of(
                            argument == read
                                ? input
                                : CommandLines.isInput(argument) ? other : out))));
      }
    }
  }

  @Test
  void theSettingsOfATrainingAreInputsToo() throws IOException {
    List<Path> places = places();
    Path config = Files.createDirectory(directory.resolve("configs")).resolve("run.yaml");
    Files.writeString(config, "max_steps: 1\n");
    for (String key :
        List.of("model_name_or_path", "train_dataset", "eval_dataset", "weight_mask")) {
      for (Path out : places) {
        refused(
            List.of(
                "train",
                config.toString(),
                "--set",
                key + "=" + input,
                "--set",
                "output_dir=" + out));
      }
    }
    refused(
        List.of("train", config.toString(), "--set", "output_dir=" + config.getParent()),
        "which is an input");
    Path out = Files.createDirectory(directory.resolve("out"));
    Files.createSymbolicLink(out.resolve("model"), input);
    Files.writeString(out.resolve(".threegate"), "");
    refused(
        List.of(
            "train",
            config.toString(),
            "--set",
            "model_name_or_path=" + input,
            "--set",
            "output_dir=" + out),
        "which is an input");
  }

  @Test
  void whatIsChangedInPlaceIsApartFromWhatItIsChangedBy() throws IOException {
    Path inside = Files.createDirectory(input.resolve("versions"));
    for (List<Path> paths :
        List.of(List.of(input, input), List.of(input, inside), List.of(inside, input))) {
      refused(
          List.of("patch", "apply", paths.get(0).toString(), paths.get(1).toString(), "--in-place"),
          "which is an input");
      refused(
          List.of("patch", "follow", paths.get(1).toString(), paths.get(0).toString(), "--once"),
          "which is an input");
    }
  }

  @Test
  void shardsAreReadWithTheirIndex() throws IOException {
    Path index = Files.writeString(input.resolve("model.safetensors.index.json"), "{}");
    refused(
        List.of("mask", index.toString(), "--kind", "low", "--out", input + "/a.safetensors"),
        "lies in");
  }

  static Stream<CommandLines.Command> making() {
    return CommandLines.writing()
        .filter(
            command ->
                CommandLines.kind(command.output().orElseThrow()).orElseThrow()
                    != Output.Kind.IN_PLACE);
  }

  @ParameterizedTest
  @MethodSource("making")
  void whatOthersWroteStays(CommandLines.Command command) throws IOException {
    Path notes = Files.createDirectory(directory.resolve("notes"));
    Files.writeString(notes.resolve("mine.txt"), "mine");
    Files.writeString(notes.resolve("metrics.jsonl"), "mine");
    for (Path out :
        List.of(
            notes.resolve("mine.txt"),
            notes,
            directory.resolve("elsewhere"),
            Path.of("/dev/null"))) {
      refused(
          List.of(
              command.line(argument -> Optional.of(CommandLines.isInput(argument) ? input : out))));
    }
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "report.json={ \"schema\" : 1}",
        "study.json={ \"schema\" : 1}",
        "consensus.html=cut off",
        "metrics.jsonl={\"step\":1}",
        "journal=study StudyOptions[]",
        ".threegate=",
        ".run.lock="
      })
  void aDirectoryOfResultsMayBeWrittenAgain(String file) throws IOException {
    Path results = Files.createDirectory(directory.resolve("results"));
    OutputGuard.check(results, Output.Kind.RESULTS, List.of(input));
    Files.writeString(
        results.resolve(file.substring(0, file.indexOf('='))),
        file.substring(file.indexOf('=') + 1));
    OutputGuard.check(results, Output.Kind.RESULTS, List.of(input));
  }

  /** Takes the lock in another thread, because a thread can take its own lock again. */
  private static OutputLock heldByAnother(Path out) {
    return CompletableFuture.supplyAsync(
            () -> {
              try {
                return OutputLock.ofRun(out);
              } catch (IOException e) {
                throw new UncheckedIOException(e);
              }
            })
        .join();
  }

  @ParameterizedTest
  @MethodSource("writing")
  void aSecondRunToTheSamePlaceIsRefused(CommandLines.Command command) throws IOException {
    Path out = directory.resolve("out");
    List<String> line =
        List.of(
            command.line(argument -> Optional.of(CommandLines.isInput(argument) ? input : out)));
    if (command.name().equals("patch inspect")) {
      return; // It takes no lock, because it writes its file at once.
    }
    try (OutputLock held = heldByAnother(out)) {
      refused(line, held.output() + ": another run is writing it");
    }
  }

  @Test
  void aSecondTrainingToTheSamePlaceIsRefused() throws IOException {
    Path out = Files.createDirectory(directory.resolve("out"));
    Path config = Files.writeString(directory.resolve("run.yaml"), "output_dir: " + out);
    try (OutputLock held = heldByAnother(out)) {
      refused(List.of("train", config.toString()), held.output() + ": another run is writing it");
      Path link = Files.createSymbolicLink(directory.resolve("link"), out);
      refused(
          List.of("train", config.toString(), "--set", "output_dir=" + link),
          "another run is writing it");
    }
    assertThat(directory.resolve(".out.run.lock")).doesNotExist();
  }
}
