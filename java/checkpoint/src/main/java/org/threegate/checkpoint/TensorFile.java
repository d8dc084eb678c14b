package org.threegate.checkpoint;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.function.Function;
import org.threegate.kernel.Context;
import org.threegate.kernel.KernelException;
import org.threegate.kernel.MappedFile;
import org.threegate.run.InvalidInputException;

/** An open file with tensors. Its descriptions have been checked, and its data are mapped. */
public abstract class TensorFile implements AutoCloseable {
  private final MappedFile file;

  TensorFile(MappedFile file) {
    this.file = file;
  }

  /** Maps a file and opens it by a function that checks it. */
  static <T extends TensorFile> T open(
      Context context, Path path, Function<MappedFile, T> opening) {
    if (!Files.exists(path)) {
      throw new InvalidInputException(path + ": no such file");
    }
    MappedFile file;
    try {
      file = MappedFile.open(context, path);
    } catch (KernelException e) {
      throw new InvalidInputException(e.getMessage(), e);
    }
    try {
      return opening.apply(file);
    } catch (KernelException e) {
      file.close();
      throw new InvalidInputException(e.getMessage(), e);
    } catch (RuntimeException e) {
      file.close();
      throw e;
    }
  }

  MappedFile mapped() {
    return file;
  }

  /** {@return the path of the file} */
  public Path path() {
    return file.path();
  }

  /** {@return the size of the file in bytes} */
  public long bytes() {
    return file.bytes();
  }

  /** {@return texts that describe the file, such as {@code __metadata__}, in the file's order} */
  public abstract Map<String, String> metadata();

  /** {@return the tensors, in the order of their data} */
  public abstract List<Tensor> tensors();

  /**
   * Checks that the file has not changed since it was opened.
   *
   * @throws InvalidInputException if the file has changed
   */
  public void check() {
    try {
      file.check();
    } catch (KernelException e) {
      throw new InvalidInputException(
          e.getMessage() + "; try again when no other process writes it", e);
    }
  }

  @Override
  public void close() {
    file.close();
  }
}
