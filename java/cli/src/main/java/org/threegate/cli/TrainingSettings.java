package org.threegate.cli;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.type.TypeReference;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import com.fasterxml.jackson.dataformat.yaml.YAMLFactory;
import com.fasterxml.jackson.dataformat.yaml.YAMLParser;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import org.threegate.file.InputFiles;
import org.threegate.run.InvalidInputException;
import org.yaml.snakeyaml.LoaderOptions;
import org.yaml.snakeyaml.error.YAMLException;

/**
 * The settings of a run: the embedded example, which has every key, and what a file and the command
 * line change.
 */
final class TrainingSettings {
  private static final String EXAMPLE = "train.yaml";
  private static final List<String> INPUTS = List.of("model", "data.train", "data.test", "mask");
  private static final int LARGEST = 1 << 20; // bytes of a configuration
  private static final int DEEPEST = 20;
  private static final int LONGEST_KEY = 100; // for which another is suggested
  private static final ObjectMapper YAML =
      new ObjectMapper(
          YAMLFactory.builder()
              .loaderOptions(limits())
              .enable(YAMLParser.Feature.EMPTY_STRING_AS_NULL)
              .build());

  /** Keys whose values are mappings with keys of their own. */
  private static final Set<String> OPEN = Set.of("template.arguments");

  private final Map<String, JsonNode> values;

  private TrainingSettings(Map<String, JsonNode> values) {
    this.values = values;
  }

  private static LoaderOptions limits() {
    LoaderOptions limits = new LoaderOptions();
    limits.setCodePointLimit(LARGEST);
    limits.setNestingDepthLimit(DEEPEST);
    limits.setMaxAliasesForCollections(0);
    limits.setAllowRecursiveKeys(false);
    return limits;
  }

  /** The commented example. */
  static String example() {
    try (InputStream in = TrainingSettings.class.getResourceAsStream(EXAMPLE)) {
      return new String(in.readAllBytes(), StandardCharsets.UTF_8);
    } catch (IOException e) {
      throw new IllegalStateException(e);
    }
  }

  /**
   * Reads a file.
   *
   * @param changes {@code key=value} each
   * @throws InvalidInputException for a key that does not exist, with the nearest one, or a value
   *     of another kind
   */
  static TrainingSettings read(Path path, List<String> changes) {
    Map<String, JsonNode> values = flat("", parse(example(), EXAMPLE));
    Map<String, JsonNode> own = flat("", parse(InputFiles.text(path, LARGEST), path.toString()));
    own.forEach((key, value) -> put(values, key, value, path.toString()));
    for (String change : changes) {
      int equals = change.indexOf('=');
      if (equals < 1) {
        throw new InvalidInputException("--set " + change + ": not of the form key=value");
      }
      String key = change.substring(0, equals).strip();
      put(values, key, value(change.substring(equals + 1), "--set " + key), "--set");
    }
    return new TrainingSettings(values);
  }

  private static JsonNode parse(String text, String where) {
    JsonNode node = value(text, where);
    if (node.isMissingNode() || node.isNull()) {
      return YAML.createObjectNode();
    }
    if (!node.isObject()) {
      throw new InvalidInputException(where + ": no mapping of keys to values");
    }
    return node;
  }

  private static JsonNode value(String text, String where) {
    try {
      return YAML.readTree(text);
    } catch (JsonProcessingException e) {
      throw new InvalidInputException(
          where + ": not YAML: " + e.getOriginalMessage().lines().findFirst().orElse(""), e);
    } catch (YAMLException | NumberFormatException e) {
      throw new InvalidInputException(where + ": not YAML: " + e.getMessage(), e);
    }
  }

  /** Keys of sections as {@code section.key}. */
  private static Map<String, JsonNode> flat(String section, JsonNode tree) {
    Map<String, JsonNode> flat = new LinkedHashMap<>();
    for (Map.Entry<String, JsonNode> field : tree.properties()) {
      String key = section + field.getKey();
      if (field.getValue().isObject() && !OPEN.contains(key)) {
        flat.putAll(flat(key + ".", field.getValue()));
      } else {
        flat.put(key, field.getValue());
      }
    }
    return flat;
  }

  private static void put(Map<String, JsonNode> values, String key, JsonNode value, String where) {
    int dot = key.lastIndexOf('.');
    if (dot > 0 && OPEN.contains(key.substring(0, dot))) {
      ObjectNode all = values.get(key.substring(0, dot)).deepCopy();
      all.set(key.substring(dot + 1), value);
      values.put(key.substring(0, dot), all);
      return;
    }
    JsonNode before = values.get(key);
    if (before == null) {
      throw new InvalidInputException(
          where
              + ": there is no key \""
              + key
              + "\"; did you mean \""
              + nearest(values, key)
              + "\"?");
    }
    JsonNode read = value;
    if (before.isDouble() && isNumber(value)) {
      read = YAML.getNodeFactory().numberNode(Double.parseDouble(value.asText()));
    } else if (before.isTextual() && (value.isNull() || value.isMissingNode())) {
      read = YAML.getNodeFactory().textNode("");
    } else if (before.isTextual() && value.isValueNode()) {
      read = YAML.getNodeFactory().textNode(value.asText());
    }
    if (before.isDouble() && !isNumber(read)
        || read.getNodeType() != before.getNodeType()
        || before.isInt() != read.isInt()) {
      throw new InvalidInputException(
          where + ": " + key + " is " + value + "; it must be " + kind(before));
    }
    values.put(key, read);
  }

  /** A finite one; YAML takes 1e-5 for a text. */
  private static boolean isNumber(JsonNode value) {
    try {
      return (value.isTextual() || value.isNumber())
          && Double.isFinite(Double.parseDouble(value.asText()));
    } catch (NumberFormatException e) {
      return false;
    }
  }

  private static String kind(JsonNode like) {
    return switch (like.getNodeType()) {
      case NUMBER -> like.isInt() ? "a whole number" : "a number";
      case BOOLEAN -> "true or false";
      case ARRAY -> "a list";
      case OBJECT -> "a mapping";
      default -> "a text";
    };
  }

  /** By the fewest letters that differ. */
  private static String nearest(Map<String, JsonNode> values, String whole) {
    String key = whole.substring(0, Math.min(whole.length(), LONGEST_KEY));
    String best = "";
    int fewest = Integer.MAX_VALUE;
    for (String candidate : values.keySet()) {
      int own = distance(key, candidate);
      int ofLast = 1 + distance(key, candidate.substring(candidate.lastIndexOf('.') + 1));
      if (Math.min(own, ofLast) < fewest) {
        fewest = Math.min(own, ofLast);
        best = candidate;
      }
    }
    return best;
  }

  /** Levenshtein's. */
  private static int distance(String first, String second) {
    int[] row = new int[second.length() + 1];
    for (int j = 0; j < row.length; j++) {
      row[j] = j;
    }
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

  /** The same with another text. */
  TrainingSettings with(String key, String text) {
    Map<String, JsonNode> all = new LinkedHashMap<>(values);
    put(all, key, YAML.getNodeFactory().textNode(text), key);
    return new TrainingSettings(all);
  }

  String text(String key) {
    return values.get(key).asText();
  }

  /** One of the words that a key knows. */
  String word(String key, List<String> known) {
    String word = text(key).toLowerCase(Locale.ROOT);
    if (!known.contains(word)) {
      throw new InvalidInputException(
          key + " is \"" + word + "\"; there are " + String.join(", ", known));
    }
    return word;
  }

  /** A file or directory that has to be given. */
  Path path(String key) {
    if (text(key).isEmpty()) {
      throw new InvalidInputException(key + " is missing in the configuration");
    }
    return OutputGuard.path(text(key), key + ": ");
  }

  /** Files and directories that are read, those that are given. */
  List<Path> inputs() {
    return INPUTS.stream().filter(key -> !text(key).isEmpty()).map(this::path).toList();
  }

  int integer(String key) {
    return values.get(key).asInt();
  }

  double number(String key) {
    return values.get(key).asDouble();
  }

  boolean flag(String key) {
    return values.get(key).asBoolean();
  }

  List<String> texts(String key) {
    List<String> texts = new ArrayList<>();
    values.get(key).forEach(value -> texts.add(value.asText()));
    return texts;
  }

  /** A mapping with keys that nobody knows here. */
  Map<String, Object> mapping(String key) {
    return YAML.convertValue(values.get(key), new TypeReference<>() {});
  }

  /** All of them, as a file that may be read again. */
  String yaml() throws IOException {
    ObjectNode tree = YAML.createObjectNode();
    values.forEach(
        (key, value) -> {
          int dot = key.indexOf('.');
          if (dot < 0) {
            tree.set(key, value);
          } else {
            tree.withObjectProperty(key.substring(0, dot)).set(key.substring(dot + 1), value);
          }
        });
    return YAML.writeValueAsString(tree);
  }
}
