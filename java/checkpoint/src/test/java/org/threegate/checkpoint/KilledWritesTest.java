package org.threegate.checkpoint;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.threegate.file.AtomicFiles;
import org.threegate.testing.DyingDisk;
import org.threegate.testing.Seeds;

/**
 * Tests writes that are killed at each change of the disk. The output is the old one or the new
 * one, and the next write leaves no other files.
 */
class KilledWritesTest {
  @TempDir Path directory;

  @FunctionalInterface
  private interface Writing {
    void write(Path output) throws IOException;
  }

  @FunctionalInterface
  private interface Look {
    void at(Path output) throws IOException;
  }

  /** Kills a write at its first change, its second, and so on, and writes again after each. */
  private void kill(Writing writing, Writing before, Look look) throws IOException {
    Random random = Seeds.random("KilledWritesTest");
    int changes = 0;
    for (boolean dead = true; dead; changes++) {
      Path output = directory.resolve("output");
      before.write(output);
      DyingDisk disk = new DyingDisk(changes, random);
      try {
        writing.write(disk.path(output));
      } catch (DyingDisk.Death e) {
        assertThat(disk.isDead()).isTrue();
      }
      dead = disk.isDead();
      look.at(output);
      writing.write(output);
      assertThat(AtomicFiles.list(directory)).as("after %d changes", changes).hasSize(1);
      AtomicFiles.deleteDirectory(output);
    }
    assertThat(changes).isGreaterThan(8);
  }

  private static void put(Path file, String text) throws IOException {
    try (FileChannel out =
        FileChannel.open(file, StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE)) {
      out.write(ByteBuffer.wrap(text.getBytes()));
    }
  }

  @Test
  void filesAreTheOldOnesOrTheNewOnes() throws IOException {
    kill(
        output -> AtomicFiles.write(output, out -> out.write(ByteBuffer.wrap("new".getBytes()))),
        output -> Files.writeString(output, "old"),
        output -> assertThat(Files.readString(output)).isIn("old", "new"));
  }

  @Test
  void directoriesAreThereWholeOrNotAtAll() throws IOException {
    kill(
        output -> {
          if (!Files.exists(output)) {
            AtomicFiles.writeDirectory(
                output,
                to -> {
                  put(to.resolve("one"), "1");
                  put(to.resolve("two"), "2");
                });
          } else {
            AtomicFiles.removeLeftovers(output.getParent());
          }
        },
        output -> {},
        output -> {
          if (Files.exists(output)) {
            assertThat(output.resolve("one")).hasContent("1");
            assertThat(output.resolve("two")).hasContent("2");
          }
        });
  }

  @Test
  void theLastFileOfADirectoryIsNewWhenAllAre() throws IOException {
    kill(
        output ->
            AtomicFiles.updateDirectory(
                output,
                "index",
                to -> {
                  put(to.resolve("data"), "new");
                  put(to.resolve("index"), "new");
                }),
        output -> {
          Files.createDirectory(output);
          put(output.resolve("data"), "old");
          put(output.resolve("index"), "old");
        },
        output -> {
          List<String> both =
              List.of(
                  Files.readString(output.resolve("data")),
                  Files.readString(output.resolve("index")));
          assertThat(both)
              .isIn(List.of("old", "old"), List.of("new", "old"), List.of("new", "new"));
        });
  }
}
