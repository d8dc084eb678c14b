package org.threegate.rl.policy;

import static org.threegate.rl.policy.TokenizerFields.refused;

import com.fasterxml.jackson.databind.JsonNode;
import java.util.ArrayList;
import java.util.List;
import org.threegate.rl.policy.Tokenizer.Surrounding;

/** Reads which special tokens the {@code post_processor} of a tokenizer puts around a text. */
final class TokenizerTemplate {
  private static final String WHERE = "post_processor";
  private static final int LONGEST_NAME = 512;

  private TokenizerTemplate() {}

  /** Returns the special tokens around a text; none when there is no post-processor. */
  static Surrounding of(JsonNode node) {
    return node.isNull() ? Surrounding.NONE : of(new TokenizerFields(node, WHERE));
  }

  private static Surrounding of(TokenizerFields given) {
    return switch (given.text("type", 1, 40)) {
      // It only moves offsets.
      case "ByteLevel" -> Surrounding.NONE;
      case "BertProcessing", "RobertaProcessing" ->
          new Surrounding(List.of(id(given, "cls")), List.of(id(given, "sep")));
      case "TemplateProcessing" -> template(given);
      case "Sequence" -> sequence(given);
      default ->
          throw refused(
              given.field("type"),
              "must be TemplateProcessing, BertProcessing, RobertaProcessing, ByteLevel or Sequence");
    };
  }

  private static int id(TokenizerFields given, String name) {
    JsonNode pair = given.node().path(name);
    if (!pair.isArray() || pair.size() != 2) {
      throw refused(given.field(name), "must be a token and its id");
    }
    return id(pair.get(1), given.field(name));
  }

  private static int id(JsonNode value, String field) {
    if (!value.isIntegralNumber()
        || !value.canConvertToInt()
        || value.intValue() < 0
        || value.intValue() > TokenizerVocabulary.LARGEST_ID) {
      throw refused(field, "must have an id from 0 to " + TokenizerVocabulary.LARGEST_ID);
    }
    return value.intValue();
  }

  /** Each part puts its tokens around the result of those before it. */
  private static Surrounding sequence(TokenizerFields given) {
    JsonNode parts = given.node().path("processors");
    if (!parts.isArray()) {
      throw refused(given.field("processors"), "must be a list");
    }
    List<Integer> before = new ArrayList<>();
    List<Integer> after = new ArrayList<>();
    for (int i = 0; i < parts.size(); i++) {
      Surrounding own =
          of(new TokenizerFields(parts.get(i), given.field("processors") + "[" + i + "]"));
      before.addAll(0, own.before());
      after.addAll(own.after());
    }
    return new Surrounding(before, after);
  }

  private static Surrounding template(TokenizerFields given) {
    JsonNode pieces = given.node().path("single");
    if (!pieces.isArray()) {
      throw refused(given.field("single"), "must be a list");
    }
    List<Integer> before = new ArrayList<>();
    List<Integer> after = new ArrayList<>();
    int texts = 0;
    for (int i = 0; i < pieces.size(); i++) {
      TokenizerFields piece =
          new TokenizerFields(pieces.get(i), given.field("single") + "[" + i + "]");
      if (piece.isNone("SpecialToken")) {
        TokenizerFields text =
            new TokenizerFields(piece.node().path("Sequence"), piece.field("Sequence"));
        text.oneOf("id", "A");
        texts++;
      } else {
        (texts == 0 ? before : after).addAll(ids(given, piece));
      }
    }
    if (texts != 1) {
      throw refused(given.field("single"), "has the text " + texts + " times, not once");
    }
    return new Surrounding(before, after);
  }

  private static List<Integer> ids(TokenizerFields given, TokenizerFields piece) {
    String name =
        new TokenizerFields(piece.node().path("SpecialToken"), piece.field("SpecialToken"))
            .text("id", 0, LONGEST_NAME);
    String field = given.field("special_tokens");
    JsonNode all = given.node().path("special_tokens").path(name).path("ids");
    if (!all.isArray()) {
      throw refused(field, "must have the ids of each token of the template");
    }
    List<Integer> ids = new ArrayList<>();
    all.forEach(value -> ids.add(id(value, field)));
    return ids;
  }
}
