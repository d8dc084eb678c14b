package org.threegate.analysis.journal;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.threegate.run.InvalidInputException;

/**
 * Tests that a resumed journal is validated like any other file. Entries that no run can have
 * written are dropped.
 */
class JournalTest {
  @TempDir Path directory;

  record Item(
      String name, long count, double value, Optional<long[]> rows, Map<String, Part> parts) {}

  record Part(int size, List<Long> shape) {}

  private static final Item ITEM =
      new Item(
          "ü",
          3,
          Double.NaN,
          Optional.of(new long[] {1, 2}),
          Map.of("p", new Part(4, List.of(5L, 6L))));

  private List<Item> goOn(String... lines) throws IOException {
    Path file = directory.resolve("journal");
    Files.writeString(file, "of this\n" + String.join("\n", lines));
    try (Journal<Item> journal = Journal.open(file, Item.class, "of this", true)) {
      return journal.finished();
    }
  }

  @Test
  void whatARunWroteIsThere() throws IOException {
    String line = Journal.encode(ITEM);
    List<Item> finished = goOn(line, line, line.substring(0, line.length() / 2));
    assertThat(finished).hasSize(2);
    assertThat(Journal.encode(finished.get(1))).isEqualTo(line);
    assertThat(directory.resolve("journal")).hasContent("of this\n" + line + "\n" + line + "\n");
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "\"count\":3 -> \"count\":-3",
        "\"count\":3 -> \"count\":3.5",
        "\"count\":3 -> \"count\":\"3\"",
        "\"count\":3 -> \"count\":1e99",
        "\"count\":3 -> \"count\":null",
        "\"count\":3, -> ",
        "\"name\":\"ü\" -> \"name\":null",
        "\"size\":4 -> \"size\":-4",
        "\"shape\":[5,6] -> \"shape\":[5,-6]",
        "\"shape\":[5,6] -> \"shape\":[5,null]",
        "\"shape\":[5,6] -> \"shape\":null",
        "[1,2] -> [1,-2]",
        "\"NaN\" -> \"nan\"",
        "{\"p\":{\"size\":4,\"shape\":[5,6]}} -> {\"p\":null}",
        "{\"p\":{\"size\":4,\"shape\":[5,6]}} -> null",
        "{\"name\" -> {\"other\":1,\"name\"",
      })
  void whatNoRunHasWrittenIsDropped(String change) throws IOException {
    String[] sides = change.split(" ->", 2);
    String line = Journal.encode(ITEM);
    assertThat(line).contains(sides[0]);
    assertThat(goOn(line.replace(sides[0], sides[1].strip()), line)).isEmpty();
  }

  @Test
  void linesNestTooDeeplyForNothing() throws IOException {
    assertThat(goOn("[".repeat(1_000_000), "{\"parts\":".repeat(100_000))).isEmpty();
  }

  @Test
  void whatIsNoFileIsRefused() {
    assertThatThrownBy(() -> Journal.open(directory, Item.class, "of this", true))
        .isInstanceOf(InvalidInputException.class)
        .hasMessageContaining("a directory");
    assertThatThrownBy(() -> Journal.open(Path.of("/dev/zero"), Item.class, "of this", true))
        .isInstanceOf(InvalidInputException.class)
        .hasMessageContaining("a pipe or a device");
  }

  /**
   * A new journal replaces a link, whose target stays unchanged, and a pipe, which nobody reads.
   */
  @Test
  void aNewJournalIsWrittenThroughNothing() throws IOException, InterruptedException {
    Path target = Files.writeString(directory.resolve("target"), "somebody's");
    Path link = Files.createSymbolicLink(directory.resolve("link"), target);
    Path pipe = directory.resolve("pipe");
    new ProcessBuilder("mkfifo", pipe.toString()).start().waitFor();
    for (Path path : List.of(link, pipe)) {
      try (Journal<Item> journal = Journal.open(path, Item.class, "of this", false)) {
        journal.add(ITEM);
      }
      assertThat(path).isRegularFile().hasContent("of this\n" + Journal.encode(ITEM) + "\n");
    }
    assertThat(link).isRegularFile();
    assertThat(target).hasContent("somebody's");
    assertThat(directory).isDirectoryNotContaining(file -> file.toString().contains("partial"));
  }
}
