package org.threegate.analysis.intervention;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.Map;
import org.threegate.checkpoint.AtomicFiles;
import org.threegate.checkpoint.Checkpoint;
import org.threegate.checkpoint.InvalidInputException;
import org.threegate.checkpoint.SafetensorsFile;
import org.threegate.checkpoint.SafetensorsWriter;
import org.threegate.checkpoint.Tensor;

/** A model directory written anew, some tensors changed. */
final class ModelCopy {
  private static final int CHUNK = 1 << 26;

  private ModelCopy() {}

  /**
   * Files go to a temporary directory that is renamed when all are there.
   *
   * @throws InvalidInputException when the directory exists already
   */
  static void write(Checkpoint model, Map<String, double[]> changed, Path directory)
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
          double[] values = changed.get(tensor.name());
          if (values == null) {
            writer.tensor(tensor.name(), tensor.type(), tensor.shape(), out -> copy(tensor, out));
          } else {
            writer.tensor(
                tensor.name(),
                tensor.type(),
                tensor.shape(),
                TensorValues.bytes(values, tensor.type()));
          }
        }
        writer.write(temporary.resolve(file.path().getFileName().toString()));
      }
      for (Path other : AtomicFiles.list(source)) {
        Path copy = temporary.resolve(other.getFileName().toString());
        if (Files.isRegularFile(other)
            && other.toString().endsWith(".json")
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
    long end = tensor.offset() + tensor.bytes();
    for (long at = tensor.offset(); at < end; at += CHUNK) {
      ByteBuffer part = tensor.file().buffer().slice(at, (int) Math.min(CHUNK, end - at));
      while (part.hasRemaining()) {
        out.write(part);
      }
    }
  }
}
