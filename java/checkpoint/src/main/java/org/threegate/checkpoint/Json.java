package org.threegate.checkpoint;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.StreamReadConstraints;
import com.fasterxml.jackson.core.StreamReadFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.nio.file.Path;
import org.threegate.file.InputFiles;
import org.threegate.run.InvalidInputException;

/**
 * Reads untrusted JSON strictly: valid UTF-8, no duplicate keys, one value, limited size and depth.
 *
 * <pre>{@code
 * String family = Json.readObject(Path.of("base/config.json")).path("model_type").asText();
 * }</pre>
 */
public final class Json {
  private static final int LONGEST_STRING = 1 << 20;
  private static final int DEEPEST = 100;
  private static final long LARGEST_FILE = 100_000_000;
  // A token takes about 100 bytes as a node. This suffices for an index of a million tensors.
  private static final long MOST_TOKENS = 4_000_000;

  private static final JsonFactory FACTORY = factory(LONGEST_STRING);

  /**
   * The factory for headers of safetensors, whose metadata may be one string as long as they are.
   */
  static final JsonFactory HEADERS = factory((int) LARGEST_FILE);

  private static final ObjectMapper MAPPER =
      new ObjectMapper(FACTORY)
          .enable(com.fasterxml.jackson.databind.DeserializationFeature.FAIL_ON_TRAILING_TOKENS);

  private Json() {}

  private static JsonFactory factory(int longestString) {
    return JsonFactory.builder()
        .enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION)
        .streamReadConstraints(
            StreamReadConstraints.builder()
                .maxNestingDepth(DEEPEST)
                .maxStringLength(longestString)
                .maxNameLength(LONGEST_STRING)
                .maxTokenCount(MOST_TOKENS)
                .build())
        .build();
  }

  /**
   * Reads an object from a file.
   *
   * @param path path of a file of at most 100 MB
   * @return the object
   * @throws InvalidInputException if the file is not a JSON object; the message names the file
   */
  public static JsonNode readObject(Path path) {
    return parseObject(InputFiles.text(path, LARGEST_FILE), path.toString());
  }

  /**
   * Parses an object.
   *
   * @param text JSON text
   * @param where source of the text, named in errors
   * @return the object
   * @throws InvalidInputException if the text is not a JSON object
   */
  public static JsonNode parseObject(String text, String where) {
    try {
      JsonNode node = MAPPER.readTree(text);
      if (node == null || !node.isObject()) {
        throw new InvalidInputException(where + ": not a JSON object");
      }
      return node;
    } catch (JsonProcessingException e) {
      throw new InvalidInputException(where + ": not valid JSON: " + e.getOriginalMessage(), e);
    }
  }
}
