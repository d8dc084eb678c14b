package org.threegate.testing;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Collectors;

/**
 * The tables of {@code docs/glossary.md}, so that tests can compare names in use with names that
 * are explained.
 */
public final class Glossary {
  private static final String KEYS = "## JSON keys";
  private static final String NULL_MODELS = "## Null models";
  private static final String METRICS = "## Metrics of a training run";

  private final Map<String, List<List<String>>> tables;

  private Glossary(Map<String, List<List<String>>> tables) {
    this.tables = tables;
  }

  /** Reads the glossary of this repository. */
  public static Glossary read() throws IOException {
    Path page = Path.of(System.getProperty("threegate.root"), "docs", "glossary.md");
    Map<String, List<List<String>>> tables = new LinkedHashMap<>();
    List<List<String>> table = new ArrayList<>();
    for (String line : Files.readAllLines(page)) {
      if (line.startsWith("## ")) {
        table = tables.computeIfAbsent(line, heading -> new ArrayList<>());
      } else if (line.startsWith("| `")) {
        table.add(Arrays.stream(line.split("\\|")).skip(1).map(String::strip).toList());
      }
    }
    return new Glossary(tables);
  }

  /**
   * Returns the keys of a kind of document.
   *
   * @param document as in the column {@code in}: report, consensus, curvature, study, patch or eval
   */
  public Set<String> keysOf(String document) {
    return tables.get(KEYS).stream()
        .filter(row -> List.of(row.get(1).split(", ")).contains(document))
        .map(row -> name(row.get(0)))
        .collect(Collectors.toCollection(HashSet::new));
  }

  /**
   * Tells whether a metric of a training run is explained: by itself, as that of a null model, or
   * as the standard deviation or error of another one.
   */
  public boolean hasMetric(String metric) {
    String plain = metric.replaceFirst("/s[de]$", "");
    for (String model : names(NULL_MODELS)) {
      plain = plain.endsWith("/" + model) ? plain.substring(0, plain.lastIndexOf('/')) : plain;
    }
    String sought = plain;
    return names(METRICS).stream()
        .map(
            known ->
                "\\Q"
                    + known
                        .replace("LAYER", "\\E.+\\Q")
                        .replace("FUNCTION", "\\E[^/]+\\Q")
                        .replace("METRIC", "\\E[^/]+\\Q")
                        .replace("@K", "@\\E\\d+\\Q")
                    + "\\E")
        .anyMatch(known -> metric.matches(known) || sought.matches(known));
  }

  private List<String> names(String heading) {
    return tables.get(heading).stream().map(row -> name(row.get(0))).toList();
  }

  private static String name(String cell) {
    return cell.substring(1, cell.indexOf('`', 1));
  }
}
