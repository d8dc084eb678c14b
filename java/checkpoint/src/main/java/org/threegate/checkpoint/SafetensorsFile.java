package org.threegate.checkpoint;

import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.threegate.buffer.NativeBuffer;
import org.threegate.kernel.Context;
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
public final class SafetensorsFile extends TensorFile {
  private final SafetensorsHeader header;
  private final Map<String, Tensor> tensors = new LinkedHashMap<>();

  private SafetensorsFile(MappedFile file, SafetensorsHeader header) {
    super(file);
    this.header = header;
    for (SafetensorsHeader.Entry entry : header.entries()) {
      tensors.put(
          entry.name(),
          new Tensor(
              entry.name(),
              entry.type(),
              entry.shape(),
              file,
              header.dataOffset() + entry.begin()));
    }
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
    return open(context, path, file -> new SafetensorsFile(file, readHeader(context, file)));
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

  @Override
  public Map<String, String> metadata() {
    return header.metadata();
  }

  @Override
  public List<Tensor> tensors() {
    return List.copyOf(tensors.values());
  }

  /**
   * {@return the tensor of a name; empty if the file has none}
   *
   * @param name name of a tensor
   */
  public Optional<Tensor> tensor(String name) {
    return Optional.ofNullable(tensors.get(name));
  }
}
