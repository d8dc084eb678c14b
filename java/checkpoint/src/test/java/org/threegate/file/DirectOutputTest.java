package org.threegate.file;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowable;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Random;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class DirectOutputTest {
  private static final int LARGE = 64 << 20;

  @TempDir private Path directory;

  /** Writes in parts that fit neither blocks nor the buffer, from buffers of both kinds. */
  private static void writeInParts(DirectOutput out, byte[] bytes) throws IOException {
    Random random = new Random(bytes.length);
    for (int at = 0; at < bytes.length; ) {
      int some = Math.min(bytes.length - at, 1 + random.nextInt(3 * DirectOutput.BUFFER / 2));
      ByteBuffer part = ByteBuffer.wrap(bytes, at, some);
      if (random.nextBoolean()) {
        part = ByteBuffer.allocateDirect(some).put(part).flip();
      }
      assertThat(out.write(part)).isEqualTo(some);
      assertThat(part.hasRemaining()).isFalse();
      at += some;
    }
  }

  @ParameterizedTest
  @ValueSource(
      ints = {
        0,
        1,
        4095,
        4096,
        4097,
        DirectOutput.BUFFER - 1,
        DirectOutput.BUFFER,
        DirectOutput.BUFFER + 1,
        2 * DirectOutput.BUFFER + 4096,
        5 * DirectOutput.BUFFER + 12345
      })
  void writesFilesOfAnySize(int size) throws IOException {
    byte[] bytes = new byte[size];
    new Random(1).nextBytes(bytes);
    Path file = Files.createFile(directory.resolve("file"));
    try (DirectOutput out = DirectOutput.open(file)) {
      boolean known = Set.of("ext4", "xfs").contains(Files.getFileStore(file).type());
      assertThat(out.isDirect() || !known).isTrue();
      writeInParts(out, bytes);
      out.finish();
    }
    assertThat(file).hasBinaryContent(bytes);
  }

  @Test
  void aLargeFileReplacesAnotherOne() throws IOException {
    byte[] bytes = new byte[LARGE + 17];
    new Random(2).nextBytes(bytes);
    Path file = directory.resolve("file");
    Files.writeString(file, "before");
    AtomicFiles.write(file, bytes.length, out -> out.write(ByteBuffer.wrap(bytes)));
    assertThat(Files.mismatch(file, Files.write(directory.resolve("same"), bytes))).isEqualTo(-1);
    assertThat(AtomicFiles.list(directory)).noneMatch(path -> path.toString().contains("partial"));
  }

  @Test
  void aFailureLeavesTheFileBefore() throws IOException {
    Path file = directory.resolve("file");
    Files.writeString(file, "before");
    assertThat(
            catchThrowable(
                () ->
                    AtomicFiles.write(
                        file,
                        LARGE,
                        out -> {
                          out.write(ByteBuffer.allocate(3 * DirectOutput.BUFFER));
                          throw new IOException("no more");
                        })))
        .hasMessage("no more");
    assertThat(file).hasContent("before");
    assertThat(AtomicFiles.list(directory)).noneMatch(path -> path.toString().contains("partial"));
  }
}
