package org.threegate.rl.run;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.DeserializationContext;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonMappingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.MapperFeature;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.PropertyNamingStrategies;
import com.fasterxml.jackson.databind.deser.std.FromStringDeserializer;
import com.fasterxml.jackson.databind.module.SimpleModule;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import com.fasterxml.jackson.dataformat.yaml.YAMLFactory;
import com.fasterxml.jackson.dataformat.yaml.YAMLGenerator;
import com.fasterxml.jackson.dataformat.yaml.YAMLMapper;
import com.fasterxml.jackson.dataformat.yaml.YAMLParser;
import com.fasterxml.jackson.datatype.jdk8.Jdk8Module;
import java.io.IOException;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.time.DateTimeException;
import java.time.LocalDate;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.function.Predicate;
import org.threegate.file.InputFiles;
import org.threegate.run.InvalidInputException;
import org.yaml.snakeyaml.LoaderOptions;
import org.yaml.snakeyaml.error.YAMLException;

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
  private static final int LARGEST = 1 << 20; // bytes of a file
  private static final int DEEPEST = 20;
  private static final int WIDTH = 100; // of the example's comments
  private static final String ALGORITHM = "algorithm";
  private static final List<ConfigKey> KEYS = ConfigKey.of(TrainingConfig.class);
  private static final ObjectMapper YAML = mapper();

  private TrainingConfigs() {}

  private static ObjectMapper mapper() {
    LoaderOptions limits = new LoaderOptions();
    limits.setCodePointLimit(LARGEST);
    limits.setNestingDepthLimit(DEEPEST);
    limits.setMaxAliasesForCollections(0);
    limits.setAllowRecursiveKeys(false);
    YAMLFactory factory =
        YAMLFactory.builder()
            .loaderOptions(limits)
            .enable(YAMLParser.Feature.EMPTY_STRING_AS_NULL)
            .disable(YAMLGenerator.Feature.WRITE_DOC_START_MARKER)
            .disable(YAMLGenerator.Feature.SPLIT_LINES)
            .build();
    SimpleModule types =
        new SimpleModule()
            .addDeserializer(Path.class, new PathReader())
            .addDeserializer(LocalDate.class, new DayReader());
    return YAMLMapper.builder(factory)
        .propertyNamingStrategy(PropertyNamingStrategies.SNAKE_CASE)
        .addModules(new Jdk8Module(), types)
        .disable(MapperFeature.ALLOW_COERCION_OF_SCALARS)
        .disable(DeserializationFeature.ACCEPT_FLOAT_AS_INT)
        .enable(DeserializationFeature.FAIL_ON_NULL_FOR_PRIMITIVES)
        .enable(DeserializationFeature.ACCEPT_SINGLE_VALUE_AS_ARRAY)
        .build();
  }

  /** Reads paths without looking for file systems that a text may name. */
  private static final class PathReader extends FromStringDeserializer<Path> {
    private static final long serialVersionUID = 1L;

    PathReader() {
      super(Path.class);
    }

    @Override
    protected Path _deserialize(String text, DeserializationContext context) throws IOException {
      try {
        return Path.of(text);
      } catch (InvalidPathException e) {
        throw context.weirdStringException(text, Path.class, e.getReason());
      }
    }
  }

  private static final class DayReader extends FromStringDeserializer<LocalDate> {
    private static final long serialVersionUID = 1L;

    DayReader() {
      super(LocalDate.class);
    }

    @Override
    protected LocalDate _deserialize(String text, DeserializationContext context)
        throws IOException {
      try {
        return LocalDate.parse(text);
      } catch (DateTimeException e) {
        throw context.weirdStringException(text, LocalDate.class, e.getMessage());
      }
    }
  }

  /** A value, and the place that errors name. */
  private record Given(JsonNode value, String where) {}

  /**
   * Makes a configuration of values.
   *
   * @param values the values of keys. All other keys have their defaults
   * @throws InvalidInputException for a key that does not exist, or a value that it cannot have
   */
  public static TrainingConfig of(Map<String, ?> values) {
    Map<String, Given> given = new LinkedHashMap<>();
    values.forEach((key, value) -> put(given, key, new Given(node(value), "configuration")));
    return bind(given);
  }

  /**
   * Reads a configuration file.
   *
   * @param file the YAML file
   * @param changes keys and values in YAML that replace those of the file
   * @param source what errors call the place that the changes come from
   * @throws InvalidInputException for a key that does not exist, with the nearest one, or a value
   *     that a key cannot have. The message names the file or the source, and the key
   */
  public static TrainingConfig read(Path file, Map<String, String> changes, String source) {
    Map<String, Given> given = new LinkedHashMap<>();
    String where = file.toString();
    for (Map.Entry<String, JsonNode> field :
        mapping(InputFiles.text(file, LARGEST), where).properties()) {
      put(given, field.getKey(), new Given(field.getValue(), where));
    }
    changes.forEach(
        (key, text) -> put(given, key, new Given(parse(text, source + " " + key), source)));
    return bind(given);
  }

  /** Returns a configuration with other values of some keys. */
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

  private static JsonNode mapping(String text, String where) {
    JsonNode node = parse(text, where);
    if (node.isMissingNode() || node.isNull()) {
      return YAML.createObjectNode();
    }
    if (!node.isObject()) {
      throw new InvalidInputException(where + ": is not a mapping of keys to values");
    }
    return node;
  }

  private static JsonNode parse(String text, String where) {
    try {
      return YAML.readTree(text);
    } catch (JsonProcessingException e) {
      throw new InvalidInputException(
          where + ": not YAML: " + e.getOriginalMessage().lines().findFirst().orElse(""), e);
    } catch (YAMLException | NumberFormatException e) {
      throw new InvalidInputException(where + ": not YAML: " + e.getMessage(), e);
    }
  }

  private static JsonNode node(Object value) {
    if (value instanceof Optional<?> optional) {
      return optional.map(TrainingConfigs::node).orElse(YAML.nullNode());
    }
    if (value instanceof Enum<?>) {
      return YAML.getNodeFactory().textNode(ConfigKey.label(value));
    }
    if (value instanceof Path || value instanceof LocalDate) {
      return YAML.getNodeFactory().textNode(value.toString());
    }
    if (value instanceof List<?> list) {
      ArrayNode array = YAML.createArrayNode();
      list.forEach(member -> array.add(node(member)));
      return array;
    }
    return YAML.valueToTree(value);
  }

  /** Adds a value; {@code key.name} is a member of a key that is a mapping. */
  private static void put(Map<String, Given> given, String name, Given value) {
    int dot = name.indexOf('.');
    Optional<ConfigKey> mapping = find(dot < 0 ? "" : name.substring(0, dot));
    if (mapping.filter(ConfigKey::isMap).isPresent()) {
      String key = mapping.get().name();
      ObjectNode members = YAML.createObjectNode();
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

  /** Returns a value as the mapper takes it, where YAML has other ways to write it. */
  private static JsonNode normal(ConfigKey key, Given given) {
    JsonNode value = given.value().isMissingNode() ? YAML.nullNode() : given.value();
    boolean empty = value.isNull() || value.isTextual() && value.asText().isEmpty();
    if (key.isOptional() && empty) {
      return YAML.nullNode();
    }
    if (key.type() == String.class && empty) {
      return YAML.getNodeFactory().textNode("");
    }
    if (empty) {
      throw wrong(key, value, key.typeName(), given.where());
    }
    if (key.type() == double.class) {
      return YAML.getNodeFactory().numberNode(number(key, given));
    }
    if (key.type().isEnum()) {
      return constant(key, key.type(), value, given.where());
    }
    Optional<Class<?>> members = key.memberType().filter(Class::isEnum);
    if (members.isPresent() && value.isArray()) {
      ArrayNode array = YAML.createArrayNode();
      value.forEach(member -> array.add(constant(key, members.get(), member, given.where())));
      return array;
    }
    return members.isPresent() ? constant(key, members.get(), value, given.where()) : value;
  }

  /** YAML takes 1e-5 for a text. */
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
    return YAML.getNodeFactory().textNode(((Enum<?>) type.getEnumConstants()[index]).name());
  }

  private static InvalidInputException wrong(
      ConfigKey key, JsonNode value, String wanted, String where) {
    return new InvalidInputException(
        where + ": " + key.name() + " is " + value + "; it must be " + wanted);
  }

  private static TrainingConfig bind(Map<String, Given> given) {
    ObjectNode tree = YAML.createObjectNode();
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
      return YAML.treeToValue(tree, TrainingConfig.class);
    } catch (JsonMappingException e) {
      throw explained(e, given);
    } catch (JsonProcessingException e) {
      throw new IllegalStateException(e);
    }
  }

  /** Returns what the chosen algorithm decides, if there is such an algorithm. */
  private static Map<String, Object> preset(Map<String, Given> given) {
    Algorithm algorithm =
        Optional.ofNullable(given.get(ALGORITHM))
            .map(chosen -> Algorithm.valueOf(chosen.value().asText()))
            .orElse(Algorithm.DAPO);
    return algorithm.preset();
  }

  private static Given standard(ConfigKey key, Map<String, Object> preset) {
    return new Given(
        key.description().byAlgorithm()
            ? node(preset.get(key.name()))
            : parse(key.description().standard(), key.name()),
        "");
  }

  /** Says which key is wrong, and where its value comes from. */
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

  /** Returns all keys and their values as a file that {@link #read} takes. */
  public static String yaml(TrainingConfig config) {
    return yaml(config, key -> true);
  }

  /** Returns the part of {@link #yaml} that has to be the same when a run is resumed. */
  public static String identity(TrainingConfig config) {
    return yaml(config, key -> !key.description().mayChange());
  }

  private static String yaml(TrainingConfig config, Predicate<ConfigKey> which) {
    ObjectNode tree = YAML.createObjectNode();
    KEYS.stream().filter(which).forEach(key -> tree.set(key.name(), node(key.value(config))));
    try {
      return YAML.writeValueAsString(tree);
    } catch (JsonProcessingException e) {
      throw new IllegalStateException(e);
    }
  }

  /**
   * Returns a commented configuration file with every key and its default. Keys whose default
   * depends on the algorithm are commented out.
   */
  public static String example() {
    StringBuilder text = new StringBuilder();
    text.append("# A training run: every key with its default.\n");
    text.append("# Keep the keys that you change, and leave out the rest.\n\n");
    String section = "";
    Map<String, Object> preset = Algorithm.DAPO.preset();
    for (ConfigKey key : KEYS) {
      if (!key.section().equals(section)) {
        section = key.section();
        text.append("## ").append(section).append("\n\n");
      }
      Key description = key.description();
      String meaning =
          description.meaning() + (description.byAlgorithm() ? " Default: by algorithm." : "");
      wrapped(meaning.replace("`", "")).forEach(line -> text.append(line).append('\n'));
      text.append(description.byAlgorithm() ? "# " : "")
          .append(key.name())
          .append(": ")
          .append(value(key, preset))
          .append("\n\n");
    }
    return text.toString();
  }

  private static String value(ConfigKey key, Map<String, Object> preset) {
    if (key.description().byAlgorithm()) {
      return node(preset.get(key.name())).asText();
    }
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
