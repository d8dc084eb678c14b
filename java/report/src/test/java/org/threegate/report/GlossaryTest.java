package org.threegate.report;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.annotation.JsonProperty;
import com.fasterxml.jackson.annotation.JsonUnwrapped;
import java.io.IOException;
import java.lang.reflect.ParameterizedType;
import java.lang.reflect.RecordComponent;
import java.lang.reflect.Type;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;
import org.threegate.testing.Glossary;

/** Tests that every key of a report and every column of a table is in {@code docs/glossary.md}. */
class GlossaryTest {
  /** Keys of documents by the name of the document in the glossary. */
  private static final Map<String, Set<String>> KEYS =
      Map.of(
          "report", keys(ComparisonJson.class),
          "consensus", keys(ConsensusJson.class),
          "curvature", keys(CurvatureJson.class),
          "study", keys(StudyJson.class),
          "calibration", keys(CalibrationJson.class));

  private static Set<String> keys(Class<?> document) {
    Set<String> keys = new TreeSet<>();
    collect(document, keys, new HashSet<>());
    return keys;
  }

  /**
   * Collects the keys of a record and of its components. Keys of maps are left out, because they
   * are names of tensors, kinds or null models.
   */
  private static void collect(Type type, Set<String> keys, Set<Type> seen) {
    if (type instanceof ParameterizedType generic) {
      Type[] arguments = generic.getActualTypeArguments();
      collect(arguments[arguments.length - 1], keys, seen);
    } else if (type instanceof Class<?> record && record.isRecord() && seen.add(record)) {
      for (RecordComponent component : record.getRecordComponents()) {
        if (component.getGenericType().getTypeName().contains(MapJson.class.getName())) {
          continue; // Maps are data for pages. Files do not contain them.
        }
        JsonProperty named = component.getAccessor().getAnnotation(JsonProperty.class);
        if (!component.getAccessor().isAnnotationPresent(JsonUnwrapped.class)) {
          keys.add(named == null ? component.getName() : named.value());
        }
        collect(component.getGenericType(), keys, seen);
      }
    }
  }

  @Test
  void everyKeyOfAReportIsInTheGlossary() throws IOException {
    Glossary glossary = Glossary.read();
    Map<String, Set<String>> missing = new TreeMap<>();
    KEYS.forEach(
        (document, keys) -> {
          Set<String> unknown = new TreeSet<>(keys);
          unknown.removeAll(glossary.keysOf(document));
          missing.put(document, unknown);
        });
    assertThat(missing.values()).as(missing.toString()).allMatch(Set::isEmpty);
  }

  @Test
  void theGlossaryListsNoKeyThatAReportDoesNotHave() throws IOException {
    Glossary glossary = Glossary.read();
    Map<String, Set<String>> stale = new TreeMap<>();
    KEYS.forEach(
        (document, keys) -> {
          Set<String> unknown = new TreeSet<>(glossary.keysOf(document));
          unknown.removeAll(keys);
          stale.put(document, unknown);
        });
    assertThat(stale.values()).as(stale.toString()).allMatch(Set::isEmpty);
  }

  /**
   * A column is a flattened path of {@code report.json}. For example, {@code nssNull.z} is
   * nssNullZ.
   */
  @Test
  void everyColumnIsAKeyOrAFlattenedPath() throws IOException {
    List<String> keys =
        Glossary.read().keysOf("report").stream()
            .flatMap(key -> java.util.stream.Stream.of(key, capital(key)))
            .toList();
    Set<String> unknown =
        TensorTable.columns().stream()
            .map(TensorTable.Column::name)
            .filter(column -> !isPath(column, keys))
            .collect(Collectors.toCollection(TreeSet::new));
    assertThat(unknown).isEmpty();
  }

  private static boolean isPath(String column, List<String> keys) {
    return column.isEmpty()
        || keys.stream()
            .filter(column::startsWith)
            .anyMatch(key -> isPath(column.substring(key.length()), keys));
  }

  private static String capital(String key) {
    return Character.toUpperCase(key.charAt(0)) + key.substring(1);
  }
}
