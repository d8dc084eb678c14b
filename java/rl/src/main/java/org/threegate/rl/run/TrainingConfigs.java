package org.threegate.rl.run;

import com.fasterxml.jackson.databind.JsonMappingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import org.threegate.file.InputFiles;
import org.threegate.run.InvalidInputException;

/**
 * Reads and writes configurations of training runs.
 *
 * <pre>{@code
 * TrainingConfig config =
 *     TrainingConfigs.read(Path.of("run.yaml"), Map.of("learning_rate", "3e-5"), "the command line");
 * System.out.print(TrainingConfigs.yaml(config));
 * }</pre>
 */
public final class TrainingConfigs {
  private static final String ALGORITHM = "algorithm";
  private static final List<ConfigKey> KEYS = ConfigKey.of(TrainingConfig.class);
  private static final JsonNodeFactory NODES = JsonNodeFactory.instance;
  private static final Map<String, JsonNode> STANDARDS = standards();

  private TrainingConfigs() {}

  private static Map<String, JsonNode> standards() {
    Map<String, JsonNode> standards = new LinkedHashMap<>();
    for (ConfigKey key : KEYS) {
      standards.put(key.name(), ConfigYaml.parse(key.description().standard(), key.name()));
    }
    return standards;
  }

  /** A value, and the source that errors name. */
  private record Given(JsonNode value, String where) {}

  /**
   * Creates a configuration from values.
   *
   * @param values values by key. All other keys have their defaults
   * @return the configuration
   * @throws InvalidInputException when a key does not exist or a value is out of range
   */
  public static TrainingConfig of(Map<String, ?> values) {
    Map<String, Given> given = new LinkedHashMap<>();
    values.forEach(
        (key, value) -> put(given, key, new Given(ConfigYaml.node(value), "configuration")));
    return bind(given);
  }

  /**
   * Reads a configuration file.
   *
   * @param file the YAML file
   * @param changes YAML values by key, which override those of the file
   * @param source the name of the source of the changes in errors
   * @return the configuration
   * @throws InvalidInputException when a key does not exist, with the nearest key, or when a value
   *     is out of range. The message names the file or the source, and the key
   */
  public static TrainingConfig read(Path file, Map<String, String> changes, String source) {
    Map<String, Given> given = new LinkedHashMap<>();
    String where = file.toString();
    for (Map.Entry<String, JsonNode> field :
        ConfigYaml.mapping(InputFiles.text(file, ConfigYaml.LARGEST), where).properties()) {
      put(given, field.getKey(), new Given(field.getValue(), where));
    }
    changes.forEach(
        (key, text) ->
            put(given, key, new Given(ConfigYaml.parse(text, source + " " + key), source)));
    return bind(given);
  }

  /**
   * {@return a configuration with other values of some keys}
   *
   * @param config the configuration, which stays unchanged
   * @param changes values by key
   */
  public static TrainingConfig with(TrainingConfig config, Map<String, ?> changes) {
    Map<String, Object> values = new LinkedHashMap<>();
    for (ConfigKey key : KEYS) {
      if (!changes.containsKey(ALGORITHM) || !key.description().byAlgorithm()) {
        values.put(key.name(), key.value(config));
      }
    }
    values.putAll(changes);
    return of(values);
  }

  /** Adds a value. {@code key.name} sets a member of a key whose value is a mapping. */
  private static void put(Map<String, Given> given, String name, Given value) {
    int dot = name.indexOf('.');
    Optional<ConfigKey> mapping = find(dot < 0 ? "" : name.substring(0, dot));
    if (mapping.filter(ConfigKey::isMap).isPresent()) {
      String key = mapping.get().name();
      ObjectNode members = ConfigYaml.object();
      if (given.containsKey(key) && given.get(key).value() instanceof ObjectNode before) {
        members.setAll(before);
      }
      members.set(name.substring(dot + 1), value.value());
      given.put(key, new Given(members, value.where()));
      return;
    }
    ConfigKey key =
        find(name)
            .orElseThrow(
                () ->
                    new InvalidInputException(
                        value.where()
                            + ": there is no key \""
                            + name
                            + "\"; did you mean \""
                            + ConfigKey.nearest(KEYS, name).name()
                            + "\"?"));
    given.put(name, new Given(normal(key, value), value.where()));
  }

  private static Optional<ConfigKey> find(String name) {
    return KEYS.stream().filter(key -> key.name().equals(name)).findFirst();
  }

  /** Normalizes a value for the mapper, where YAML allows several notations. */
  private static JsonNode normal(ConfigKey key, Given given) {
    JsonNode value = given.value().isMissingNode() ? NODES.nullNode() : given.value();
    boolean empty = value.isNull() || value.isTextual() && value.asText().isEmpty();
    if (key.isOptional() && empty) {
      return NODES.nullNode();
    }
    if (key.type() == String.class && empty) {
      return NODES.textNode("");
    }
    if (empty) {
      throw wrong(key, value, key.typeName(), given.where());
    }
    if (key.type() == double.class || key.type() == Double.class) {
      return NODES.numberNode(number(key, given));
    }
    if (key.memberType().filter(Double.class::equals).isPresent()) {
      ArrayNode array = NODES.arrayNode();
      (value.isArray() ? value : NODES.arrayNode().add(value))
          .forEach(member -> array.add(number(key, new Given(member, given.where()))));
      return array;
    }
    if (key.type().isEnum()) {
      return constant(key, key.type(), value, given.where());
    }
    Optional<Class<?>> members = key.memberType().filter(Class::isEnum);
    if (members.isPresent() && value.isArray()) {
      ArrayNode array = NODES.arrayNode();
      value.forEach(member -> array.add(constant(key, members.get(), member, given.where())));
      return array;
    }
    return members.isPresent() ? constant(key, members.get(), value, given.where()) : value;
  }

  /** YAML 1.1 parses 1e-5 as a string, which is converted here. */
  private static double number(ConfigKey key, Given given) {
    JsonNode value = given.value();
    try {
      double number = Double.parseDouble(value.asText());
      if ((value.isTextual() || value.isNumber()) && Double.isFinite(number)) {
        return number;
      }
    } catch (NumberFormatException e) {
      throw wrong(key, value, key.typeName(), given.where());
    }
    throw wrong(key, value, key.typeName(), given.where());
  }

  private static JsonNode constant(ConfigKey key, Class<?> type, JsonNode value, String where) {
    List<String> labels = ConfigKey.labels(type);
    int index = labels.indexOf(value.asText().toLowerCase(Locale.ROOT));
    if (index < 0 || !value.isValueNode()) {
      throw wrong(key, value, "one of " + String.join(", ", labels), where);
    }
    return NODES.textNode(((Enum<?>) type.getEnumConstants()[index]).name());
  }

  private static InvalidInputException wrong(
      ConfigKey key, JsonNode value, String wanted, String where) {
    return new InvalidInputException(
        where + ": " + key.name() + " is " + value + "; it must be " + wanted);
  }

  private static TrainingConfig bind(Map<String, Given> given) {
    ObjectNode tree = ConfigYaml.object();
    Map<String, Object> preset = preset(given);
    for (ConfigKey key : KEYS) {
      Given value =
          given.containsKey(key.name())
              ? given.get(key.name())
              : new Given(normal(key, standard(key, preset)), "");
      ObjectNode section = tree;
      for (int i = 0; i < key.path().size() - 1; i++) {
        section = section.withObjectProperty(ConfigKey.snake(key.path().get(i).getName()));
      }
      section.set(key.name(), value.value());
    }
    try {
      return ConfigYaml.bind(tree);
    } catch (JsonMappingException e) {
      throw explained(e, given);
    }
  }

  /** Returns the values that the chosen algorithm sets, if the algorithm exists. */
  private static Map<String, Object> preset(Map<String, Given> given) {
    Algorithm algorithm =
        Optional.ofNullable(given.get(ALGORITHM))
            .map(chosen -> Algorithm.valueOf(chosen.value().asText()))
            .orElse(Algorithm.NONE);
    return algorithm.preset();
  }

  private static Given standard(ConfigKey key, Map<String, Object> preset) {
    return new Given(
        preset.containsKey(key.name())
            ? ConfigYaml.node(preset.get(key.name()))
            : STANDARDS.get(key.name()),
        "");
  }

  /** Adds the key and the source of its value to an error. */
  private static InvalidInputException explained(JsonMappingException e, Map<String, Given> given) {
    for (Throwable cause = e; cause != null; cause = cause.getCause()) {
      if (cause instanceof Limits.Exceeded exceeded) {
        return new InvalidInputException(
            where(given, exceeded.key()) + ": " + exceeded.getMessage(), e);
      }
    }
    ConfigKey key =
        e.getPath().stream()
            .flatMap(reference -> find(String.valueOf(reference.getFieldName())).stream())
            .reduce((first, second) -> second)
            .filter(last -> given.containsKey(last.name()))
            .orElseThrow(() -> new IllegalStateException(e));
    return wrong(key, given.get(key.name()).value(), key.typeName(), where(given, key.name()));
  }

  private static String where(Map<String, Given> given, String key) {
    return given.containsKey(key) ? given.get(key).where() : "configuration";
  }

  /**
   * {@return all keys and their values as a file that {@link #read} takes}
   *
   * @param config the configuration
   */
  public static String yaml(TrainingConfig config) {
    return ConfigYaml.text(config, KEYS);
  }

  /**
   * {@return the values of all keys as YAML, by key}
   *
   * @param config the configuration
   */
  public static Map<String, String> values(TrainingConfig config) {
    Map<String, String> values = new LinkedHashMap<>();
    for (ConfigKey key : KEYS) {
      JsonNode value = ConfigYaml.node(key.value(config));
      values.put(key.name(), value.isValueNode() ? value.asText() : value.toString());
    }
    return values;
  }

  /**
   * {@return the values that have to be the same when a run is resumed, a line for each key} Paths
   * are no part of it: the contents of their files count.
   *
   * @param config the configuration
   */
  public static String identity(TrainingConfig config) {
    StringBuilder text = new StringBuilder();
    KEYS.stream()
        .filter(key -> !key.description().mayChange() && key.type() != Path.class)
        .forEach(
            key ->
                text.append(key.name())
                    .append(": ")
                    .append(ConfigYaml.node(key.value(config)))
                    .append('\n'));
    return text.toString();
  }

  /**
   * {@return a commented configuration file with every key and its default} Keys whose default
   * depends on the algorithm are commented out.
   */
  public static String example() {
    return ConfigExample.text(KEYS);
  }
}
