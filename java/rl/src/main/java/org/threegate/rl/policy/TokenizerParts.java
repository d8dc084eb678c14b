package org.threegate.rl.policy;

import static org.threegate.rl.policy.TokenizerFields.refused;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.Base64;
import java.util.Set;
import java.util.function.Function;
import java.util.stream.Collectors;
import org.threegate.run.PrintableText;

/**
 * Validates and rewrites the parts of a tokenizer that transform text. It also computes the maximal
 * length of a text for which neither the growth of the text nor the backtracking of regular
 * expressions aborts the process.
 */
final class TokenizerParts {
  static final int MOST_VALUES = 1000;
  private static final int LONGEST_TEXT = 4_000_000;
  private static final double LONGEST_RESULT = 16e6;
  private static final double LONGEST_DECODED = 256e6;
  // Half of the steps at which the regular expression engine aborts.
  private static final double MOST_STEPS = 5e6;
  // The worst case in seconds, for parts whose time is quadratic in the length of the text.
  private static final double LONGEST_QUADRATIC = 100_000;
  private static final int SHORTEST_USEFUL = 1000;
  private static final int LARGEST_TABLE = 6 << 20;
  private static final int LONGEST_CONTENT = 64;
  private static final int DEEPEST = 4;
  private static final int MOST_PARTS = 64;
  private static final String[] BEHAVIORS = {
    "Removed", "Isolated", "MergedWithPrevious", "MergedWithNext", "Contiguous"
  };

  /** Expressions of well-known models, whose failed matches never reread the text. */
  private static final Set<String> WELL_KNOWN = wellKnown();

  private double longest = LONGEST_TEXT;
  private double growth = 1;
  private int count;

  /** Returns the maximal length of a text in bytes. */
  int longestText() {
    atMost(LONGEST_RESULT / growth);
    return (int) longest;
  }

  /** Returns how many tokens of the given length may be decoded in one call. Call it last. */
  int mostTokens(int longestToken) {
    return (int) (LONGEST_DECODED / (Math.max(1, longestToken) * growth));
  }

  /**
   * Accounts for a token of the given length that makes the library reread the text before each
   * match.
   */
  void looksBack(int bytes, boolean normalized) {
    atMost(LONGEST_QUADRATIC * Math.sqrt(Math.max(1, bytes)) / (normalized ? growth : 1));
  }

  private void atMost(double bytes) {
    longest = Math.min(longest, bytes);
    if (longest < SHORTEST_USEFUL) {
      throw new TokenizerFields.Refused(
          "its parts make texts more than "
              + (int) (LONGEST_RESULT / SHORTEST_USEFUL)
              + " times longer");
    }
  }

  JsonNode normalizer(JsonNode node) {
    return part(node, "normalizer", 0, this::oneNormalizer);
  }

  JsonNode preTokenizer(JsonNode node) {
    return part(node, "pre_tokenizer", 0, this::onePreTokenizer);
  }

  /** From here on, growth refers to decoded text. */
  JsonNode decoder(JsonNode node) {
    growth = 1;
    return part(node, "decoder", 0, this::oneDecoder);
  }

  private JsonNode part(
      JsonNode node, String where, int depth, Function<TokenizerFields, ObjectNode> one) {
    if (node.isNull()) {
      return node;
    }
    if (depth > DEEPEST || ++count > MOST_PARTS) {
      throw refused(where, "has more than " + MOST_PARTS + " parts, or nests them too deep");
    }
    TokenizerFields given = new TokenizerFields(node, where);
    String type = given.text("type", 1, 40);
    if (!type.equals("Sequence")) {
      return one.apply(given).put("type", type);
    }
    String list = where.replaceFirst("\\W.*", "").replace("_", "") + "s";
    JsonNode items = node.path(list);
    if (!items.isArray()) {
      throw refused(given.field(list), "must be a list");
    }
    ObjectNode sequence = JsonNodeFactory.instance.objectNode().put("type", type);
    ArrayNode parts = sequence.putArray(list);
    for (int i = 0; i < items.size(); i++) {
      String item = given.field(list) + "[" + i + "]";
      if (items.get(i).isNull()) {
        throw refused(item, "is null");
      }
      parts.add(part(items.get(i), item, depth + 1, one));
    }
    return sequence;
  }

  private ObjectNode oneNormalizer(TokenizerFields given) {
    ObjectNode part = JsonNodeFactory.instance.objectNode();
    switch (type(given)) {
      case "BertNormalizer" -> {
        grow(16);
        part.put("clean_text", given.flag("clean_text", true));
        part.put("handle_chinese_chars", given.flag("handle_chinese_chars", true));
        part.put("lowercase", given.flag("lowercase", true));
        part.put("strip_accents", given.flag("strip_accents", given.flag("lowercase", true)));
      }
      case "Strip" -> {
        part.put("strip_left", given.flag("strip_left", true));
        part.put("strip_right", given.flag("strip_right", true));
      }
      case "StripAccents" -> {}
      case "Nmt" -> {}
      case "Lowercase", "ByteLevel" -> grow(2);
      case "NFC", "NFD" -> grow(4);
      case "NFKC", "NFKD" -> grow(11);
      case "Prepend" -> {
        String text = given.text("prepend", 1, LONGEST_CONTENT);
        grow(1 + TokenizerFields.bytes(text));
        part.put("prepend", text);
      }
      case "Replace" -> replace(given, part, false);
      case "Precompiled" -> precompiled(given, part);
      default -> throw unknown(given);
    }
    return part;
  }

  private ObjectNode onePreTokenizer(TokenizerFields given) {
    ObjectNode part = JsonNodeFactory.instance.objectNode();
    switch (type(given)) {
      case "BertPreTokenizer", "Whitespace", "WhitespaceSplit", "UnicodeScripts" -> {}
      case "ByteLevel" -> {
        grow(given.flag("add_prefix_space", true) ? 4 : 2);
        byteLevel(given, part);
      }
      case "Metaspace" -> {
        grow(1 + TokenizerFields.bytes(given.character("replacement")));
        metaspace(given, part);
      }
      case "CharDelimiterSplit" -> part.put("delimiter", given.character("delimiter"));
      case "Punctuation" ->
          part.put(
              "behavior",
              given.isNone("behavior") ? "Isolated" : given.oneOf("behavior", BEHAVIORS));
      case "Digits" -> part.put("individual_digits", given.flag("individual_digits", false));
      case "FixedLength" ->
          part.put("length", given.isNone("length") ? 5 : given.number("length", 1, 1 << 20));
      case "Split" -> {
        pattern(given, part);
        part.put("behavior", given.oneOf("behavior", BEHAVIORS));
        part.put("invert", given.flag("invert", false));
      }
      default -> throw unknown(given);
    }
    return part;
  }

  private ObjectNode oneDecoder(TokenizerFields given) {
    ObjectNode part = JsonNodeFactory.instance.objectNode();
    switch (type(given)) {
      case "Fuse", "ByteFallback" -> {}
      case "ByteLevel" -> {
        grow(3);
        byteLevel(given, part);
      }
      case "Metaspace" -> metaspace(given, part);
      case "BPEDecoder" -> part.put("suffix", given.text("suffix", 1, LONGEST_CONTENT));
      case "WordPiece" -> {
        grow(2);
        part.put("prefix", given.text("prefix", 0, LONGEST_CONTENT));
        part.put("cleanup", given.flag("cleanup", true));
      }
      case "CTC" -> {
        part.put("pad_token", given.text("pad_token", 1, LONGEST_CONTENT));
        part.put("word_delimiter_token", given.text("word_delimiter_token", 1, LONGEST_CONTENT));
        part.put("cleanup", given.flag("cleanup", true));
      }
      case "Replace" -> replace(given, part, true);
      case "Strip" -> {
        part.put("content", given.character("content"));
        part.put("start", given.number("start", 0, 1000));
        // From the end, a token of nothing but these is cut beyond its beginning.
        part.put("stop", given.number("stop", 0, 0));
      }
      default -> throw unknown(given);
    }
    return part;
  }

  private static void byteLevel(TokenizerFields given, ObjectNode part) {
    part.put("add_prefix_space", given.flag("add_prefix_space", true));
    part.put("trim_offsets", given.flag("trim_offsets", true));
    part.put("use_regex", given.flag("use_regex", true));
  }

  private static void metaspace(TokenizerFields given, ObjectNode part) {
    part.put("replacement", given.character("replacement"));
    String scheme =
        given.isNone("prepend_scheme")
            ? "always"
            : given.oneOf("prepend_scheme", "first", "never", "always");
    part.put("prepend_scheme", given.flag("add_prefix_space", true) ? scheme : "never");
    part.put("split", given.flag("split", true));
  }

  private void replace(TokenizerFields given, ObjectNode part, boolean mayMatchNothing) {
    String content = given.text("content", 0, LONGEST_CONTENT);
    int shortest = pattern(given, part);
    // Content before the first character has no place in the text that it could stand for.
    if (shortest == 0 && !mayMatchNothing) {
      throw refused(given.field("pattern"), "must not match an empty text");
    }
    int length = TokenizerFields.bytes(content);
    grow(shortest == 0 ? length + 1.0 : length / (double) shortest);
    part.put("content", content);
  }

  private void precompiled(TokenizerFields given, ObjectNode part) {
    String field = given.field("precompiled_charsmap");
    String text = given.text("precompiled_charsmap", 0, LARGEST_TABLE);
    try {
      grow(NormalizationTable.growth(Base64.getDecoder().decode(text)));
    } catch (IllegalArgumentException e) {
      throw refused(field, "cannot be used: " + e.getMessage());
    }
    part.put("precompiled_charsmap", text);
  }

  /** A text or a regular expression; how many bytes match at least. */
  private int pattern(TokenizerFields given, ObjectNode part) {
    TokenizerFields pattern =
        new TokenizerFields(given.node().path("pattern"), given.field("pattern"));
    if (!pattern.isNone("String")) {
      String text = pattern.text("String", 0, 1000);
      part.putObject("pattern").put("String", text);
      return TokenizerFields.bytes(text);
    }
    String text = pattern.text("Regex", 0, 1 << 15);
    part.putObject("pattern").put("Regex", text);
    try {
      SplitExpression.Cost cost = SplitExpression.cost(text);
      if (cost.steps() > 0) {
        atMost(MOST_STEPS / cost.steps() / growth);
        if (!WELL_KNOWN.contains(text)) {
          atMost(LONGEST_QUADRATIC / growth);
        }
      }
      return cost.shortest();
    } catch (IllegalArgumentException e) {
      throw refused(pattern.field("Regex"), e.getMessage());
    }
  }

  private void grow(double factor) {
    growth *= Math.max(1, factor);
  }

  private static String type(TokenizerFields given) {
    return given.text("type", 1, 40);
  }

  private static TokenizerFields.Refused unknown(TokenizerFields given) {
    return refused(given.field("type"), "is not supported: " + PrintableText.name(type(given)));
  }

  private static Set<String> wellKnown() {
    try (BufferedReader lines =
        new BufferedReader(
            new InputStreamReader(
                TokenizerParts.class.getResourceAsStream("split-expressions.txt"),
                StandardCharsets.UTF_8))) {
      return lines.lines().collect(Collectors.toUnmodifiableSet());
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
