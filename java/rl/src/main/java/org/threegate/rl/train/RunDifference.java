package org.threegate.rl.train;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeSet;
import org.threegate.run.PrintableText;

/** Names what differs between two identifiers of runs, whose lines are a name and a value each. */
final class RunDifference {
  private static final int MOST = 4; // differences that are named
  private static final String CONTENT = "sha256 ";

  private RunDifference() {}

  /** Returns the differences as the end of a sentence, or nothing if no line has a name. */
  static String of(String there, String here) {
    Map<String, String> saved = lines(there);
    Map<String, String> own = lines(here);
    TreeSet<String> names = new TreeSet<>(saved.keySet());
    names.addAll(own.keySet());
    List<String> differences = new ArrayList<>();
    for (String name : names) {
      String before = saved.getOrDefault(name, "");
      String now = own.getOrDefault(name, "");
      if (!before.equals(now)) {
        differences.add(PrintableText.name(name) + difference(before, now));
      }
    }
    if (differences.isEmpty()) {
      return "";
    }
    int more = differences.size() - MOST;
    return ": "
        + String.join("; ", differences.subList(0, Math.min(MOST, differences.size())))
        + (more > 0 ? "; and " + more + " more" : "");
  }

  private static String difference(String before, String now) {
    if (before.isEmpty() || now.isEmpty()) {
      return before.isEmpty() ? " is new here" : " is missing here";
    }
    if (before.startsWith(CONTENT) && now.startsWith(CONTENT)) {
      return " has other contents";
    }
    return " was " + PrintableText.name(before) + " and is " + PrintableText.name(now);
  }

  private static Map<String, String> lines(String text) {
    Map<String, String> lines = new LinkedHashMap<>();
    text.lines()
        .forEach(
            line -> {
              int colon = line.indexOf(": ");
              if (colon > 0) {
                lines.put(line.substring(0, colon), line.substring(colon + 2));
              }
            });
    return lines;
  }
}
