package org.threegate.file;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.channels.WritableByteChannel;
import java.nio.file.Files;
import java.nio.file.OpenOption;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Optional;
import java.util.stream.Stream;

/**
 * Appends to an empty file past the system's cache of pages, if the file system can do that. A
 * cached gigabyte takes a second of the processor: new pages are cleared or copied to, and written
 * by the system later. Past the cache it takes a tenth, and the cache keeps what others read.
 *
 * <p>Such a file is written in whole blocks from aligned memory. Its last block, which is rarely
 * whole, goes through the cache.
 */
final class DirectOutput implements WritableByteChannel {
  /** Bytes written at a time. Fewer are slower, and the memory stays until it is collected. */
  static final int BUFFER = 2 << 20;

  private static final Optional<OpenOption> DIRECT = directOption();

  private final Path path;
  private final ByteBuffer buffer;
  private FileChannel file;
  private int block;

  private DirectOutput(Path path, FileChannel file, int block) {
    this.path = path;
    this.file = file;
    this.block = block;
    this.buffer = ByteBuffer.allocateDirect(BUFFER + block).alignedSlice(block).limit(BUFFER);
  }

  /**
   * Opens an output.
   *
   * @param path an existing, empty file
   */
  static DirectOutput open(Path path) throws IOException {
    long block = Files.getFileStore(path).getBlockSize();
    if (block > 1 && Long.bitCount(block) == 1 && block <= BUFFER && DIRECT.isPresent()) {
      try {
        FileChannel file = FileChannel.open(path, StandardOpenOption.WRITE, DIRECT.orElseThrow());
        return new DirectOutput(path, file, (int) block);
      } catch (IOException | UnsupportedOperationException e) {
        // The file system has no direct output. If nothing can be written at all, the next line
        // says so.
        return new DirectOutput(path, FileChannel.open(path, StandardOpenOption.WRITE), 1);
      }
    }
    return new DirectOutput(path, FileChannel.open(path, StandardOpenOption.WRITE), 1);
  }

  /** Finds an option that is not part of Java, and that compilers therefore warn about. */
  private static Optional<OpenOption> directOption() {
    try {
      Object[] options = Class.forName("com.sun.nio.file.ExtendedOpenOption").getEnumConstants();
      return Stream.of(options)
          .filter(option -> option.toString().equals("DIRECT"))
          .map(OpenOption.class::cast)
          .findFirst();
    } catch (ClassNotFoundException e) {
      return Optional.empty();
    }
  }

  /** Returns whether the file is written past the cache. */
  boolean isDirect() {
    return block > 1;
  }

  @Override
  public int write(ByteBuffer source) throws IOException {
    int bytes = source.remaining();
    while (source.hasRemaining()) {
      int some = Math.min(source.remaining(), buffer.remaining());
      buffer.put(source.slice(source.position(), some));
      source.position(source.position() + some);
      if (!buffer.hasRemaining()) {
        empty(buffer.flip());
        buffer.clear().limit(BUFFER);
      }
    }
    return bytes;
  }

  /** Writes what is left, and waits until the file is on the disk. */
  void finish() throws IOException {
    int last = buffer.position();
    empty(buffer.flip().limit(last / block * block));
    if (last % block != 0) {
      leaveDirect();
      empty(buffer.limit(last));
    }
    file.force(true);
  }

  private void empty(ByteBuffer bytes) throws IOException {
    try {
      writeFully(bytes);
    } catch (IOException e) {
      // The disk may want another alignment than the file system says. If it is full, the second
      // attempt fails, too.
      if (!isDirect() || !file.isOpen()) {
        throw e;
      }
      leaveDirect();
      writeFully(bytes);
    }
  }

  private void writeFully(ByteBuffer bytes) throws IOException {
    while (bytes.hasRemaining()) {
      file.write(bytes);
    }
  }

  /** Goes on through the cache. */
  private void leaveDirect() throws IOException {
    try (FileChannel direct = file) {
      long at = direct.position();
      file = FileChannel.open(path, StandardOpenOption.WRITE);
      file.position(at);
      block = 1;
    }
  }

  @Override
  public boolean isOpen() {
    return file.isOpen();
  }

  @Override
  public void close() throws IOException {
    file.close();
  }
}
