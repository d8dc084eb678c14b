package org.threegate.checkpoint;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.regex.Pattern;
import org.threegate.file.InputFiles;
import org.threegate.kernel.Context;
import org.threegate.run.InvalidInputException;

/**
 * The tensors of one model: a {@code .safetensors} file, a file of torch such as {@code
 * pytorch_model.bin}, a {@code *.index.json} of shards, or a directory with one of them, with a
 * distributed checkpoint of torch or with one of DeepSpeed. Files are mapped; only headers are
 * read. Nothing in a file of torch is executed.
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

  /** A name as models have it on Hugging Face. */
  private static final Pattern HUB_NAME = Pattern.compile("[\\w.-]+/[\\w.-]+");

  /** File name of an adapter's weights. */
  public static final String ADAPTER_WEIGHTS = "adapter_model.safetensors";

  private final Path path;
  private final CheckpointContents read;
  private final Optional<ModelConfig> config;

  private Checkpoint(Path path, CheckpointContents read, Optional<ModelConfig> config) {
    this.path = path;
    this.read = read;
    this.config = config;
  }

  /**
   * Opens a checkpoint.
   *
   * @param context context that maps the files
   * @param path a file of safetensors or of torch, an index of shards, or a directory
   * @return the checkpoint, which the caller closes
   * @throws InvalidInputException if there is no such checkpoint, or one of its files is invalid
   */
  public static Checkpoint open(Context context, Path path) {
    if (!Files.exists(path)) {
      throw new InvalidInputException(
          path
              + ": no such file or directory"
              + (HUB_NAME.matcher(path.toString()).matches()
                  ? "; if it is a model of Hugging Face, download it first: hf download " + path
                  : ""));
    }
    Path resolved = Files.isDirectory(path) ? ModelDirectory.resolved(path) : path;
    if (!resolved.equals(path) && isAdapter(resolved)) {
      throw new InvalidInputException(path + ": holds an adapter; name its directory " + resolved);
    }
    Path weights = Files.isDirectory(path) ? ModelDirectory.weights(resolved) : path;
    Path directory =
        Files.isDirectory(path)
            ? resolved
            : Optional.ofNullable(path.toAbsolutePath().getParent()).orElse(path);
    CheckpointContents contents = new CheckpointContents(context);
    try {
      new CheckpointReader(contents).read(weights);
      // verl keeps the configuration in a directory of its own.
      Optional<ModelConfig> config =
          ModelConfig.read(directory).or(() -> ModelConfig.read(directory.resolve("huggingface")));
      return new Checkpoint(resolved, contents, config);
    } catch (RuntimeException e) {
      contents.files().forEach(TensorFile::close);
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

  /** {@return the path that was opened; for a repository of the cache, that of its snapshot} */
  public Path path() {
    return path;
  }

  /** {@return the stored tensors by name, in the order of the files} */
  public Map<String, Tensor> tensors() {
    return Collections.unmodifiableMap(read.tensors());
  }

  /** {@return tensors of which each stored tensor is a part, by name} */
  public Map<String, TensorParts> parts() {
    return Collections.unmodifiableMap(read.parts());
  }

  /** {@return what the files hold beside the tensors of the model: the name, and what it is} */
  public Map<String, String> others() {
    return Collections.unmodifiableMap(read.others());
  }

  /** {@return the files, in the order of the index} */
  public List<TensorFile> files() {
    return Collections.unmodifiableList(read.files());
  }

  /** {@return the {@code config.json} beside the weights, if there is one} */
  public Optional<ModelConfig> config() {
    return config;
  }

  /** {@return the number of elements of all tensors} */
  public long parameters() {
    return tensors().values().stream().mapToLong(Tensor::elements).sum();
  }

  /**
   * Checks that all files are of safetensors, the only format that is written.
   *
   * @throws InvalidInputException if a file is of torch
   */
  public void requireSafetensors() {
    for (TensorFile file : read.files()) {
      if (!(file instanceof SafetensorsFile)) {
        throw new InvalidInputException(
            file.path()
                + ": is a file of torch, which is only read; save the model as safetensors");
      }
    }
  }

  /**
   * Checks that no file has changed since it was opened.
   *
   * @throws InvalidInputException if a file has changed
   */
  public void check() {
    read.files().forEach(TensorFile::check);
  }

  @Override
  public void close() {
    read.files().forEach(TensorFile::close);
  }
}
