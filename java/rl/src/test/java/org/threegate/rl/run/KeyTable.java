package org.threegate.rl.run;

import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.stream.Collectors;

/** Generates the table of keys in docs/training.md from the records of the configuration. */
final class KeyTable {
  private static final String ROW = "| %s | %s | %s | %s | %s |%n";

  private KeyTable() {}

  /** Returns rows of a key, its class in TRL, and its default in Python. */
  private static List<String[]> rows() throws IOException {
    try (InputStream in = KeyTable.class.getResourceAsStream("/training/trl-keys.tsv")) {
      return new String(in.readAllBytes(), StandardCharsets.UTF_8)
          .lines()
          .filter(line -> !line.startsWith("#"))
          .map(line -> line.split("\t", 3))
          .toList();
    }
  }

  /** Returns TRL's keys with their defaults, in Python. */
  static Map<String, String> trl() throws IOException {
    return rows().stream().collect(Collectors.toMap(row -> row[0], row -> row[2]));
  }

  /** Returns the keys that the configurations of TRL's trainers add to those of transformers. */
  static List<String> ofTrainers() throws IOException {
    return rows().stream()
        .filter(row -> row[1].equals("GRPOConfig") || row[1].equals("RLOOConfig"))
        .map(row -> row[0])
        .toList();
  }

  static String of(Map<String, String> trl) {
    StringBuilder text = new StringBuilder();
    String section = "";
    for (ConfigKey key : ConfigKey.of(TrainingConfig.class)) {
      if (!key.section().equals(section)) {
        section = key.section();
        text.append(
            String.format(
                "%n### %s%n%n",
                section.substring(0, 1).toUpperCase(Locale.ROOT) + section.substring(1)));
        text.append(String.format(ROW, "key", "type", "default", "meaning", "in TRL"));
        text.append(String.format("|---|---|---|---|---|%n"));
      }
      text.append(
          String.format(
              ROW,
              "`" + key.name() + "`",
              type(key),
              standard(key),
              key.description().meaning(),
              trl(key, trl)));
    }
    return text.append('\n').toString();
  }

  /** Returns the row of the table of presets. */
  static String preset(Algorithm algorithm) {
    Map<String, Object> preset = algorithm.preset();
    String set =
        Algorithm.keys().stream()
            .filter(preset::containsKey)
            .map(key -> "`" + key + ": " + ConfigYaml.node(preset.get(key)).asText() + "`")
            .collect(Collectors.joining(", "));
    return "| `" + ConfigKey.label(algorithm) + "` | " + (set.isEmpty() ? "–" : set) + " |\n";
  }

  private static String type(ConfigKey key) {
    return key.type().isEnum() ? "word" : key.typeName().replaceFirst("^an? ", "").split(",")[0];
  }

  private static String standard(ConfigKey key) {
    String value = key.description().standard();
    String own = value.isEmpty() || value.equals("\"\"") ? "" : "`" + value + "`";
    return own + (key.description().byAlgorithm() ? (own.isEmpty() ? "†" : " †") : "");
  }

  /** Says whether TRL has the key, and the same default. */
  private static String trl(ConfigKey key, Map<String, String> trl) {
    String note = key.description().trl();
    if (!trl.containsKey(key.name())) {
      return note.isEmpty() ? "–" : note;
    }
    String theirs = trl.get(key.name()).replace("'", "");
    String same =
        isSame(key.description().standard(), theirs)
            ? "same"
            : "same name, default `" + theirs + "`";
    return note.isEmpty() ? same : same + "; " + note;
  }

  private static boolean isSame(String own, String theirs) {
    if (theirs.equals("None")) {
      return own.isEmpty() || own.equals("{}") || own.equals("[]");
    }
    try {
      return Double.parseDouble(own) == Double.parseDouble(theirs);
    } catch (NumberFormatException e) {
      return own.equalsIgnoreCase(theirs);
    }
  }
}
