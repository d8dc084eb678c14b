package org.threegate.rl.run;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.StreamReadFeature;
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
import java.util.List;
import java.util.Optional;
import org.threegate.run.InvalidInputException;
import org.yaml.snakeyaml.LoaderOptions;
import org.yaml.snakeyaml.error.YAMLException;

/** Parses YAML configurations, binds them to records, and writes them. */
final class ConfigYaml {
  /** The maximal size of a file in bytes. */
  static final int LARGEST = 1 << 20;

  private static final int DEEPEST = 20;
  private static final ObjectMapper YAML = mapper();

  private ConfigYaml() {}

  private static ObjectMapper mapper() {
    LoaderOptions limits = new LoaderOptions();
    limits.setCodePointLimit(LARGEST);
    limits.setNestingDepthLimit(DEEPEST);
    limits.setMaxAliasesForCollections(0);
    limits.setAllowRecursiveKeys(false);
    YAMLFactory factory =
        YAMLFactory.builder()
            .loaderOptions(limits)
            .enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION)
            .enable(YAMLParser.Feature.EMPTY_STRING_AS_NULL)
            .disable(YAMLGenerator.Feature.WRITE_DOC_START_MARKER)
            .disable(YAMLGenerator.Feature.SPLIT_LINES)
            .build();
    SimpleModule types =
        new SimpleModule()
            .addDeserializer(Path.class, new PathReader())
            .addDeserializer(LocalDate.class, new DayReader());
    return YAMLMapper.builder(factory)
        .propertyNamingStrategy(new KeyNames())
        .addModules(new Jdk8Module(), types)
        .disable(MapperFeature.ALLOW_COERCION_OF_SCALARS)
        .disable(DeserializationFeature.ACCEPT_FLOAT_AS_INT)
        .enable(DeserializationFeature.FAIL_ON_NULL_FOR_PRIMITIVES)
        .enable(DeserializationFeature.ACCEPT_SINGLE_VALUE_AS_ARRAY)
        .build();
  }

  /** Names components as keys. Jackson's snake case would join single letters to the next word. */
  private static final class KeyNames extends PropertyNamingStrategies.NamingBase {
    private static final long serialVersionUID = 1L;

    @Override
    public String translate(String name) {
      return ConfigKey.snake(name);
    }
  }

  /** Reads paths with the default file system only: a text cannot select another provider. */
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

  /** Parses a mapping of keys to values. */
  static JsonNode mapping(String text, String where) {
    JsonNode node = parse(text, where);
    if (node.isMissingNode() || node.isNull()) {
      return YAML.createObjectNode();
    }
    if (!node.isObject()) {
      throw new InvalidInputException(where + ": must be a mapping of keys to values");
    }
    return node;
  }

  /** Parses a value. */
  static JsonNode parse(String text, String where) {
    try {
      return YAML.readTree(text);
    } catch (JsonProcessingException e) {
      throw new InvalidInputException(
          where + ": invalid YAML: " + e.getOriginalMessage().lines().findFirst().orElse(""), e);
    } catch (YAMLException | NumberFormatException e) {
      throw new InvalidInputException(where + ": invalid YAML: " + e.getMessage(), e);
    }
  }

  /** Converts a value for YAML: constants become labels, paths and days become strings. */
  static JsonNode node(Object value) {
    if (value instanceof Optional<?> optional) {
      return optional.map(ConfigYaml::node).orElse(YAML.nullNode());
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

  static ObjectNode object() {
    return YAML.createObjectNode();
  }

  /** Binds a tree to the records of a configuration. */
  static TrainingConfig bind(JsonNode tree) throws JsonMappingException {
    try {
      return YAML.treeToValue(tree, TrainingConfig.class);
    } catch (JsonMappingException e) {
      throw e;
    } catch (JsonProcessingException e) {
      throw new IllegalStateException(e);
    }
  }

  /** Writes keys of a configuration. */
  static String text(TrainingConfig config, List<ConfigKey> keys) {
    ObjectNode tree = YAML.createObjectNode();
    keys.forEach(key -> tree.set(key.name(), node(key.value(config))));
    try {
      return YAML.writeValueAsString(tree);
    } catch (JsonProcessingException e) {
      throw new IllegalStateException(e);
    }
  }
}
