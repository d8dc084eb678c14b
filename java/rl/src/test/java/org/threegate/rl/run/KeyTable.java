package org.threegate.rl.run;

import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.Locale;
import java.util.Map;

/** Generates the table of keys in docs/training.md from the records of the configuration. */
final class KeyTable {
  private static final String ROW = "| %s | %s | %s | %s | %s |%n";

  private KeyTable() {}

  /** Returns TRL's keys with their defaults, in Python. */
  static Map<String, String> trl() throws IOException {
    Map<String, String> keys = new HashMap<>();
    try (InputStream in = KeyTable.class.getResourceAsStream("/training/trl-keys.tsv")) {
      new String(in.readAllBytes(), StandardCharsets.UTF_8)
          .lines()
          .filter(line -> !line.startsWith("#"))
          .map(line -> line.split("\t", 2))
          .forEach(pair -> keys.put(pair[0], pair[1]));
    }
    return keys;
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

  private static String type(ConfigKey key) {
    return key.type().isEnum() ? "word" : key.typeName().replaceFirst("^an? ", "").split(",")[0];
  }

  private static String standard(ConfigKey key) {
    if (key.description().byAlgorithm()) {
      return "by algorithm";
    }
    String value = key.description().standard();
    return value.isEmpty() || value.equals("\"\"") ? "" : "`" + value + "`";
  }

  /** Says whether TRL has the key, and the same default. */
  private static String trl(ConfigKey key, Map<String, String> trl) {
    String note = key.description().trl();
    if (!trl.containsKey(key.name())) {
      return note.isEmpty() ? "–" : note;
    }
    String theirs = trl.get(key.name()).replace("'", "");
    String own = key.description().byAlgorithm() ? "" : key.description().standard();
    boolean isSame = !key.description().byAlgorithm() && isSame(own, theirs);
    String same = isSame ? "same" : "same name, default `" + theirs + "`";
    return note.isEmpty() ? same : same + "; " + note;
  }

  private static boolean isSame(String own, String theirs) {
    if (theirs.equals("None")) {
      return own.isEmpty() || own.equals("{}");
    }
    try {
      return Double.parseDouble(own) == Double.parseDouble(theirs);
    } catch (NumberFormatException e) {
      return own.equalsIgnoreCase(theirs);
    }
  }
}
