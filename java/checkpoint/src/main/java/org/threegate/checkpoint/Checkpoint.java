package org.threegate.checkpoint;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.stream.Stream;
import org.threegate.file.FileNames;
import org.threegate.file.InputFiles;
import org.threegate.kernel.Context;
import org.threegate.run.InvalidInputException;

/**
 * The tensors of one model: a {@code .safetensors} file, a {@code *.index.json} of shards, or a
 * directory with one of them. Files are mapped; only headers are read.
 *
 * <pre>{@code
 * try (Checkpoint checkpoint = Checkpoint.open(context, Path.of("Qwen2.5-1.5B"))) {
 *   Matrix embedding = checkpoint.tensors().get("model.embed_tokens.weight").matrix();
 *   System.out.println(embedding.rows() + " x " + embedding.columns());
 * }
 * }</pre>
 */
public final class Checkpoint implements AutoCloseable {
  /** File name of an adapter's configuration. */
  public static final String ADAPTER_CONFIG = "adapter_config.json";

  /** File name of an adapter's weights. */
  public static final String ADAPTER_WEIGHTS = "adapter_model.safetensors";

  private final Path path;
  private final List<SafetensorsFile> files;
  private final Map<String, Tensor> tensors;
  private final Optional<ModelConfig> config;

  private Checkpoint(
      Path path,
      List<SafetensorsFile> files,
      Map<String, Tensor> tensors,
      Optional<ModelConfig> config) {
    this.path = path;
    this.files = files;
    this.tensors = tensors;
    this.config = config;
  }

  /**
   * Opens a checkpoint.
   *
   * @param context context that maps the files
   * @param path a safetensors file, an index of shards, or a directory
   * @return the checkpoint, which the caller closes
   * @throws InvalidInputException if there is no such checkpoint, or one of its files is invalid
   */
  public static Checkpoint open(Context context, Path path) {
    if (!Files.exists(path)) {
      throw new InvalidInputException(path + ": no such file or directory");
    }
    Path weights = Files.isDirectory(path) ? weightsOf(path) : path;
    refusePickles(weights);
    Path directory =
        Files.isDirectory(path)
            ? path
            : Optional.ofNullable(path.toAbsolutePath().getParent()).orElse(path);
    List<SafetensorsFile> files = new ArrayList<>();
    try {
      Map<String, Tensor> tensors = new LinkedHashMap<>();
      if (weights.toString().endsWith(".json")) {
        openShards(context, weights, files, tensors);
      } else {
        SafetensorsFile file = SafetensorsFile.open(context, weights);
        files.add(file);
        file.tensors().forEach(tensor -> tensors.put(tensor.name(), tensor));
      }
      return new Checkpoint(path, List.copyOf(files), tensors, ModelConfig.read(directory));
    } catch (RuntimeException e) {
      files.forEach(SafetensorsFile::close);
      throw e;
    }
  }

  /**
   * {@return whether a path is the directory of a LoRA adapter, or its weights}
   *
   * @param path path of a file or directory, which need not exist
   */
  public static boolean isAdapter(Path path) {
    Path directory = Files.isDirectory(path) ? path : path.toAbsolutePath().getParent();
    return directory != null
        && InputFiles.isThere(directory.resolve(ADAPTER_CONFIG))
        && (Files.isDirectory(path)
            ? !Files.exists(path.resolve("model.safetensors"))
                && !Files.exists(path.resolve("model.safetensors.index.json"))
            : path.getFileName().toString().startsWith("adapter_model"));
  }

  private static Path weightsOf(Path directory) {
    for (String name : List.of("model.safetensors.index.json", "model.safetensors")) {
      if (InputFiles.isThere(directory.resolve(name))) {
        return directory.resolve(name);
      }
    }
    List<Path> indexes = matching(directory, ".safetensors.index.json");
    List<Path> single = matching(directory, ".safetensors");
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
    for (String suffix : List.of(".bin", ".pt", ".pth", ".ckpt")) {
      matching(directory, suffix).stream().findFirst().ifPresent(Checkpoint::refusePickles);
    }
    throw new InvalidInputException(
        directory + ": no .safetensors file and no .safetensors.index.json in this directory");
  }

  private static List<Path> matching(Path directory, String suffix) {
    try (Stream<Path> entries = Files.list(directory)) {
      return entries
          .filter(entry -> entry.getFileName().toString().endsWith(suffix))
          .sorted()
          .toList();
    } catch (IOException e) {
      throw new InvalidInputException(directory + ": cannot be listed: " + e.getMessage(), e);
    }
  }

  /** Refuses a pickle by its name, before a byte is read, because reading it can run code. */
  private static void refusePickles(Path path) {
    if (path.toString().matches(".*\\.(bin|pt|pth|ckpt|pkl)(\\.index\\.json)?")) {
      throw new InvalidInputException(
          path
              + ": is a PyTorch pickle, which can run code and is never opened; convert it first, for example with"
              + " transformers: AutoModelForCausalLM.from_pretrained(DIR).save_pretrained(OUT, safe_serialization=True)");
    }
  }

  private static void openShards(
      Context context, Path index, List<SafetensorsFile> files, Map<String, Tensor> tensors) {
    JsonNode map = Json.readObject(index).path("weight_map");
    if (!map.isObject() || map.isEmpty()) {
      throw new InvalidInputException(
          index + ": has no \"weight_map\" with tensors; it is not a safetensors index");
    }
    Path directory = Optional.ofNullable(index.toAbsolutePath().getParent()).orElseThrow();
    Map<String, Map<String, Tensor>> shards = new TreeMap<>();
    map.properties()
        .forEach(
            entry -> {
              String where = index + ": tensor \"" + entry.getKey() + "\"";
              if (!entry.getValue().isTextual()) {
                throw new InvalidInputException(where + ": its file is not a text");
              }
              String shard = FileNames.plain(entry.getValue().asText(), where);
              shards.put(shard, Map.of());
            });
    for (String shard : List.copyOf(shards.keySet())) {
      if (!Files.exists(directory.resolve(shard))) {
        throw new InvalidInputException(
            directory.resolve(shard)
                + ": no such file, though "
                + index.getFileName()
                + " names it");
      }
      SafetensorsFile file = SafetensorsFile.open(context, directory.resolve(shard));
      files.add(file);
      Map<String, Tensor> own = new LinkedHashMap<>();
      file.tensors().forEach(tensor -> own.put(tensor.name(), tensor));
      shards.put(shard, own);
    }
    // In the order of the files, so that they are read from front to back.
    shards.forEach(
        (shard, own) ->
            own.forEach(
                (name, tensor) -> {
                  if (shard.equals(map.path(name).asText())) {
                    tensors.put(name, tensor);
                  }
                }));
    map.fieldNames()
        .forEachRemaining(
            name -> {
              if (!tensors.containsKey(name)) {
                throw new InvalidInputException(
                    index
                        + ": tensor \""
                        + name
                        + "\" is not in "
                        + map.path(name).asText()
                        + ", where it should be");
              }
            });
  }

  /** {@return the path that was opened, as it was given} */
  public Path path() {
    return path;
  }

  /** {@return the tensors by name, in the order of the files} */
  public Map<String, Tensor> tensors() {
    return tensors;
  }

  /** {@return the files, in the order of the index} */
  public List<SafetensorsFile> files() {
    return files;
  }

  /** {@return the {@code config.json} beside the weights, if there is one} */
  public Optional<ModelConfig> config() {
    return config;
  }

  /** {@return the number of elements of all tensors} */
  public long parameters() {
    return tensors.values().stream().mapToLong(Tensor::elements).sum();
  }

  /**
   * Checks that no file has changed since it was opened.
   *
   * @throws InvalidInputException if a file has changed
   */
  public void check() {
    files.forEach(SafetensorsFile::check);
  }

  @Override
  public void close() {
    files.forEach(SafetensorsFile::close);
  }
}
