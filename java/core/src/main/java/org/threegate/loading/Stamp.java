package org.threegate.loading;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.attribute.FileTime;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;

/**
 * Remembers that unpacked files were verified, so that they are read again only after a change. The
 * stamp has the inode, the size and the time of change of each file. The operating system sets that
 * time whenever the bytes, the permissions or the links of a file change, and no program can set it
 * to another value.
 */
final class Stamp {
  private static final String NAME = "verified";
  // Clocks of file systems are coarse: two changes within a moment have the same time.
  private static final long MOMENT_MILLIS = 2000;

  private final Path file;
  private final String state;
  private final boolean settled;

  private Stamp(Path file, String state, boolean settled) {
    this.file = file;
    this.state = state;
    this.settled = settled;
  }

  /** Describes files as they are now, before they are verified. */
  static Stamp of(Path directory, List<PackedFile> files) throws IOException {
    StringBuilder state = new StringBuilder();
    long newest = 0;
    for (PackedFile each : files) {
      Map<String, Object> all;
      try {
        all =
            Files.readAttributes(
                directory.resolve(each.name()),
                "unix:dev,ino,size,ctime",
                LinkOption.NOFOLLOW_LINKS);
      } catch (NoSuchFileException e) {
        return new Stamp(directory.resolve(NAME), "", false);
      }
      FileTime changed = (FileTime) all.get("ctime");
      newest = Math.max(newest, changed.toMillis());
      state
          .append(each.name())
          .append(' ')
          .append(all.get("dev"))
          .append(' ')
          .append(all.get("ino"))
          .append(' ')
          .append(all.get("size"))
          .append(' ')
          .append(changed.to(TimeUnit.NANOSECONDS))
          .append('\n');
    }
    boolean settled = System.currentTimeMillis() - newest > MOMENT_MILLIS;
    return new Stamp(directory.resolve(NAME), state.toString(), settled);
  }

  /** Returns whether the files were verified in this state. */
  boolean isValid() throws IOException {
    return !state.isEmpty()
        && TrustedDirectory.isOwnFile(file)
        && Files.size(file) == state.length()
        && Files.readString(file).equals(state);
  }

  /** Records that the files were verified. The next start verifies again if this fails. */
  void write() {
    if (!settled) {
      return;
    }
    try {
      Path temporary = Files.createTempFile(file.getParent(), NAME, Unpacker.PARTIAL);
      Files.writeString(temporary, state);
      Files.move(temporary, file, StandardCopyOption.ATOMIC_MOVE);
    } catch (IOException e) {
      // For example, the disk is full. What was verified is used all the same.
    }
  }
}
