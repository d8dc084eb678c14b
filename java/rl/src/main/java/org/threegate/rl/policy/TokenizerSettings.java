package org.threegate.rl.policy;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.nio.file.Path;
import java.util.Collection;
import java.util.Collections;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.regex.Pattern;
import org.threegate.checkpoint.JsonFields;
import org.threegate.file.InputFiles;

/**
 * What {@code tokenizer_config.json} says about the special tokens of a tokenizer and about its
 * text. It need not be there. {@code add_bos_token} and {@code add_eos_token} do not count beside a
 * {@code tokenizer.json}, as in transformers.
 *
 * @param special the texts of the named special tokens
 * @param tokens descriptions of all tokens that the file names, by their texts, in the order in
 *     which transformers adds those that the tokenizer does not have
 * @param cleans whether spaces before punctuation are removed from decoded text
 * @param cleansPairs whether that is done for byte pair encodings, too
 */
record TokenizerSettings(
    Set<String> special, Map<String, JsonNode> tokens, boolean cleans, boolean cleansPairs) {
  private static final String CLEANS = "clean_up_tokenization_spaces";
  private static final String LISTED = "added_tokens_decoder";
  private static final String CONTENT = "content";
  private static final String NORMALIZED = "normalized";
  private static final String SPECIAL = "special";
  private static final Pattern ID = Pattern.compile("\\d{1,9}");
  private static final List<String> NAMES =
      List.of(
          "bos_token",
          "eos_token",
          "unk_token",
          "sep_token",
          "pad_token",
          "cls_token",
          "mask_token");
  private static final List<String> LISTS =
      List.of("additional_special_tokens", "extra_special_tokens");

  /** Copies the set. */
  TokenizerSettings {
    special = Set.copyOf(special);
    tokens = Collections.unmodifiableMap(new LinkedHashMap<>(tokens));
  }

  static TokenizerSettings read(Path path) {
    if (!InputFiles.isThere(path)) {
      return new TokenizerSettings(Set.of(), Map.of(), false, false);
    }
    JsonFields fields = JsonFields.read(path);
    Map<String, JsonNode> tokens = new LinkedHashMap<>();
    listed(fields.object(LISTED)).forEach(value -> add(tokens, value, false));
    Set<String> special = new HashSet<>();
    for (String name : NAMES) {
      add(tokens, fields.value(name), true).ifPresent(special::add);
    }
    for (String name : LISTS) {
      fields.value(name).forEach(value -> add(tokens, value, true).ifPresent(special::add));
    }
    return new TokenizerSettings(
        special,
        tokens,
        fields.flag(CLEANS, false),
        fields.flag(CLEANS + "_for_bpe_even_though_it_will_corrupt_output", false));
  }

  /** Returns the tokens of a field whose names are ids, in the order of the ids. */
  private static Collection<JsonNode> listed(JsonFields fields) {
    Map<Integer, JsonNode> all = new TreeMap<>();
    for (String name : fields.names()) {
      if (!ID.matcher(name).matches()) {
        throw fields.refused(name, "named by a number");
      }
      all.put(Integer.valueOf(name), fields.value(name));
    }
    return all.values();
  }

  /** Adds a token, which is a text or an object, and returns its text. */
  private static Optional<String> add(
      Map<String, JsonNode> tokens, JsonNode value, boolean isSpecial) {
    Optional<String> text =
        Optional.of(value.isObject() ? value.path(CONTENT) : value)
            .filter(JsonNode::isTextual)
            .map(JsonNode::asText);
    ObjectNode described = JsonNodeFactory.instance.objectNode();
    if (value.isObject()) {
      value.properties().forEach(own -> described.set(own.getKey(), own.getValue()));
    }
    if (isSpecial) {
      described.put(SPECIAL, true);
    }
    if (!described.hasNonNull(NORMALIZED)) {
      described.put(NORMALIZED, !described.path(SPECIAL).asBoolean(false));
    }
    text.ifPresent(own -> tokens.putIfAbsent(own, described.put(CONTENT, own)));
    return text;
  }

  /** Returns decoded text without spaces before punctuation, as transformers removes them. */
  String cleaned(String text, boolean isPairs) {
    if (!cleans || isPairs && !cleansPairs) {
      return text;
    }
    String cleaned = text;
    for (String mark : List.of(".", "?", "!", ",")) {
      cleaned = cleaned.replace(" " + mark, mark);
    }
    cleaned = cleaned.replace(" ' ", "'");
    for (String part : List.of("n't", "'m", "'s", "'ve", "'re")) {
      cleaned = cleaned.replace(" " + part, part);
    }
    return cleaned;
  }
}
