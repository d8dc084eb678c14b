package org.threegate.rl.run;

import java.lang.reflect.ParameterizedType;
import java.lang.reflect.RecordComponent;
import java.lang.reflect.Type;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import org.threegate.patch.PatchFormat;

/**
 * A key of a configuration: a component of one of the nested records.
 *
 * @param name the name in files
 * @param description what the key means, and its default
 * @param path the components that lead to it, the last of which has the value
 */
record ConfigKey(String name, Key description, List<RecordComponent> path) {
  private static final int LONGEST = 100; // characters of a key for which a suggestion is searched

  /** Returns the keys of a record and of the records in it, in their order. */
  static List<ConfigKey> of(Class<? extends Record> type) {
    List<ConfigKey> keys = new ArrayList<>();
    collect(type, List.of(), keys);
    return List.copyOf(keys);
  }

  private static void collect(Class<?> type, List<RecordComponent> path, List<ConfigKey> keys) {
    for (RecordComponent component : type.getRecordComponents()) {
      List<RecordComponent> own = new ArrayList<>(path);
      own.add(component);
      if (component.getType().isRecord()) {
        collect(component.getType(), own, keys);
      } else {
        keys.add(
            new ConfigKey(
                snake(component.getName()), component.getAnnotation(Key.class), List.copyOf(own)));
      }
    }
  }

  /** Returns a Java name in snake case. */
  static String snake(String name) {
    return name.replaceAll("([A-Z])", "_$1").toLowerCase(Locale.ROOT);
  }

  private RecordComponent component() {
    return path.get(path.size() - 1);
  }

  /** Returns the name of the record that the key is in, at the top. */
  String section() {
    return path.get(0).getName();
  }

  /** Returns the type of the value, without {@code Optional} around it. */
  Class<?> type() {
    return component().getType() == Optional.class
        ? (Class<?>) argument(component().getGenericType())
        : component().getType();
  }

  private static Type argument(Type generic) {
    return ((ParameterizedType) generic).getActualTypeArguments()[0];
  }

  boolean isOptional() {
    return component().getType() == Optional.class;
  }

  boolean isMap() {
    return component().getType() == Map.class;
  }

  /** Returns the type of a list's members. */
  Optional<Class<?>> memberType() {
    return component().getType() == List.class
        ? Optional.of((Class<?>) argument(component().getGenericType()))
        : Optional.empty();
  }

  /** Returns the value of the key in a configuration. */
  Object value(Record config) {
    Object value = config;
    try {
      for (RecordComponent component : path) {
        value = component.getAccessor().invoke(value);
      }
    } catch (ReflectiveOperationException e) {
      throw new IllegalStateException(e);
    }
    return value;
  }

  /** Returns what a value must be, for errors and for the table of keys. */
  String typeName() {
    if (type().isEnum()) {
      return "one of " + String.join(", ", labels(type()));
    }
    if (memberType().isPresent()) {
      return "a list";
    }
    return switch (type().getSimpleName()) {
      case "int", "long", "Integer" -> "a whole number";
      case "double", "Double" -> "a number";
      case "boolean" -> "true or false";
      case "Path" -> "a path";
      case "Map" -> "a mapping";
      case "URI" -> "an address";
      case "LocalDate" -> "a day, such as 2026-01-31";
      default -> "a text";
    };
  }

  /** Returns the labels of an enum's constants, in their order. */
  static List<String> labels(Class<?> type) {
    return Arrays.stream(type.getEnumConstants()).map(ConfigKey::label).toList();
  }

  /** Returns the label of a constant: the lower-case name, with hyphens where these have them. */
  static String label(Object constant) {
    String name = ((Enum<?>) constant).name().toLowerCase(Locale.ROOT);
    return constant instanceof PatchFormat format ? format.label() : name;
  }

  /** Returns the key whose name is nearest to one that does not exist. */
  static ConfigKey nearest(List<ConfigKey> keys, String wrong) {
    String name = wrong.substring(0, Math.min(wrong.length(), LONGEST));
    String last = name.substring(name.lastIndexOf('.') + 1);
    ConfigKey best = keys.get(0);
    int fewest = Integer.MAX_VALUE;
    for (ConfigKey key : keys) {
      int distance = Math.min(distance(name, key.name()), 1 + distance(last, key.name()));
      if (distance < fewest) {
        fewest = distance;
        best = key;
      }
    }
    return best;
  }

  /** Returns the Levenshtein distance. */
  private static int distance(String first, String second) {
    int[] row = new int[second.length() + 1];
    Arrays.setAll(row, j -> j);
    for (int i = 1; i <= first.length(); i++) {
      int diagonal = row[0];
      row[0] = i;
      for (int j = 1; j < row.length; j++) {
        int changed = diagonal + (first.charAt(i - 1) == second.charAt(j - 1) ? 0 : 1);
        diagonal = row[j];
        row[j] = Math.min(changed, 1 + Math.min(row[j], row[j - 1]));
      }
    }
    return row[second.length()];
  }
}
