package org.threegate.rl.policy;

import static org.threegate.rl.policy.TokenizerFields.refused;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonGenerator;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.JsonToken;
import com.fasterxml.jackson.core.StreamReadConstraints;
import com.fasterxml.jackson.core.StreamReadFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.Reader;
import java.io.StringWriter;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.threegate.file.InputFiles;
import org.threegate.run.InvalidInputException;
import org.threegate.run.PrintableText;

/**
 * Validates a {@code tokenizer.json} and rewrites it from values that are known to be safe. The
 * native library aborts the process on unexpected input. Each part must therefore have a known
 * type, known fields and values in range. Padding and truncation are left out. Post-processing is
 * read, and done without the library.
 */
final class TokenizerFile {
  private static final long LARGEST = 100_000_000;
  private static final int DEEPEST = 40;
  private static final int LONGEST_STRING = 6 << 20;
  private static final int MOST_ADDED = 20_000;
  private static final int LONGEST_ADDED = 512;
  private static final int LONGEST_ADDED_TOGETHER = 1 << 20;
  private static final String ADDED = "added_tokens";
  private static final String ONE_WORD =
      "{\"type\":\"WordLevel\",\"vocab\":{\"a\":0},\"unk_token\":\"a\"}";

  private static final JsonFactory JSON =
      JsonFactory.builder()
          .enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION)
          .streamReadConstraints(
              StreamReadConstraints.builder()
                  .maxNestingDepth(DEEPEST)
                  .maxStringLength(LONGEST_STRING)
                  .maxNameLength(LONGEST_STRING)
                  .build())
          .build();
  private static final ObjectMapper MAPPER = new ObjectMapper(JSON);
  private static final JsonNode NULL = JsonNodeFactory.instance.nullNode();

  private final TokenizerParts parts = new TokenizerParts();
  private final List<String> normalized = new ArrayList<>();
  private JsonNode addedTokens = NULL;
  private JsonNode normalizer = NULL;
  private JsonNode preTokenizer = NULL;
  private JsonNode decoder = NULL;
  private JsonNode postProcessor = NULL;
  private String model = "";
  private int longestToken;
  private boolean isPairs;
  private final TokenizerSettings settings;
  // Ids of tokens of the settings that are in the vocabulary, and the size of the vocabulary.
  private final Map<String, Integer> named = new HashMap<>();
  private int size;

  /**
   * A validated tokenizer.
   *
   * @param json the rewritten file
   * @param normalizer a tokenizer that tests whether the normalizer empties a text: it finds a
   *     token in every text that is not empty
   * @param normalized the tokens that are searched in normalized text
   * @param longestText the maximal length of a text to encode, in bytes
   * @param mostTokens the maximal number of tokens to decode in one call
   * @param surrounding the special tokens that the post-processor puts around a text
   * @param isPairs whether the model is a byte pair encoding
   */
  record Checked(
      String json,
      String normalizer,
      List<String> normalized,
      int longestText,
      int mostTokens,
      Tokenizer.Surrounding surrounding,
      boolean isPairs) {}

  private TokenizerFile(TokenizerSettings settings) {
    this.settings = settings;
  }

  /**
   * Reads and validates a file.
   *
   * @param settings the tokens that are special, or are added, even if the file does not say so
   * @throws InvalidInputException when the file is missing, or is not known to be safe
   */
  static Checked read(Path path, TokenizerSettings settings) {
    try (Reader reader =
            new InputStreamReader(
                InputFiles.open(path, LARGEST), StandardCharsets.UTF_8.newDecoder());
        JsonParser parser = JSON.createParser(reader)) {
      TokenizerFile file = new TokenizerFile(settings);
      file.fields(parser);
      return file.checked();
    } catch (JsonProcessingException e) {
      throw new InvalidInputException(path + ": not valid JSON: " + e.getOriginalMessage(), e);
    } catch (CharacterCodingException e) {
      throw new InvalidInputException(
          path + ": not valid UTF-8; the file is damaged, fetch it again", e);
    } catch (IOException e) {
      throw new InvalidInputException(path + ": cannot be read: " + e.getMessage(), e);
    } catch (TokenizerFields.Refused e) {
      throw new InvalidInputException(path + ": not a supported tokenizer: " + e.getMessage(), e);
    }
  }

  private void fields(JsonParser parser) throws IOException {
    if (parser.nextToken() != JsonToken.START_OBJECT) {
      throw refused("the file", "must be a JSON object");
    }
    while (parser.nextToken() == JsonToken.FIELD_NAME) {
      String name = parser.currentName();
      parser.nextToken();
      switch (name) {
        case "version" -> {
          if (!"1.0".equals(parser.getValueAsString())) {
            throw refused(name, "must be 1.0");
          }
        }
        case ADDED -> addedTokens = TokenizerFields.tree(parser, name, 12 * MOST_ADDED);
        case "normalizer" -> normalizer = part(parser, name);
        case "pre_tokenizer" -> preTokenizer = part(parser, name);
        case "decoder" -> decoder = part(parser, name);
        case "post_processor" -> postProcessor = part(parser, name);
        case "model" -> {
          StringWriter writer = new StringWriter();
          try (JsonGenerator out = MAPPER.createGenerator(writer)) {
            TokenizerVocabulary.Written written =
                TokenizerVocabulary.copy(parser, out, settings.tokens().keySet());
            longestToken = written.longest();
            isPairs = written.isPairs();
            named.putAll(written.ids());
            size = written.size();
          }
          model = writer.toString();
        }
        default -> parser.skipChildren();
      }
    }
    if (parser.nextToken() != null) {
      throw refused("the file", "has more than one JSON object");
    }
  }

  private static JsonNode part(JsonParser parser, String name) throws IOException {
    return TokenizerFields.tree(parser, name, TokenizerParts.MOST_VALUES);
  }

  private Checked checked() throws IOException {
    if (model.isEmpty()) {
      throw refused("model", "is missing");
    }
    JsonNode normal = parts.normalizer(normalizer);
    JsonNode tokens = addedTokens();
    JsonNode pre = parts.preTokenizer(preTokenizer);
    int longestText = parts.longestText();
    JsonNode decode = parts.decoder(decoder);
    return new Checked(
        written(tokens, normal, pre, decode, model),
        written(JsonNodeFactory.instance.arrayNode(), normal, NULL, NULL, ONE_WORD),
        normal.isNull() ? List.of() : List.copyOf(normalized),
        longestText,
        parts.mostTokens(longestToken),
        TokenizerTemplate.of(postProcessor),
        isPairs);
  }

  private static String written(
      JsonNode tokens, JsonNode normalizer, JsonNode preTokenizer, JsonNode decoder, String model)
      throws IOException {
    StringWriter writer = new StringWriter();
    try (JsonGenerator out = MAPPER.createGenerator(writer)) {
      out.writeStartObject();
      out.writeStringField("version", "1.0");
      out.writeObjectField(ADDED, tokens);
      out.writeObjectField("normalizer", normalizer);
      out.writeObjectField("pre_tokenizer", preTokenizer);
      out.writeObjectField("decoder", decoder);
      out.writeFieldName("model");
      out.writeRawValue(model);
      out.writeEndObject();
    }
    return writer.toString();
  }

  private JsonNode addedTokens() {
    if (!addedTokens.isNull() && (!addedTokens.isArray() || addedTokens.size() > MOST_ADDED)) {
      throw refused(ADDED, "must be a list of at most " + MOST_ADDED + " tokens");
    }
    AddedTokens tokens = new AddedTokens();
    for (int i = 0; i < addedTokens.size(); i++) {
      TokenizerFields given = new TokenizerFields(addedTokens.get(i), ADDED + "[" + i + "]");
      tokens.add(given, given.number("id", 0, TokenizerVocabulary.LARGEST_ID));
    }
    settings
        .tokens()
        .forEach(
            (content, description) -> {
              if (!content.isEmpty() && !tokens.contents.contains(content)) {
                int id = named.getOrDefault(content, Math.max(size, tokens.highest + 1));
                tokens.add(new TokenizerFields(description, "the token " + name(content)), id);
              }
            });
    return tokens.checked();
  }

  private static String name(String content) {
    return '"' + PrintableText.name(content) + '"';
  }

  /** The added tokens of the file, and then those of the settings that it does not have. */
  private final class AddedTokens {
    private final ArrayNode tokens = JsonNodeFactory.instance.arrayNode();
    private final Set<String> contents = new HashSet<>();
    private int highest = -1;
    private int together;
    private boolean blankToLeft;
    private boolean anyToRight;

    void add(TokenizerFields given, int id) {
      if (tokens.size() == MOST_ADDED) {
        throw refused(ADDED, "must be a list of at most " + MOST_ADDED + " tokens");
      }
      boolean left = given.flag("lstrip", false);
      boolean right = given.flag("rstrip", false);
      boolean alone = given.flag("single_word", false);
      boolean isNormalized = given.flag("normalized", true);
      String content = given.text("content", 0, LONGEST_ADDED);
      contents.add(content);
      highest = Math.max(highest, id);
      tokens
          .addObject()
          .put("id", id)
          .put("content", content)
          .put("single_word", alone)
          .put("lstrip", left)
          .put("rstrip", right)
          .put("normalized", isNormalized)
          .put("special", given.flag("special", false) || settings.special().contains(content));
      if (isNormalized) {
        normalized.add(content);
      }
      if (left || alone) {
        parts.looksBack(TokenizerFields.bytes(content), isNormalized);
      }
      together += TokenizerFields.bytes(content);
      longestToken = Math.max(longestToken, TokenizerFields.bytes(content));
      boolean mayBeBlank =
          content.chars().noneMatch(c -> c > ' ' && c < 0x7F)
              || isNormalized && !normalizer.isNull();
      blankToLeft |= left && mayBeBlank;
      anyToRight |= right;
    }

    JsonNode checked() {
      if (together > LONGEST_ADDED_TOGETHER) {
        throw refused(ADDED, "has " + together + " bytes, not up to " + LONGEST_ADDED_TOGETHER);
      }
      // The token would start within the other's match and end before its own start.
      if (blankToLeft && anyToRight) {
        throw refused(ADDED, "combines a token with rstrip and a blank token with lstrip");
      }
      return tokens;
    }
  }
}
