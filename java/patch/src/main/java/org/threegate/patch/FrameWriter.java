package org.threegate.patch;

import com.github.luben.zstd.EndDirective;
import com.github.luben.zstd.ZstdCompressCtx;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;

/** One zstd frame after the other, appended to a file. */
final class FrameWriter implements AutoCloseable {
  private static final int LEVEL = 1;
  private static final int BUFFER = 1 << 18;

  private final FileChannel out;
  private final ZstdCompressCtx context = new ZstdCompressCtx();

  private final ByteBuffer compressed = ByteBuffer.allocateDirect(BUFFER);
  private final ByteBuffer numbers =
      ByteBuffer.allocateDirect(Integer.BYTES).order(ByteOrder.LITTLE_ENDIAN);

  FrameWriter(FileChannel out) {
    this.out = out;
  }

  /**
   * @param bytes of the frame's contents, which its header says; −1: it does not say
   */
  void begin(long bytes) {
    context.reset();
    context.setLevel(LEVEL);

    context.setContentSize(bytes >= 0);
    if (bytes >= 0) {
      context.setPledgedSrcSize(bytes);
    }
  }

  /** A part of the contents; direct. */
  void put(ByteBuffer part) throws IOException {
    while (part.hasRemaining()) {
      compressed.clear();
      context.compressDirectByteBufferStream(compressed, part, EndDirective.CONTINUE);
      drain();
    }
  }

  void putInt(int number) throws IOException {
    put(numbers.clear().putInt(number).flip());
  }

  void end() throws IOException {
    ByteBuffer nothing = ByteBuffer.allocateDirect(0);
    boolean done = false;
    while (!done) {
      compressed.clear();
      done = context.compressDirectByteBufferStream(compressed, nothing, EndDirective.END);
      drain();
    }
  }

  private void drain() throws IOException {
    Range.writeFully(out, compressed.flip());
  }

  @Override
  public void close() {
    context.close();
  }
}
