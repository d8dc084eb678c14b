package org.threegate.checkpoint;

import com.fasterxml.jackson.core.JsonGenerator;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.WritableByteChannel;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.threegate.file.AtomicFiles;

/**
 * Writes a safetensors file atomically. The header is padded with spaces to a multiple of 8 bytes.
 *
 * <pre>{@code
 * new SafetensorsWriter()
 *     .metadata("format", "pt")
 *     .vector("singularValues", new double[] {3, 2, 1})
 *     .write(Path.of("spectrum.safetensors"));
 * }</pre>
 */
public final class SafetensorsWriter {
  private static final int ALIGNMENT = 8;
  private static final int CHUNK = 1 << 16;

  private final Map<String, String> metadata = new LinkedHashMap<>();
  private final Map<String, Pending> tensors = new LinkedHashMap<>();

  /** Creates a writer of a file without tensors. */
  public SafetensorsWriter() {}

  private record Pending(TensorType type, List<Long> shape, long bytes, Data data) {}

  /** Writes a tensor's bytes, little-endian. */
  @FunctionalInterface
  public interface Data {
    /**
     * Writes the bytes of the tensor.
     *
     * @param out receives the bytes
     * @throws IOException if the bytes cannot be written
     */
    void writeTo(WritableByteChannel out) throws IOException;
  }

  /**
   * Adds an entry to the metadata.
   *
   * @param key key of the entry; an entry with the same key is replaced
   * @param value value of the entry
   * @return this writer
   */
  public SafetensorsWriter metadata(String key, String value) {
    metadata.put(key, value);
    return this;
  }

  /**
   * Adds a tensor.
   *
   * @param name name of the tensor
   * @param type dtype of the tensor
   * @param shape dimensions; empty for a scalar
   * @param data writes exactly the bytes of the tensor
   * @return this writer
   * @throws IllegalArgumentException if the name is taken
   */
  public SafetensorsWriter tensor(String name, TensorType type, List<Long> shape, Data data) {
    long bytes = shape.stream().reduce(1L, Math::multiplyExact) * type.bits() / 8;
    if (tensors.putIfAbsent(name, new Pending(type, List.copyOf(shape), bytes, data)) != null) {
      throw new IllegalArgumentException("a second tensor named " + name);
    }
    return this;
  }

  /**
   * Adds a tensor whose bytes are in memory.
   *
   * @param name name of the tensor
   * @param type dtype of the tensor
   * @param shape dimensions; empty for a scalar
   * @param data little-endian, row by row
   * @return this writer
   */
  public SafetensorsWriter tensor(String name, TensorType type, List<Long> shape, byte[] data) {
    return tensor(name, type, shape, out -> writeFully(out, ByteBuffer.wrap(data)));
  }

  /**
   * Adds a float64 vector.
   *
   * @param name name of the tensor
   * @param values elements of the vector, which are read when the file is written
   * @return this writer
   */
  public SafetensorsWriter vector(String name, double[] values) {
    return tensor(
        name,
        TensorType.F64,
        List.of((long) values.length),
        out -> {
          ByteBuffer buffer = ByteBuffer.allocate(CHUNK).order(ByteOrder.LITTLE_ENDIAN);
          for (double value : values) {
            if (!buffer.hasRemaining()) {
              writeFully(out, buffer.flip());
              buffer.clear();
            }
            buffer.putDouble(value);
          }
          writeFully(out, buffer.flip());
        });
  }

  /**
   * Writes the file, which appears when it is complete.
   *
   * @param path path of the file; an existing file is replaced
   * @throws IOException if it cannot be written
   */
  public void write(Path path) throws IOException {
    byte[] header = header();
    long bytes = tensors.values().stream().mapToLong(Pending::bytes).sum();
    AtomicFiles.write(
        path,
        bytes,
        out -> {
          writeFully(
              out,
              ByteBuffer.allocate(SafetensorsHeader.LENGTH_BYTES)
                  .order(ByteOrder.LITTLE_ENDIAN)
                  .putLong(header.length)
                  .flip());
          writeFully(out, ByteBuffer.wrap(header));
          for (Map.Entry<String, Pending> tensor : tensors.entrySet()) {
            Counted counted = new Counted(out);
            tensor.getValue().data().writeTo(counted);
            if (counted.bytes != tensor.getValue().bytes()) {
              throw new IllegalStateException(
                  tensor.getKey()
                      + " wrote "
                      + counted.bytes
                      + " bytes of "
                      + tensor.getValue().bytes());
            }
          }
        });
  }

  /** Counts the bytes of a tensor. */
  private static final class Counted implements WritableByteChannel {
    private final WritableByteChannel out;
    private long bytes;

    Counted(WritableByteChannel out) {
      this.out = out;
    }

    @Override
    public int write(ByteBuffer source) throws IOException {
      int written = out.write(source);
      bytes += written;
      return written;
    }

    @Override
    public boolean isOpen() {
      return out.isOpen();
    }

    @Override
    public void close() throws IOException {
      out.close();
    }
  }

  private byte[] header() throws IOException {
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    try (JsonGenerator json = Json.HEADERS.createGenerator(out)) {
      json.writeStartObject();
      if (!metadata.isEmpty()) {
        json.writeObjectFieldStart("__metadata__");
        for (Map.Entry<String, String> entry : metadata.entrySet()) {
          json.writeStringField(entry.getKey(), entry.getValue());
        }
        json.writeEndObject();
      }
      long begin = 0;
      for (Map.Entry<String, Pending> entry : tensors.entrySet()) {
        Pending tensor = entry.getValue();
        json.writeObjectFieldStart(entry.getKey());
        json.writeStringField("dtype", tensor.type().name());
        json.writeArrayFieldStart("shape");
        for (long dimension : tensor.shape()) {
          json.writeNumber(dimension);
        }
        json.writeEndArray();
        json.writeArrayFieldStart("data_offsets");
        json.writeNumber(begin);
        begin += tensor.bytes();
        json.writeNumber(begin);
        json.writeEndArray();
        json.writeEndObject();
      }
      json.writeEndObject();
    }
    while ((SafetensorsHeader.LENGTH_BYTES + out.size()) % ALIGNMENT != 0) {
      out.write(' ');
    }
    return out.toByteArray();
  }

  private static void writeFully(WritableByteChannel out, ByteBuffer buffer) throws IOException {
    while (buffer.hasRemaining()) {
      out.write(buffer);
    }
  }
}
