package org.threegate.patch;

import com.github.luben.zstd.Zstd;
import com.github.luben.zstd.ZstdDecompressCtx;
import com.github.luben.zstd.ZstdException;
import java.nio.ByteBuffer;
import org.threegate.buffer.NativeBuffer;
import org.threegate.checkpoint.Tensor;
import org.threegate.run.InvalidInputException;

/**
 * Reads the contents of a zstd frame that a tensor of a patch stores. The frame is untrusted. It is
 * decompressed in parts, so that memory does not depend on its contents.
 */
final class FrameReader implements AutoCloseable {
  private static final int PART = 1 << 20; // compressed bytes of one view of the mapped file
  private static final int HEADER = 18; // bytes of the longest frame header
  private static final int SINGLE_SEGMENT = 1 << 5;
  private static final int DESCRIPTOR = 5; // offset of the window descriptor
  // Every decompressor supports this window (RFC 8878, section 3.1.1.1.2). A larger one is accepted
  // only if the contents can fill it.
  private static final long WINDOW = 1 << 23;

  private final Tensor stored;
  private final NativeBuffer.Lease file;
  private final ZstdDecompressCtx context = new ZstdDecompressCtx();
  private final ByteBuffer numbers = FileIo.littleEndian(Integer.BYTES);
  private ByteBuffer compressed = ByteBuffer.allocateDirect(0);
  private long at;
  private boolean ended;

  /**
   * Opens a frame.
   *
   * @param most largest valid size of the contents, in bytes
   * @throws InvalidInputException if decompression would need more memory than that
   */
  FrameReader(Tensor stored, long most) {
    this.stored = stored;
    this.file = stored.file().buffer().lease();
    try {
      long window = window();
      if (window > Math.max(WINDOW, most)) {
        throw refused(
            "needs a window of "
                + window
                + " bytes, although its contents have at most "
                + most
                + " bytes");
      }
    } catch (RuntimeException e) {
      close();
      throw e;
    }
  }

  private ByteBuffer header() {
    return file.view(stored.offset(), (int) Math.min(HEADER, stored.bytes()));
  }

  /** Returns the bytes that a decompressor has to keep (RFC 8878, section 3.1.1.1.2). */
  private long window() {
    ByteBuffer header = header();
    if (header.remaining() <= DESCRIPTOR) {
      throw refused("ends early");
    }
    if ((header.get(DESCRIPTOR - 1) & SINGLE_SEGMENT) != 0) {
      return Math.max(0, Zstd.getDirectByteBufferFrameContentSize(header, 0, header.remaining()));
    }
    int descriptor = header.get(DESCRIPTOR) & 0xff;
    long base = 1L << (10 + (descriptor >> 3));
    return base + base / 8 * (descriptor & 7);
  }

  /**
   * Returns the size of the contents that the frame's header states, in bytes.
   *
   * @throws InvalidInputException if the header states none
   */
  long contentBytes() {
    ByteBuffer header = header();
    long bytes =
        header.hasRemaining()
            ? Zstd.getDirectByteBufferFrameContentSize(header, 0, header.remaining())
            : -1;
    if (bytes < 0) {
      throw refused("has no zstd frame that states the size of its contents");
    }
    return bytes;
  }

  /**
   * Fills a direct buffer to its limit with the next contents and flips it.
   *
   * @throws InvalidInputException if the contents end before
   */
  ByteBuffer read(ByteBuffer part) {
    while (part.hasRemaining()) {
      if (!compressed.hasRemaining() && !ended) {
        refill();
      }
      int before = part.position() - compressed.remaining();
      step(part);
      if (part.hasRemaining()
          && part.position() - compressed.remaining() == before
          && (ended || at == stored.bytes())) {
        throw refused("ends early");
      }
    }
    return part.flip();
  }

  private void refill() {
    int bytes = (int) Math.min(PART, stored.bytes() - at);
    compressed = file.view(stored.offset() + at, bytes);
    at += bytes;
  }

  private void step(ByteBuffer part) {
    try {
      ended |= context.decompressDirectByteBufferStream(part, compressed);
    } catch (ZstdException e) {
      throw refused("is not a valid zstd frame: " + e.getMessage());
    }
  }

  /** Reads four little-endian bytes. */
  int readInt() {
    return read(numbers.clear()).getInt();
  }

  /**
   * Skips contents.
   *
   * @param scratch direct buffer for what is skipped
   */
  void skip(long bytes, ByteBuffer scratch) {
    for (long left = bytes; left > 0; ) {
      int count = (int) Math.min(left, scratch.capacity());
      read(scratch.clear().limit(count));
      left -= count;
    }
  }

  /**
   * Checks that everything was read.
   *
   * @throws InvalidInputException if contents, or bytes after the frame, are left
   */
  void requireEnd() {
    ByteBuffer more = ByteBuffer.allocateDirect(1);
    while (!ended) {
      if (!compressed.hasRemaining()) {
        if (at == stored.bytes()) {
          throw refused("ends early");
        }
        refill();
      }
      step(more);
      if (!more.hasRemaining()) {
        throw refused("has more contents than its tensor can use");
      }
    }
    if (compressed.hasRemaining() || at < stored.bytes()) {
      throw refused("has bytes after its zstd frame");
    }
  }

  /** Returns an exception that names the file and the stored tensor. */
  InvalidInputException refused(String why) {
    return new InvalidInputException(
        stored.file().path() + ": tensor \"" + stored.name() + "\" " + why);
  }

  @Override
  public void close() {
    context.close();
    file.close();
  }
}
