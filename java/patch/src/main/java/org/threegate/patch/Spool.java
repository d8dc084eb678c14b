package org.threegate.patch;

import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import org.threegate.file.AtomicFiles;

/**
 * A file on the disk of what is being written, for what is known before it can be written; it goes
 * when it is closed.
 */
final class Spool implements AutoCloseable {
  private final FileChannel file;

  /**
   * @param output that only this process writes
   */
  Spool(Path output) throws IOException {
    file = AtomicFiles.scratch(output);
  }

  FileChannel file() {
    return file;
  }

  long position() throws IOException {
    return file.position();
  }

  /** Forgets what is behind a place. */
  void forget(long begin) throws IOException {
    file.truncate(begin);
    file.position(begin);
  }

  /** Copies bytes that lie in it. */
  void copy(long begin, long bytes, FileChannel to) throws IOException {
    for (long at = begin; at < begin + bytes; ) {
      at += file.transferTo(at, begin + bytes - at, to);
    }
  }

  @Override
  public void close() throws IOException {
    file.close();
  }
}
