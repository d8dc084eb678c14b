package org.threegate.checkpoint;

import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.threegate.buffer.NativeBuffer;
import org.threegate.kernel.Context;
import org.threegate.kernel.KernelException;
import org.threegate.kernel.MappedFile;
import org.threegate.run.InvalidInputException;

/**
 * An open safetensors file. Its header has been checked, and its data are mapped.
 *
 * <pre>{@code
 * try (SafetensorsFile file = SafetensorsFile.open(context, Path.of("model.safetensors"))) {
 *   file.tensors().forEach(tensor -> System.out.println(tensor.name() + " " + tensor.shape()));
 * }
 * }</pre>
 */
public final class SafetensorsFile implements AutoCloseable {
  private final MappedFile file;
  private final SafetensorsHeader header;

  private SafetensorsFile(MappedFile file, SafetensorsHeader header) {
    this.file = file;
    this.header = header;
  }

  /**
   * Opens a file.
   *
   * @param context context that maps the file
   * @param path path of the file
   * @return the open file, which the caller closes
   * @throws InvalidInputException if the file cannot be read or violates the format
   */
  public static SafetensorsFile open(Context context, Path path) {
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
      return new SafetensorsFile(file, readHeader(context, file));
    } catch (KernelException e) {
      file.close();
      throw new InvalidInputException(e.getMessage(), e);
    } catch (RuntimeException e) {
      file.close();
      throw e;
    }
  }

  /** Parses a copy of the header, because the file may change between check and use. */
  private static SafetensorsHeader readHeader(Context context, MappedFile file) {
    String name = file.path().toString();
    int prefixBytes = (int) Math.min(SafetensorsHeader.LENGTH_BYTES, file.bytes());
    try (NativeBuffer prefix = context.allocate(prefixBytes)) {
      file.read(0, prefix);
      int length =
          Math.toIntExact(
              SafetensorsHeader.length(
                  name, ByteBuffer.wrap(prefix.getBytes(0, prefixBytes)), file.bytes()));
      try (NativeBuffer header = context.allocate(length)) {
        file.read(SafetensorsHeader.LENGTH_BYTES, header);
        return SafetensorsHeader.parse(
            name, ByteBuffer.wrap(header.getBytes(0, length)), file.bytes());
      }
    }
  }

  /** {@return the path of the file} */
  public Path path() {
    return file.path();
  }

  /** {@return the size of the file in bytes} */
  public long bytes() {
    return file.bytes();
  }

  /** {@return the strings of {@code __metadata__}, in the order of the file} */
  public Map<String, String> metadata() {
    return header.metadata();
  }

  /** {@return the tensors, in the order of their data} */
  public List<Tensor> tensors() {
    return header.entries().stream()
        .map(
            entry ->
                new Tensor(
                    entry.name(),
                    entry.type(),
                    entry.shape(),
                    file,
                    header.dataOffset() + entry.begin()))
        .toList();
  }

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
