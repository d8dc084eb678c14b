package org.threegate.patch;

import com.github.luben.zstd.Zstd;
import com.github.luben.zstd.ZstdDecompressCtx;
import com.github.luben.zstd.ZstdException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import org.threegate.buffer.NativeBuffer;
import org.threegate.checkpoint.Tensor;
import org.threegate.run.InvalidInputException;

/** The contents of a zstd frame, part by part: memory does not depend on what the frame holds. */
final class FrameReader implements AutoCloseable {
  private static final int PART = 1 << 20; // compressed bytes that are mapped at a time
  private static final int HEADER = 18; // bytes of the longest header of a frame
  private static final int SINGLE_SEGMENT = 1 << 5;
  private static final int DESCRIPTOR = 5; // where a window is described
  // What every reader of frames supports (RFC 8878, section 3.1.1.1.2); a larger window only for
  // contents that fill it.
  private static final long WINDOW = 1 << 23;

  private final Tensor stored;
  private final NativeBuffer.Lease file;
  private final ZstdDecompressCtx context = new ZstdDecompressCtx();
  private final ByteBuffer numbers =
      ByteBuffer.allocateDirect(Integer.BYTES).order(ByteOrder.LITTLE_ENDIAN);
  private ByteBuffer compressed = ByteBuffer.allocateDirect(0);
  private long at;
  private boolean ended;

  /**
   * @param most bytes that the contents may have
   * @throws InvalidInputException when reading the frame would take more memory than that
   */
  FrameReader(Tensor stored, long most) {
    this.stored = stored;
    this.file = stored.file().buffer().lease();
    try {
      long window = window();
      if (window > Math.max(WINDOW, most)) {
        throw refused("asks for " + window + " bytes of memory, for contents of " + most);
      }
    } catch (RuntimeException e) {
      close();
      throw e;
    }
  }

  private ByteBuffer header() {
    return file.view(stored.offset(), (int) Math.min(HEADER, stored.bytes()));
  }

  /** Bytes that a decompressor keeps, RFC 8878, section 3.1.1.1.2. */
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

  /** Bytes that the frame says it holds. */
  long contentBytes() {
    ByteBuffer header = header();
    long bytes =
        header.hasRemaining()
            ? Zstd.getDirectByteBufferFrameContentSize(header, 0, header.remaining())
            : -1;
    if (bytes < 0) {
      throw refused("holds no zstd frame that says how long its contents are");
    }
    return bytes;
  }

  /** Fills a direct buffer, to its limit. */
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
      throw refused("is no zstd frame: " + e.getMessage());
    }
  }

  int readInt() {
    return read(numbers.clear()).getInt();
  }

  /** Reads what is of no use here. */
  void skip(long bytes, ByteBuffer scratch) {
    for (long left = bytes; left > 0; ) {
      int count = (int) Math.min(left, scratch.capacity());
      read(scratch.clear().limit(count));
      left -= count;
    }
  }

  /** Refuses contents that go on. */
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
        throw refused("holds more than it may");
      }
    }
    if (compressed.hasRemaining() || at < stored.bytes()) {
      throw refused("has bytes behind its frame");
    }
  }

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
