package org.threegate.checkpoint;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.threegate.file.FileNames;
import org.threegate.file.InputFiles;
import org.threegate.run.InvalidInputException;

/**
 * Finds the weights in a directory of a model. A directory in another layout is refused with the
 * way that leads to weights which can be read.
 */
final class ModelDirectory {
  /** A file of one rank, as verl writes it. */
  static final Pattern RANK = Pattern.compile("model_world_size_(\\d+)_rank_(\\d+)\\.pt");

  /** Files that trainers leave beside the weights. */
  private static final Pattern NOT_WEIGHTS =
      Pattern.compile(
          "(training_args|optimizer|scheduler|scaler|rng_state|random_states|extra_state|optim_|adapter_model"
              + "|trainer_state|common|dataloader|data).*");

  private static final Pattern STEP =
      Pattern.compile("(checkpoint-|global_step_?|step_?-?|iter_|epoch_?-?)\\d+");

  /** Files of DeepSpeed for models that are split in other ways than by ZeRO. */
  private static final Pattern PARALLEL =
      Pattern.compile("^layer_|expp?_rank_|expert_|mp_rank_(?!00_)");

  private static final long LONGEST_REF = 255;
  private static final int SHOWN = 3;
  private static final String ADAPTER = "adapter_model.safetensors";

  private ModelDirectory() {}

  /**
   * Returns the directory with the files of a model: the path itself, or a snapshot if the path is
   * a repository in the cache of Hugging Face.
   */
  static Path resolved(Path directory) {
    Path snapshots = directory.resolve("snapshots");
    String name = String.valueOf(directory.getFileName());
    if (!name.startsWith("models--") || !Files.isDirectory(snapshots)) {
      return directory;
    }
    Path main = directory.resolve("refs/main");
    if (Files.exists(main)) {
      String commit = InputFiles.text(main, LONGEST_REF).strip();
      Path snapshot = snapshots.resolve(FileNames.plain(commit, main.toString()));
      if (Files.isDirectory(snapshot)) {
        return snapshot;
      }
    }
    List<Path> all = list(snapshots).stream().filter(Files::isDirectory).toList();
    if (all.size() == 1) {
      return all.get(0);
    }
    throw new InvalidInputException(
        directory
            + ": has "
            + all.size()
            + " snapshots, and none is refs/main; "
            + (all.isEmpty() ? "download the model again" : "name one below snapshots/"));
  }

  /**
   * Returns the file or the index with the weights.
   *
   * @throws InvalidInputException if there are none, or several
   */
  static Path weights(Path directory) {
    Optional<Path> usual = usual(directory, "model.safetensors");
    if (usual.isPresent()) {
      return usual.get();
    }
    List<Path> indexes = ending(directory, ".safetensors.index.json");
    List<Path> single = ending(directory, ".safetensors");
    if (indexes.size() == 1) {
      return indexes.get(0);
    }
    if (single.size() == 1 && indexes.isEmpty()) {
      return single.get(0);
    }
    if (single.size() > 1) {
      throw new InvalidInputException(
          directory
              + ": "
              + single.size()
              + " .safetensors files and no index; name the file or the index.json");
    }
    return usual(directory, "pytorch_model.bin")
        .or(() -> torch(directory))
        .orElseThrow(() -> other(directory, nothing(directory)));
  }

  /** Returns what a directory without weights holds instead, and what to name. */
  private static String nothing(Path directory) {
    List<String> adapters =
        list(directory).stream()
            .filter(inner -> Files.exists(inner.resolve(ADAPTER)))
            .map(ModelDirectory::name)
            .toList();
    if (adapters.isEmpty()) {
      return "no .safetensors file, no index of shards and no file of torch in this directory"
          + steps(directory);
    }
    return "no weights in this directory, but "
        + (adapters.size() == 1 ? "an adapter in " : "adapters in ")
        + shown(adapters)
        + (adapters.size() == 1 ? "; name that directory" : "; name one of those directories");
  }

  private static String shown(List<String> names) {
    return String.join(", ", names.subList(0, Math.min(SHOWN, names.size())))
        + (names.size() > SHOWN ? ", ..." : "");
  }

  /** Returns the file with the usual name, or its index of shards. */
  private static Optional<Path> usual(Path directory, String file) {
    Optional<Path> index = named(directory, file + ".index.json");
    Optional<Path> whole = named(directory, file);
    if (index.isPresent() && whole.isPresent() && !names(index.get(), file)) {
      throw new InvalidInputException(
          directory
              + ": has "
              + file
              + " and "
              + file
              + ".index.json, which names other files; one of them is left from another model, so"
              + " name the one to read");
    }
    return index.or(() -> whole);
  }

  /** Returns whether an index of shards names a file. */
  private static boolean names(Path index, String file) {
    for (JsonNode shard : Json.readObject(index).path("weight_map")) {
      if (shard.asText().equals(file)) {
        return true;
      }
    }
    return false;
  }

  /** Returns the one file of torch that holds weights, or a file of the first rank. */
  private static Optional<Path> torch(Path directory) {
    refuseOtherLayouts(directory);
    Optional<Path> parallel = distributed(directory).or(() -> zero(directory));
    if (parallel.isPresent()) {
      return parallel;
    }
    List<Path> indexes = ending(directory, ".bin.index.json");
    if (indexes.size() == 1) {
      return Optional.of(indexes.get(0));
    }
    List<Path> files =
        list(directory).stream()
            .filter(file -> TorchFile.isNamed(name(file)))
            .filter(file -> !NOT_WEIGHTS.matcher(file.getFileName().toString()).matches())
            .toList();
    List<Path> ranks = files.stream().filter(file -> RANK.matcher(name(file)).matches()).toList();
    long sizes =
        ranks.stream().map(file -> RANK.matcher(name(file)).replaceFirst("$1")).distinct().count();
    if (sizes > 1 || (files.size() > 1 && ranks.size() < files.size())) {
      throw new InvalidInputException(
          directory
              + ": "
              + files.size()
              + " files of torch, such as "
              + name(files.get(0))
              + " and "
              + name(files.get(files.size() - 1))
              + "; name the one with the weights");
    }
    return files.stream().findFirst();
  }

  /** Refuses layouts of trainers and other programs, with the program that converts them. */
  private static void refuseOtherLayouts(Path directory) {
    if (!ending(directory, ".gguf").isEmpty()) {
      throw other(
          directory,
          "holds GGUF files of llama.cpp; compare the safetensors that they were made from");
    }
    if (!ending(directory, ".distcp").isEmpty() && !isDistributed(directory)) {
      throw other(
          directory,
          "has .distcp files without "
              + DistributedReader.METADATA
              + ", which says what they hold; copy that file, too");
    }
    if (Files.exists(directory.resolve("latest_checkpointed_iteration.txt"))
        || Files.exists(directory.resolve("metadata.json"))
            && Files.exists(directory.resolve("common.pt"))) {
      throw other(
          directory,
          "is a checkpoint of Megatron; export it to Hugging Face's format first, for example with"
              + " Megatron Bridge");
    }
  }

  /** Returns the description of a distributed checkpoint of torch, here or in a directory here. */
  private static Optional<Path> distributed(Path directory) {
    if (isDistributed(directory)) {
      return Optional.of(directory.resolve(DistributedReader.METADATA));
    }
    List<Path> inner =
        list(directory).stream()
            .filter(path -> Files.isDirectory(path) && isDistributed(path))
            .filter(
                path -> !name(path).startsWith("optimizer") && !STEP.matcher(name(path)).matches())
            .toList();
    if (inner.size() > 1) {
      throw other(
          directory,
          "holds the distributed checkpoints "
              + shown(inner.stream().map(ModelDirectory::name).toList())
              + "; name the one of the model");
    }
    return inner.stream().findFirst().map(path -> path.resolve(DistributedReader.METADATA));
  }

  /** Returns a file of DeepSpeed, here or in the directory of the latest step. */
  private static Optional<Path> zero(Path directory) {
    Path latest = directory.resolve("latest");
    Path step = directory;
    if (Files.isRegularFile(latest)) {
      String tag = InputFiles.text(latest, LONGEST_REF).strip();
      step = directory.resolve(FileNames.plain(tag, latest.toString()));
    }
    if (!Files.isDirectory(step)) {
      return Optional.empty();
    }
    List<Path> states = ending(step, "_states.pt");
    for (Path file : states) {
      Matcher parallel = PARALLEL.matcher(name(file));
      if (parallel.find()) {
        throw other(
            step,
            "holds "
                + name(file)
                + ", of a model that is split by tensors, layers or experts, not by ZeRO alone;"
                + " export it with DeepSpeed first");
      }
    }
    return states.stream()
        .filter(file -> ZeroReader.isNamed(name(file)))
        .findFirst()
        .or(
            () ->
                states.stream()
                    .filter(file -> name(file).equals("mp_rank_00_model_states.pt"))
                    .findFirst());
  }

  private static boolean isDistributed(Path directory) {
    return Files.exists(directory.resolve(DistributedReader.METADATA))
        && !ending(directory, ".distcp").isEmpty();
  }

  private static InvalidInputException other(Path directory, String what) {
    return new InvalidInputException(directory + ": " + what);
  }

  /** Returns what to name instead, if the directory holds those of steps or of models. */
  private static String steps(Path directory) {
    List<String> inner =
        list(directory).stream()
            .filter(Files::isDirectory)
            .map(ModelDirectory::name)
            .filter(
                name ->
                    STEP.matcher(name).matches()
                        || name.startsWith("models--")
                        || name.equals("actor"))
            .toList();
    if (inner.isEmpty()) {
      return Files.isDirectory(directory.resolve("hub")) ? "; name a model below hub/" : "";
    }
    return "; name one of those in it: " + shown(inner);
  }

  /** Returns the first file that exists. A broken link counts, so that reading it fails. */
  private static Optional<Path> named(Path directory, String name) {
    return Optional.of(directory.resolve(name)).filter(InputFiles::isThere);
  }

  private static String name(Path path) {
    return path.getFileName().toString();
  }

  private static List<Path> ending(Path directory, String suffix) {
    return list(directory).stream().filter(file -> name(file).endsWith(suffix)).toList();
  }

  private static List<Path> list(Path directory) {
    try (Stream<Path> entries = Files.list(directory)) {
      return entries.sorted().toList();
    } catch (IOException e) {
      throw new InvalidInputException(directory + ": cannot be listed: " + e.getMessage(), e);
    }
  }
}
