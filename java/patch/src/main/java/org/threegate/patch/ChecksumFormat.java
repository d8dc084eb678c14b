package org.threegate.patch;

import com.dynatrace.hash4j.hashing.HashStream128;
import com.dynatrace.hash4j.hashing.Hashing;
import java.nio.ByteBuffer;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.Optional;
import java.util.zip.Adler32;
import org.apache.commons.codec.digest.Blake3;

/** Checksums that patches carry of tensors' bytes. */
public enum ChecksumFormat {
  XXH3_128("xxh3-128"),
  BLAKE3("blake3"),
  ADLER32("adler32");

  private static final int BUFFER = 1 << 16;
  private static final int BLAKE3_BYTES = 32;

  private final String label;

  ChecksumFormat(String label) {
    this.label = label;
  }

  /** As in files. */
  public String label() {
    return label;
  }

  static Optional<ChecksumFormat> byLabel(String label) {
    return Arrays.stream(values()).filter(format -> format.label.equals(label)).findFirst();
  }

  /** Of bytes that come part by part. */
  interface Checksum {
    void update(ByteBuffer bytes);

    /** In hexadecimal digits, as the format's own tools print it. */
    String hex();
  }

  Checksum begin() {
    return switch (this) {
      case XXH3_128 -> xxh3();
      case BLAKE3 -> blake3();
      case ADLER32 -> adler32();
    };
  }

  private interface Heap {
    void take(byte[] bytes, int count);
  }

  private static void throughHeap(ByteBuffer bytes, Heap heap) {
    byte[] buffer = new byte[Math.min(BUFFER, bytes.remaining())];
    while (bytes.hasRemaining()) {
      int count = Math.min(buffer.length, bytes.remaining());
      bytes.get(buffer, 0, count);
      heap.take(buffer, count);
    }
  }

  private static Checksum xxh3() {
    HashStream128 stream = Hashing.xxh3_128().hashStream();
    return new Checksum() {
      @Override
      public void update(ByteBuffer bytes) {
        throughHeap(bytes, (buffer, count) -> stream.putBytes(buffer, 0, count));
      }

      @Override
      public String hex() {
        HexFormat digits = HexFormat.of();
        return digits.toHexDigits(stream.get().getMostSignificantBits())
            + digits.toHexDigits(stream.get().getLeastSignificantBits());
      }
    };
  }

  private static Checksum blake3() {
    Blake3 hash = Blake3.initHash();
    return new Checksum() {
      @Override
      public void update(ByteBuffer bytes) {
        throughHeap(bytes, (buffer, count) -> hash.update(buffer, 0, count));
      }

      @Override
      public String hex() {
        return HexFormat.of().formatHex(hash.doFinalize(BLAKE3_BYTES));
      }
    };
  }

  private static Checksum adler32() {
    Adler32 sum = new Adler32();
    return new Checksum() {
      @Override
      public void update(ByteBuffer bytes) {
        sum.update(bytes);
      }

      @Override
      public String hex() {
        return HexFormat.of().toHexDigits((int) sum.getValue());
      }
    };
  }
}
