package org.threegate.rl.policy;

import static org.threegate.rl.policy.TokenizerFields.refused;

import com.fasterxml.jackson.core.JsonGenerator;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.util.HashMap;
import java.util.Map;
import java.util.Set;
import org.threegate.run.PrintableText;

/** Validates the model of a {@code tokenizer.json}. It is streamed, because it can be large. */
final class TokenizerVocabulary {
  static final int LARGEST_ID = 1 << 24;
  private static final int LONGEST_TOKEN = 4096;
  // Each byte is a level of a trie that is traversed recursively, starting at each position.
  private static final int LONGEST_PIECE = 256;
  private static final int LONGEST_AFFIX = 64;
  // Each end of a word is tried from each of its characters.
  private static final int LONGEST_WORD = 256;
  private static final double LARGEST_SCORE = 1e6;
  private static final int MOST_SETTINGS = 64;
  private static final String VOCABULARY = "model.vocab";
  private static final String MERGES = "model.merges";

  private final JsonParser parser;
  private final JsonGenerator out;
  private final Set<String> wanted;
  private final Map<String, Integer> ids = new HashMap<>();
  private boolean words;
  private boolean pieces;
  private boolean merges;
  private boolean merged;
  private int size;
  private int longest = 1;
  private boolean isPairs;

  /** The prefix that all second parts of merges share. */
  private String seconds = "";

  private TokenizerVocabulary(JsonParser parser, JsonGenerator out, Set<String> wanted) {
    this.parser = parser;
    this.out = out;
    this.wanted = wanted;
  }

  /**
   * A model that was written.
   *
   * @param longest the length of the longest token in bytes
   * @param isPairs whether it is a byte pair encoding
   * @param ids the ids of the tokens that were looked for
   * @param size the number of tokens
   */
  record Written(int longest, boolean isPairs, Map<String, Integer> ids, int size) {}

  /**
   * Writes the model at the position of a parser.
   *
   * @param wanted the tokens whose ids are looked for
   */
  static Written copy(JsonParser parser, JsonGenerator out, Set<String> wanted) throws IOException {
    return new TokenizerVocabulary(parser, out, wanted).copy();
  }

  private Written copy() throws IOException {
    expect(parser.currentToken() == JsonToken.START_OBJECT, "model");
    ObjectNode settings = JsonNodeFactory.instance.objectNode();
    out.writeStartObject();
    while (parser.nextToken() == JsonToken.FIELD_NAME) {
      String name = parser.currentName();
      JsonToken value = parser.nextToken();
      if (name.equals("vocab")) {
        vocabulary(value);
      } else if (name.equals("merges")) {
        merges();
      } else {
        JsonNode setting = TokenizerFields.tree(parser, "model." + name, MOST_SETTINGS);
        if (settings.size() < MOST_SETTINGS) {
          settings.set(name, setting);
        }
      }
    }
    settings(new TokenizerFields(settings, "model"));
    out.writeEndObject();
    return new Written(longest, isPairs, ids, size);
  }

  private void settings(TokenizerFields given) throws IOException {
    String type = given.isNone("type") ? usualType(given) : given.text("type", 1, 20);
    if (type.equals("Unigram") ? !pieces : !words) {
      throw refused(
          VOCABULARY, "is missing, or does not belong to the type " + PrintableText.name(type));
    }
    out.writeStringField("type", type);
    isPairs = type.equals("BPE");
    switch (type) {
      case "BPE" -> pairs(given);
      case "WordPiece" -> {
        out.writeStringField("unk_token", given.text("unk_token", 0, LONGEST_TOKEN));
        out.writeStringField(
            "continuing_subword_prefix", given.text("continuing_subword_prefix", 0, LONGEST_AFFIX));
        out.writeNumberField(
            "max_input_chars_per_word", given.number("max_input_chars_per_word", 1, LONGEST_WORD));
      }
      case "WordLevel" ->
          out.writeStringField("unk_token", given.text("unk_token", 0, LONGEST_TOKEN));
      case "Unigram" -> {
        if (!given.isNone("unk_id")) {
          out.writeNumberField("unk_id", given.number("unk_id", 0, size - 1));
        }
        out.writeBooleanField("byte_fallback", given.flag("byte_fallback", false));
      }
      default -> throw refused("model.type", "is not supported: " + PrintableText.name(type));
    }
  }

  /** Returns the type that old files omit. */
  private String usualType(TokenizerFields given) {
    if (pieces) {
      return "Unigram";
    }
    return merges ? "BPE" : given.isNone("max_input_chars_per_word") ? "WordLevel" : "WordPiece";
  }

  private void pairs(TokenizerFields given) throws IOException {
    String prefix = given.textOrNone("continuing_subword_prefix", LONGEST_AFFIX);
    if (!merges || merged && !seconds.startsWith(prefix)) {
      throw refused(MERGES, "is missing, or continuing_subword_prefix does not match it");
    }
    if (given.node().path("dropout").asDouble(0) != 0) {
      throw refused("model.dropout", "must be 0, because tokenization would be random otherwise");
    }
    if (!given.isNone("unk_token")) {
      out.writeStringField("unk_token", given.text("unk_token", 0, LONGEST_TOKEN));
    }
    for (String name : new String[] {"continuing_subword_prefix", "end_of_word_suffix"}) {
      if (!given.isNone(name)) {
        out.writeStringField(name, given.text(name, 0, LONGEST_AFFIX));
      }
    }
    for (String name : new String[] {"fuse_unk", "byte_fallback", "ignore_merges"}) {
      out.writeBooleanField(name, given.flag(name, false));
    }
  }

  private void vocabulary(JsonToken begin) throws IOException {
    out.writeFieldName("vocab");
    if (begin == JsonToken.START_ARRAY) {
      pieces = true;
      pieces();
    } else {
      expect(begin == JsonToken.START_OBJECT, VOCABULARY);
      words = true;
      words();
    }
  }

  private void words() throws IOException {
    out.writeStartObject();
    while (parser.nextToken() == JsonToken.FIELD_NAME) {
      out.writeFieldName(token(parser.currentName(), LONGEST_TOKEN, VOCABULARY));
      expect(parser.nextToken() == JsonToken.VALUE_NUMBER_INT, VOCABULARY);
      long id = parser.getTextLength() > 18 ? Long.MAX_VALUE : parser.getLongValue();
      if (id < 0 || id > LARGEST_ID) {
        throw refused(VOCABULARY, "has the id " + id + ", not 0 to " + LARGEST_ID);
      }
      out.writeNumber(id);
      found(parser.currentName(), (int) id);
      size++;
    }
    out.writeEndObject();
  }

  private void found(String token, int id) {
    if (wanted.contains(token)) {
      ids.put(token, id);
    }
  }

  private void pieces() throws IOException {
    out.writeStartArray();
    while (parser.nextToken() == JsonToken.START_ARRAY) {
      out.writeStartArray();
      expect(parser.nextToken() == JsonToken.VALUE_STRING, VOCABULARY);
      out.writeString(token(parser.getText(), LONGEST_PIECE, VOCABULARY));
      found(parser.getText(), size);
      expect(parser.nextToken().isNumeric(), VOCABULARY);
      double score = parser.getDoubleValue();
      if (!(Math.abs(score) <= LARGEST_SCORE)) {
        throw refused(VOCABULARY, "has the score " + score + ", not one up to " + LARGEST_SCORE);
      }
      out.writeNumber(score);
      expect(parser.nextToken() == JsonToken.END_ARRAY, VOCABULARY);
      out.writeEndArray();
      size++;
    }
    expect(parser.currentToken() == JsonToken.END_ARRAY, VOCABULARY);
    out.writeEndArray();
  }

  private void merges() throws IOException {
    merges = true;
    expect(parser.currentToken() == JsonToken.START_ARRAY, MERGES);
    out.writeArrayFieldStart("merges");
    while (parser.nextToken() != JsonToken.END_ARRAY) {
      if (parser.currentToken() == JsonToken.VALUE_STRING) {
        String both = parser.getText();
        if (!both.startsWith("#version")) {
          int space = both.indexOf(' ');
          expect(space >= 0 && both.indexOf(' ', space + 1) < 0, MERGES);
          merge(both.substring(0, space), both.substring(space + 1));
        }
      } else {
        expect(parser.currentToken() == JsonToken.START_ARRAY, MERGES);
        expect(parser.nextToken() == JsonToken.VALUE_STRING, MERGES);
        String first = parser.getText();
        expect(parser.nextToken() == JsonToken.VALUE_STRING, MERGES);
        merge(first, parser.getText());
        expect(parser.nextToken() == JsonToken.END_ARRAY, MERGES);
      }
    }
    out.writeEndArray();
  }

  private void merge(String first, String second) throws IOException {
    out.writeStartArray();
    out.writeString(token(first, LONGEST_TOKEN, MERGES));
    out.writeString(token(second, LONGEST_TOKEN, MERGES));
    out.writeEndArray();
    seconds = merged ? common(seconds, second) : second;
    merged = true;
  }

  private static String common(String a, String b) {
    int length = 0;
    while (length < Math.min(a.length(), b.length()) && a.charAt(length) == b.charAt(length)) {
      length++;
    }
    return a.substring(0, length);
  }

  private String token(String token, int most, String field) {
    int length = TokenizerFields.bytes(TokenizerFields.whole(token, field));
    if (length > most) {
      throw refused(field, "has a token of " + length + " bytes, not up to " + most);
    }
    longest = Math.max(longest, length);
    return token;
  }

  private static void expect(boolean holds, String field) {
    if (!holds) {
      throw refused(field, "has an unexpected type");
    }
  }
}
