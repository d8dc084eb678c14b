package org.threegate.rl.policy;

import com.fasterxml.jackson.databind.JsonNode;
import java.nio.file.Path;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import org.threegate.checkpoint.JsonFields;
import org.threegate.file.InputFiles;

/**
 * What {@code tokenizer_config.json} says about the special tokens of a tokenizer and about its
 * text. It need not be there. {@code add_bos_token} and {@code add_eos_token} do not count beside a
 * {@code tokenizer.json}, as in transformers.
 *
 * @param special the texts of the named special tokens
 * @param cleans whether spaces before punctuation are removed from decoded text
 * @param cleansPairs whether that is done for byte pair encodings, too
 */
record TokenizerSettings(Set<String> special, boolean cleans, boolean cleansPairs) {
  private static final String CLEANS = "clean_up_tokenization_spaces";
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
  }

  static TokenizerSettings read(Path path) {
    if (!InputFiles.isThere(path)) {
      return new TokenizerSettings(Set.of(), false, false);
    }
    JsonFields fields = JsonFields.read(path);
    Set<String> special = new HashSet<>();
    NAMES.forEach(name -> token(fields.value(name)).ifPresent(special::add));
    for (String name : LISTS) {
      fields.value(name).forEach(value -> token(value).ifPresent(special::add));
    }
    return new TokenizerSettings(
        special,
        fields.flag(CLEANS, false),
        fields.flag(CLEANS + "_for_bpe_even_though_it_will_corrupt_output", false));
  }

  private static Optional<String> token(JsonNode node) {
    return Optional.of(node.isObject() ? node.path("content") : node)
        .filter(JsonNode::isTextual)
        .map(JsonNode::asText);
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
