package org.threegate.checkpoint;

import java.io.IOException;
import java.nio.channels.WritableByteChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.regex.Pattern;
import org.threegate.file.AtomicFiles;
import org.threegate.file.InputFiles;
import org.threegate.run.InvalidInputException;

/**
 * Copies a model directory and changes some of its tensors.
 *
 * <pre>{@code
 * try (Checkpoint model = Checkpoint.open(context, base)) {
 *   ModelCopy.write(model, Map.of(), Path.of("copy"));
 * }
 * }</pre>
 */
public final class ModelCopy {
  private static final long LARGEST_DESCRIPTION = 1L << 28;

  /** Names of configurations, tokenizers, templates, and of the code that comes with a model. */
  private static final Pattern DESCRIPTION =
      Pattern.compile(
          "[^.].*\\.(json|jinja|txt|vocab|model|model\\.v\\d+|tiktoken|bpe|codes|spm|py)");

  private ModelCopy() {}

  /**
   * Writes a copy, which appears when it is complete.
   *
   * @param model an open checkpoint, whose other files are copied from its directory
   * @param changed writers of the bytes of changed tensors, by name; dtypes and shapes stay
   * @param directory a new directory
   * @throws InvalidInputException if the directory exists, or a file is not one of safetensors
   * @throws IOException if a file cannot be read or written
   */
  public static void write(
      Checkpoint model, Map<String, SafetensorsWriter.Data> changed, Path directory)
      throws IOException {
    write(model, changed, directory, copy -> {});
  }

  /**
   * Writes a copy, which appears when it is complete and has passed a check.
   *
   * @param model an open checkpoint, whose other files are copied from its directory
   * @param changed writers of the bytes of changed tensors, by name; dtypes and shapes stay
   * @param directory a new directory
   * @param check receives the finished copy under a temporary name; if it throws, nothing is left
   * @throws InvalidInputException if the directory exists
   * @throws IOException if a file cannot be read or written
   */
  public static void write(
      Checkpoint model,
      Map<String, SafetensorsWriter.Data> changed,
      Path directory,
      AtomicFiles.Filling check)
      throws IOException {
    model.requireSafetensors();
    Path source =
        Files.isDirectory(model.path()) ? model.path() : model.path().toAbsolutePath().getParent();
    AtomicFiles.writeDirectory(
        directory,
        copy -> {
          for (TensorFile file : model.files()) {
            writer(file, changed).write(copy.resolve(file.path().getFileName().toString()));
          }
          copyOthers(source, copy);
          model.check();
          check.fill(copy);
        });
  }

  private static SafetensorsWriter writer(
      TensorFile file, Map<String, SafetensorsWriter.Data> changed) {
    SafetensorsWriter writer = new SafetensorsWriter();
    file.metadata().forEach(writer::metadata);
    for (Tensor tensor : file.tensors()) {
      SafetensorsWriter.Data own = changed.get(tensor.name());
      writer.tensor(
          tensor.name(),
          tensor.type(),
          tensor.shape(),
          own == null ? out -> copy(tensor, out) : own);
    }
    return writer;
  }

  /** Copies configuration, tokenizer and templates. */
  private static void copyOthers(Path source, Path copy) throws IOException {
    for (Path other : AtomicFiles.list(source)) {
      Path to = copy.resolve(other.getFileName().toString());
      if (Files.isRegularFile(other)
          && DESCRIPTION.matcher(other.getFileName().toString()).matches()
          && !Files.exists(to)) {
        InputFiles.check(other, LARGEST_DESCRIPTION); // a sparse file would fill the disk
        Files.copy(other, to);
      }
    }
  }

  private static void copy(Tensor tensor, WritableByteChannel out) throws IOException {
    tensor.file().buffer().writeTo(out, tensor.offset(), tensor.bytes());
  }
}
