package org.threegate.patch;

import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;

/**
 * A file beside what is being written, for what is known before it can be written; it goes when it
 * is closed.
 */
final class Spool implements AutoCloseable {
  private final FileChannel file;

  Spool(Path path) throws IOException {
    file =
        FileChannel.open(
            path,
            StandardOpenOption.CREATE,
            StandardOpenOption.TRUNCATE_EXISTING,
            StandardOpenOption.READ,
            StandardOpenOption.WRITE,
            StandardOpenOption.DELETE_ON_CLOSE);
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
