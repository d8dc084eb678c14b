package org.threegate.patch;

import com.github.luben.zstd.EndDirective;
import com.github.luben.zstd.ZstdCompressCtx;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;

/** Appends zstd frames to a file. */
final class FrameWriter implements AutoCloseable {
  private static final int LEVEL = 1;
  private static final int BUFFER = 1 << 18;

  private final FileChannel out;
  private final ZstdCompressCtx context = new ZstdCompressCtx();
  private final ByteBuffer compressed = ByteBuffer.allocateDirect(BUFFER);
  private final ByteBuffer numbers = FileIo.littleEndian(Integer.BYTES);

  FrameWriter(FileChannel out) {
    this.out = out;
  }

  /** Begins a frame whose header does not state the size of its contents. */
  void begin() {
    context.reset();
    context.setLevel(LEVEL);
    context.setContentSize(false);
  }

  /**
   * Begins a frame whose header states the size of its contents.
   *
   * @param bytes size of the contents
   */
  void begin(long bytes) {
    context.reset();
    context.setLevel(LEVEL);
    context.setContentSize(true);
    context.setPledgedSrcSize(bytes);
  }

  /** Adds a direct buffer, from its position to its limit, to the contents of the frame. */
  void put(ByteBuffer part) throws IOException {
    while (part.hasRemaining()) {
      compressed.clear();
      context.compressDirectByteBufferStream(compressed, part, EndDirective.CONTINUE);
      drain();
    }
  }

  /** Adds a range of native memory to the contents of the frame. */
  void put(Range part) throws IOException {
    try (Range.View view = part.view()) {
      put(view.bytes());
    }
  }

  /** Adds four little-endian bytes to the contents of the frame. */
  void putInt(int number) throws IOException {
    put(numbers.clear().putInt(number).flip());
  }

  /** Ends the frame. */
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
    FileIo.writeFully(out, compressed.flip());
  }

  @Override
  public void close() {
    context.close();
  }
}
