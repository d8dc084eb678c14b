package org.threegate.rl.run;

import java.util.ArrayList;
import java.util.List;

/** Writes the commented example of a configuration file from the descriptions of the keys. */
final class ConfigExample {
  private static final int WIDTH = 100; // of comments

  private ConfigExample() {}

  /**
   * Returns a file with every key and its default. Keys that an algorithm sets are commented out.
   */
  static String text(List<ConfigKey> keys) {
    StringBuilder text = new StringBuilder();
    text.append("# A training run: every key with its default.\n");
    text.append("# Keep the keys that you change, and leave out the rest.\n\n");
    String section = "";
    for (ConfigKey key : keys) {
      if (!key.section().equals(section)) {
        section = key.section();
        text.append("## ").append(section).append("\n\n");
      }
      Key description = key.description();
      String meaning =
          description.meaning() + (description.byAlgorithm() ? " An algorithm may set it." : "");
      wrapped(meaning.replace("`", "")).forEach(line -> text.append(line).append('\n'));
      text.append(description.byAlgorithm() ? "# " : "")
          .append(key.name())
          .append(": ")
          .append(value(key))
          .append("\n\n");
    }
    return text.toString();
  }

  private static String value(ConfigKey key) {
    String standard = key.description().standard();
    return standard.isEmpty() ? "\"\"" : standard;
  }

  /** Breaks a text between words. */
  private static List<String> wrapped(String text) {
    List<String> lines = new ArrayList<>();
    StringBuilder line = new StringBuilder("#");
    for (String word : text.split(" ")) {
      if (line.length() + 1 + word.length() > WIDTH) {
        lines.add(line.toString());
        line = new StringBuilder("#");
      }
      line.append(' ').append(word);
    }
    lines.add(line.toString());
    return lines;
  }
}
