package org.threegate.rl.run;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.regex.Pattern;
import org.threegate.file.AtomicFiles;
import org.threegate.rl.task.ProblemFile;
import org.threegate.rl.train.Trainer;

/** The files in the directory of a run. */
final class RunFiles {
  private static final Pattern STATE = Pattern.compile("state-(\\d+)\\.safetensors");
  private static final List<String> PARTS =
      List.of("checkpoints", "tensorboard", "versions", "model", "adapter");

  /** Files of a model that are copied together with its weights. */
  private static final List<String> DESCRIPTION =
      List.of(
          "config.json",
          "tokenizer.json",
          "tokenizer_config.json",
          "chat_template.jinja",
          "chat_template.json",
          "special_tokens_map.json",
          "generation_config.json");

  private final Path directory;

  RunFiles(Path directory) {
    this.directory = directory;
  }

  /** Returns the directories that a run writes within its own. */
  List<Path> parts() {
    return PARTS.stream().map(directory::resolve).toList();
  }

  Path config() {
    return directory.resolve("config.yaml");
  }

  Path metrics() {
    return directory.resolve("metrics.jsonl");
  }

  Path patchMetrics() {
    return directory.resolve("patches.jsonl");
  }

  Path tensorBoard() {
    return directory.resolve("tensorboard");
  }

  Path versions() {
    return directory.resolve("versions");
  }

  Path model() {
    return directory.resolve("model");
  }

  Path adapter() {
    return directory.resolve("adapter");
  }

  private Path states() {
    return directory.resolve("checkpoints");
  }

  /** Creates the directories, and deletes what a killed run has left behind. */
  void prepare() throws IOException {
    Files.createDirectories(states());
    AtomicFiles.removeLeftovers(directory);
    AtomicFiles.removeLeftovers(states());
  }

  void writeConfig(TrainingConfig config) throws IOException {
    ByteBuffer bytes =
        ByteBuffer.wrap(TrainingConfigs.yaml(config).getBytes(StandardCharsets.UTF_8));
    AtomicFiles.write(
        config(),
        out -> {
          while (bytes.hasRemaining()) {
            out.write(bytes);
          }
        });
  }

  /**
   * Saves the state of a run.
   *
   * @param trainer the trainer whose state is saved
   * @param identity the identifier of the run, see {@link #identity}
   * @param kept the number of states to keep
   */
  void save(Trainer trainer, String identity, int kept) throws IOException {
    trainer.save(
        states().resolve(String.format(Locale.ROOT, "state-%08d.safetensors", trainer.step())),
        identity);
    List<Path> all = saved();
    for (Path old : all.subList(0, Math.max(0, all.size() - kept))) {
      Files.delete(old);
    }
  }

  /** Returns the saved states in the order of their steps. */
  private List<Path> saved() throws IOException {
    return AtomicFiles.list(states()).stream()
        .filter(file -> STATE.matcher(file.getFileName().toString()).matches())
        .sorted()
        .toList();
  }

  /** Returns the last saved state. */
  Optional<Path> lastState() throws IOException {
    List<Path> all = saved();
    return all.isEmpty() ? Optional.empty() : Optional.of(all.get(all.size() - 1));
  }

  /** Returns the identifier of a run, which must not change when it is resumed. */
  static String identity(TrainingConfig config) throws IOException {
    StringBuilder text = new StringBuilder(TrainingConfigs.identity(config));
    List<Path> files = new ArrayList<>(AtomicFiles.list(config.modelDirectory()));
    files.addAll(ProblemFile.files(config.trainingFile()));
    for (Path file : files.stream().sorted().toList()) {
      text.append(file.getFileName())
          .append(' ')
          .append(Files.size(file))
          .append(' ')
          .append(Files.getLastModifiedTime(file))
          .append('\n');
    }
    return text.toString();
  }

  /** Returns the files of a model other than its weights. */
  static List<Path> description(Path model) {
    return DESCRIPTION.stream().map(model::resolve).filter(Files::isRegularFile).toList();
  }
}
