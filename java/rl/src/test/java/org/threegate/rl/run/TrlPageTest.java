package org.threegate.rl.run;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.Function;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;
import org.threegate.checkpoint.Json;

/** Tests the tables of docs/coming-from-trl.md against TRL's keys and those of configurations. */
class TrlPageTest {
  private static final String HEAD = "| TRL | default | here | default | verl | difference |";
  private static final String NONE = "–";

  /** A row of a table, without the marks of code. */
  private record Row(String theirs, String theirDefault, String own, String ownDefault) {
    static Row of(String line) {
      List<String> cells =
          List.of(line.replace("`", "").split("\\|", -1)).stream().map(String::strip).toList();
      assertThat(cells).as(line).hasSize(8);
      assertThat(cells.subList(1, 7)).as(line).doesNotContain("");
      return new Row(cells.get(1), cells.get(2), cells.get(3), cells.get(4));
    }
  }

  private static String page() throws IOException {
    return Files.readString(
        Path.of(System.getProperty("threegate.root"), "docs", "coming-from-trl.md"));
  }

  private static Map<String, Row> rows() throws IOException {
    Map<String, Row> rows = new TreeMap<>();
    boolean inside = false;
    for (String line : page().lines().toList()) {
      inside = line.equals(HEAD) || inside && line.startsWith("|");
      if (inside && line.startsWith("| `")) {
        Row row = Row.of(line);
        assertThat(rows.put(row.theirs(), row)).as("the key has one row").isNull();
      }
    }
    return rows;
  }

  @Test
  void everyKeyOfTrlsConfigurationsIsExplained() throws IOException {
    assertThat(rows().keySet()).containsAll(KeyTable.ofTrainers());
  }

  @Test
  void defaultsAreThoseOfTrlAndOfTheKeys() throws IOException {
    Map<String, String> trl = KeyTable.trl();
    Map<String, ConfigKey> keys =
        ConfigKey.of(TrainingConfig.class).stream()
            .collect(Collectors.toMap(ConfigKey::name, Function.identity()));
    for (Row row : rows().values()) {
      assertThat(trl).containsKey(row.theirs());
      String theirs = trl.get(row.theirs()).replace("'", "");
      assertThat(row.theirDefault()).as(row.theirs()).isEqualTo(theirs.isEmpty() ? NONE : theirs);
      if (row.own().equals(NONE)) {
        assertThat(row.ownDefault()).isEqualTo(NONE);
        assertThat(keys).as("the key exists").doesNotContainKey(row.theirs());
      } else {
        assertThat(keys).containsKey(row.own());
        String own = keys.get(row.own()).description().standard();
        assertThat(row.ownDefault())
            .as(row.own())
            .isEqualTo(own.isEmpty() || own.equals("\"\"") ? NONE : own);
      }
    }
  }

  /** Each of our keys that TRL has is in the tables under its name. */
  @Test
  void sharedKeysAreInTheTables() throws IOException {
    Map<String, Row> rows = rows();
    Map<String, String> trl = KeyTable.trl();
    List<String> missing = new ArrayList<>();
    for (ConfigKey key : ConfigKey.of(TrainingConfig.class)) {
      if (trl.containsKey(key.name())
          && (!rows.containsKey(key.name()) || !rows.get(key.name()).own().equals(key.name()))) {
        missing.add(key.name());
      }
    }
    assertThat(missing).isEmpty();
  }

  @Test
  void thePageHasTheNumberOfComparedCells() throws IOException {
    int cells =
        Json.readObject(Path.of("src/test/resources/objectives/trl.json")).path("cells").size();
    assertThat(page()).contains(cells + " combinations of options");
  }
}
