package org.threegate.rl.run;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.regex.Pattern;
import org.threegate.file.AtomicFiles;
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

  Path timings() {
    return directory.resolve("timings.jsonl");
  }

  Path completions() {
    return directory.resolve("completions.jsonl");
  }

  Path patchMetrics() {
    return directory.resolve("patches.jsonl");
  }

  Path tensorBoard() {
    return directory.resolve("tensorboard");
  }

  /** Returns the file with the identifier of the MLflow run. */
  Path mlflow() {
    return directory.resolve("mlflow.json");
  }

  /** Returns the name of the run. */
  String name() {
    return directory.toAbsolutePath().normalize().getFileName().toString();
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
   * @param identity the identifier of the run, see {@link RunIdentity}
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

  /** Returns the state of the best evaluation. */
  Path best() {
    return states().resolve("best.safetensors");
  }

  /** Saves the state of the best evaluation so far. */
  void saveBest(Trainer trainer, String identity) throws IOException {
    trainer.save(best(), identity);
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

  /** Returns the files of a model other than its weights. */
  static List<Path> description(Path model) {
    return DESCRIPTION.stream().map(model::resolve).filter(Files::isRegularFile).toList();
  }
}
