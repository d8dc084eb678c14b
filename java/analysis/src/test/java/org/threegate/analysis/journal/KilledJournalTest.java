package org.threegate.analysis.journal;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.threegate.file.AtomicFiles;
import org.threegate.run.InvalidInputException;
import org.threegate.testing.DyingDisk;
import org.threegate.testing.Seeds;

/** Tests that no finished item is lost, whenever a run is killed. */
class KilledJournalTest {
  @TempDir Path directory;

  /** A finished item. */
  record Item(String name, double value) {}

  private static final List<Item> ITEMS =
      List.of(new Item("ä€", 1), new Item("b", 2), new Item("𝄞", 3));

  private Path path() {
    return directory.resolve("journal");
  }

  private static Journal<Item> open(Path path, boolean resume) throws IOException {
    return Journal.open(path, Item.class, "run", resume);
  }

  private byte[] written() throws IOException {
    try (Journal<Item> journal = open(path(), false)) {
      for (Item item : ITEMS) {
        journal.add(item);
      }
    }
    return Files.readAllBytes(path());
  }

  /** The journal may be cut off at any byte, also within a character. */
  @Test
  void tornLinesAreDropped() throws IOException {
    byte[] all = written();
    for (int length = "run\n".length(); length <= all.length; length++) {
      Files.write(path(), Arrays.copyOf(all, length));
      long lines = new String(all, 0, length, StandardCharsets.UTF_8).lines().count() - 1;
      boolean torn = all[length - 1] != '\n' && all[length - 1] != '}';
      try (Journal<Item> journal = open(path(), true)) {
        assertThat(journal.finished()).isEqualTo(ITEMS.subList(0, (int) lines - (torn ? 1 : 0)));
      }
    }
  }

  @Test
  void goingOnLosesNothingWheneverItIsKilled() throws IOException {
    byte[] all = written();
    boolean dead = true;
    for (int changes = 0; dead; changes++) {
      Files.write(path(), all);
      DyingDisk disk = new DyingDisk(changes, Seeds.random("goingOnLosesNothing"));
      try (Journal<Item> journal = open(disk.path(path()), true)) {
        journal.add(new Item("new", 4));
      } catch (DyingDisk.Death e) {
        assertThat(disk.isDead()).isTrue();
      }
      dead = disk.isDead();
      try (Journal<Item> journal = open(path(), true)) {
        assertThat(journal.finished()).startsWith(ITEMS.toArray(Item[]::new));
      }
      assertThat(AtomicFiles.list(directory)).containsExactly(path());
    }
  }

  @Test
  void journalsOfOtherRunsAndThoseThatAreWrittenAreRefused() throws Exception {
    written();
    assertThatThrownBy(() -> Journal.open(path(), Item.class, "another", true))
        .isInstanceOf(InvalidInputException.class)
        .hasMessageContaining("of other files");
    try (Journal<Item> journal = open(path(), true)) {
      assertThat(journal.finished()).hasSize(ITEMS.size());
      CompletableFuture<String> other =
          CompletableFuture.supplyAsync(
              () -> {
                try (Journal<Item> second = open(path(), true)) {
                  return "opened with " + second.finished();
                } catch (IOException | RuntimeException e) {
                  return e.getMessage();
                }
              });
      assertThat(other.get(1, TimeUnit.MINUTES)).contains("another run is writing it");
    }
    Files.delete(path());
    Files.createDirectory(path());
    assertThatThrownBy(() -> open(path(), true))
        .isInstanceOf(InvalidInputException.class)
        .hasMessageContaining("a directory");
  }
}
