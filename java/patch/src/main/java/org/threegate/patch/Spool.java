package org.threegate.patch;

import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.channels.WritableByteChannel;
import java.nio.file.Path;
import org.threegate.file.AtomicFiles;

/**
 * A temporary file on the disk of an output. It holds encoded data until the output's header is
 * known, and is deleted when it is closed or the process ends.
 */
final class Spool implements AutoCloseable {
  private final FileChannel file;

  /**
   * Creates a temporary file.
   *
   * @param output path of the output, whose lock this process holds
   */
  Spool(Path output) throws IOException {
    file = AtomicFiles.scratch(output);
  }

  /** Returns the file, to append to. */
  FileChannel file() {
    return file;
  }

  /** Returns the length so far, in bytes. */
  long position() throws IOException {
    return file.position();
  }

  /** Cuts the file to {@code length} bytes. */
  void truncate(long length) throws IOException {
    file.truncate(length);
    file.position(length);
  }

  /** Copies {@code bytes} bytes from position {@code begin} to a channel. */
  void copy(long begin, long bytes, WritableByteChannel to) throws IOException {
    for (long at = begin; at < begin + bytes; ) {
      at += file.transferTo(at, begin + bytes - at, to);
    }
  }

  @Override
  public void close() throws IOException {
    file.close();
  }
}
