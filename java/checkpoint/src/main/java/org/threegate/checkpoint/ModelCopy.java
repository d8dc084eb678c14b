package org.threegate.checkpoint;

import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.Map;

/**
 * A model directory written anew, some tensors changed.
 *
 * <pre>{@code
 * try (Checkpoint model = Checkpoint.open(context, base)) {
 *   ModelCopy.write(model, Map.of(), Path.of("copy"));
 * }
 * }</pre>
 */
public final class ModelCopy {

  private ModelCopy() {}

  /**
   * Files go to a temporary directory that is renamed when all are there.
   *
   * @param changed by the names of tensors, what writes their bytes
   * @throws InvalidInputException when the directory exists already
   */
  public static void write(
      Checkpoint model, Map<String, SafetensorsWriter.Data> changed, Path directory)
      throws IOException {
    Path target = directory.toAbsolutePath().normalize();
    if (Files.exists(target)) {
      throw new InvalidInputException(
          directory + ": exists already; name a new directory with --out");
    }
    Path source =
        Files.isDirectory(model.path()) ? model.path() : model.path().toAbsolutePath().getParent();
    Path temporary =
        target.resolveSibling(
            ".partial-" + target.getFileName() + "-" + ProcessHandle.current().pid());
    Files.createDirectory(temporary);
    try {
      for (SafetensorsFile file : model.files()) {
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
        writer.write(temporary.resolve(file.path().getFileName().toString()));
      }
      for (Path other : AtomicFiles.list(source)) {
        Path copy = temporary.resolve(other.getFileName().toString());
        if (Files.isRegularFile(other)
            && (other.toString().endsWith(".json") || other.toString().endsWith(".jinja"))
            && !Files.exists(copy)) {
          Files.copy(other, copy);
        }
      }
      model.check();
      Files.move(temporary, target, StandardCopyOption.ATOMIC_MOVE);
    } finally {
      AtomicFiles.deleteDirectory(temporary);
    }
  }

  private static void copy(Tensor tensor, FileChannel out) throws IOException {
    tensor.file().buffer().writeTo(out, tensor.offset(), tensor.bytes());
  }
}
