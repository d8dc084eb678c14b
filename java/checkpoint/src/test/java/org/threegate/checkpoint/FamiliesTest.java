package org.threegate.checkpoint;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import org.junit.jupiter.api.Test;

/**
 * Tests that the table of docs/families.md is what the code makes of models of these families. The
 * names and shapes are those of small models of transformers; {@code src/test/python/families.py}
 * collects them. A run writes the table to {@code target/families.md}.
 */
class FamiliesTest {
  private static final Set<TensorKind> PLAIN =
      Set.of(TensorKind.NORM, TensorKind.BIAS, TensorKind.EMBED, TensorKind.LM_HEAD);

  /** What the code makes of the matrices of one model. */
  private static final class Row {
    private final Set<String> kinds = new TreeSet<>();
    private final Map<String, Integer> heads = new LinkedHashMap<>();
    private final Set<String> transposed = new LinkedHashSet<>();
    private final Set<String> others = new TreeSet<>();

    void add(Architecture architecture, String name, List<Long> shape) {
      TensorKind kind = architecture.kind(name, shape.size());
      if (shape.size() < 2 || PLAIN.contains(kind)) {
        return;
      }
      if (kind == TensorKind.OTHER) {
        others.add(name.replaceFirst("^.*\\.\\d+\\.", "").replaceFirst("\\.weight$", ""));
        return;
      }
      boolean transposed = architecture.isTransposed(name, shape.size());
      if (transposed) {
        this.transposed.add(kind.label());
      }
      if (shape.size() > 2) {
        kinds.add(kind.label());
        return;
      }
      long rows = shape.get(transposed ? 1 : 0);
      long columns = shape.get(transposed ? 0 : 1);
      List<Architecture.Part> parts =
          transposed ? List.of() : architecture.parts(name, kind, rows, columns);
      for (Architecture.Part part : parts) {
        kinds.add(part.kind().label() + " in " + kind.label());
        count(architecture, name, part.kind(), part.end() - part.begin(), columns);
      }
      if (parts.isEmpty()) {
        kinds.add(kind.label());
        count(architecture, name, kind, rows, columns);
      }
    }

    private void count(
        Architecture architecture, String name, TensorKind kind, long rows, long columns) {
      int count = architecture.heads(name, kind, rows, columns).size();
      if (count > 0) {
        heads.merge(kind.label(), count, Math::max);
      }
    }

    String line(String family) {
      List<String> counted = new ArrayList<>();
      new java.util.TreeMap<>(heads).forEach((kind, count) -> counted.add(kind + " " + count));
      return "| `"
          + family
          + "` | "
          + join(kinds)
          + " | "
          + join(counted)
          + " | "
          + join(transposed)
          + " | "
          + join(others)
          + " |";
    }

    private static String join(Iterable<String> words) {
      String joined = String.join(", ", words);
      return joined.isEmpty() ? "–" : joined;
    }
  }

  @Test
  void theTableOfTheDocumentationIsWhatTheCodeMakesOfThem() throws IOException {
    JsonNode models =
        new ObjectMapper().readTree(Path.of("src/test/resources/families/families.json").toFile());
    List<String> lines = new ArrayList<>();
    for (Map.Entry<String, JsonNode> model : models.properties()) {
      Architecture architecture =
          new Architecture(
              ModelConfig.parse(JsonFields.of(model.getValue().path("config"), model.getKey())));
      Row row = new Row();
      for (Map.Entry<String, JsonNode> tensor : model.getValue().path("tensors").properties()) {
        List<Long> shape = new ArrayList<>();
        tensor.getValue().forEach(size -> shape.add(size.asLong()));
        row.add(architecture, tensor.getKey(), shape);
      }
      lines.add(row.line(model.getKey()));
    }
    assertThat(lines).hasSizeGreaterThan(60);
    Files.write(Path.of("target/families.md"), lines);
    Path page = Path.of(System.getProperty("threegate.root")).resolve("docs/families.md");
    List<String> rows =
        Files.readAllLines(page).stream().filter(line -> line.startsWith("| `")).toList();
    assertThat(rows).containsExactlyElementsOf(lines);
  }
}
