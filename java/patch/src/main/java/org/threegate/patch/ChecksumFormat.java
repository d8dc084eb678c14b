package org.threegate.patch;

import java.nio.ByteBuffer;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.Optional;
import java.util.zip.Adler32;
import org.apache.commons.codec.digest.Blake3;
import org.threegate.kernel.Context;
import org.threegate.kernel.Xxh3;

/**
 * Checksum algorithms for the digests of tensors. A digest covers the bytes as stored in a file.
 */
public enum ChecksumFormat {
  /** XXH3 with 128 bits, as {@code xxhsum -H2} prints it. */
  XXH3_128("xxh3-128"),
  /** BLAKE3 with 256 bits. */
  BLAKE3("blake3"),
  /** Adler-32. */
  ADLER32("adler32");

  private static final int BUFFER = 1 << 16;
  private static final int BLAKE3_BYTES = 32;

  private final String label;

  ChecksumFormat(String label) {
    this.label = label;
  }

  /** {@return the name in options and in the metadata of patches, such as {@code xxh3-128}} */
  public String label() {
    return label;
  }

  /**
   * Finds the algorithm with a label.
   *
   * @param label name of an algorithm, as {@link #label} returns it
   * @return the algorithm; empty if no algorithm has this label
   */
  public static Optional<ChecksumFormat> byLabel(String label) {
    return Arrays.stream(values()).filter(format -> format.label.equals(label)).findFirst();
  }

  /** A checksum that is computed in parts. */
  abstract static sealed class Checksum implements AutoCloseable {
    /** Adds bytes. */
    abstract void update(Range part);

    /** Returns the kernel's state, of an algorithm that is a kernel. */
    Optional<Xxh3> kernel() {
      return Optional.empty();
    }

    /** Returns the digest in hexadecimal digits, as the algorithm's own tools print it. */
    abstract String hex();

    @Override
    public void close() {}
  }

  /** Begins a checksum. It must be closed. */
  Checksum begin(Context context) {
    return switch (this) {
      case XXH3_128 -> new Native(context);
      case BLAKE3 -> new Blake();
      case ADLER32 -> new Adler();
    };
  }

  private static final class Native extends Checksum {
    private final Context context;
    private final Xxh3 state;

    Native(Context context) {
      this.context = context;
      this.state = Xxh3.begin(context);
    }

    @Override
    void update(Range part) {
      Xxh3.update(context, state.part(part.buffer(), part.offset(), part.bytes()));
    }

    @Override
    Optional<Xxh3> kernel() {
      return Optional.of(state);
    }

    @Override
    String hex() {
      return HexFormat.of().formatHex(state.digest());
    }

    @Override
    public void close() {
      state.close();
    }
  }

  private static final class Blake extends Checksum {
    private final Blake3 hash = Blake3.initHash();
    private final byte[] buffer = new byte[BUFFER];

    @Override
    void update(Range part) {
      for (int at = 0; at < part.bytes(); at += buffer.length) {
        int count = Math.min(buffer.length, part.bytes() - at);
        part.buffer().get(part.offset() + at, ByteBuffer.wrap(buffer, 0, count));
        hash.update(buffer, 0, count);
      }
    }

    @Override
    String hex() {
      return HexFormat.of().formatHex(hash.doFinalize(BLAKE3_BYTES));
    }
  }

  private static final class Adler extends Checksum {
    private final Adler32 sum = new Adler32();

    @Override
    void update(Range part) {
      try (Range.View view = part.view()) {
        sum.update(view.bytes());
      }
    }

    @Override
    String hex() {
      return HexFormat.of().toHexDigits((int) sum.getValue());
    }
  }
}
