package org.threegate.patch;

import com.github.luben.zstd.Zstd;
import com.github.luben.zstd.ZstdDecompressCtx;
import com.github.luben.zstd.ZstdException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import org.threegate.checkpoint.InvalidInputException;
import org.threegate.checkpoint.Tensor;

/** The contents of a zstd frame, part by part: memory does not depend on what the frame holds. */
final class FrameReader implements AutoCloseable {
  private static final int WINDOW = 1 << 20; // compressed bytes that are mapped at a time

  private final Tensor stored;
  private final ZstdDecompressCtx context = new ZstdDecompressCtx();
  private final ByteBuffer numbers =
      ByteBuffer.allocateDirect(Integer.BYTES).order(ByteOrder.LITTLE_ENDIAN);
  private ByteBuffer compressed = ByteBuffer.allocateDirect(0);
  private long at;
  private boolean ended;

  FrameReader(Tensor stored) {
    this.stored = stored;
  }

  /** Bytes that the frame says it holds. */
  long contentBytes() {
    int head = (int) Math.min(18, stored.bytes()); // the longest header of a frame
    long bytes =
        head == 0
            ? -1
            : Zstd.getDirectByteBufferFrameContentSize(
                stored.file().buffer().slice(stored.offset(), head), 0, head);
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
    int bytes = (int) Math.min(WINDOW, stored.bytes() - at);
    compressed = stored.file().buffer().slice(stored.offset() + at, bytes);
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
  }
}
