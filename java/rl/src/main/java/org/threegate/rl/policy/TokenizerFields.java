package org.threegate.rl.policy;

import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import org.threegate.run.PrintableText;

/** Reads fields of an object in a {@code tokenizer.json}, and checks their types and ranges. */
record TokenizerFields(JsonNode node, String where) {
  private static final JsonNodeFactory NODES = JsonNodeFactory.instance;

  /** Signals a value that is not known to be safe. The message does not name the file. */
  static final class Refused extends RuntimeException {
    private static final long serialVersionUID = 1L;

    Refused(String message) {
      super(message);
    }
  }

  TokenizerFields {
    if (!node.isObject()) {
      throw refused(where, "must be an object");
    }
  }

  static Refused refused(String field, String what) {
    return new Refused(field + " " + what);
  }

  /** Returns the length in UTF-8 bytes. */
  static int bytes(String text) {
    return text.getBytes(StandardCharsets.UTF_8).length;
  }

  /** Returns the text, after checking that it has no unpaired surrogates. */
  static String whole(String text, String field) {
    if (text.codePoints().anyMatch(c -> c >= 0xD800 && c < 0xE000)) {
      throw refused(field, "has an unpaired surrogate: " + PrintableText.name(text));
    }
    return text;
  }

  /** Returns a text whose length in bytes is in a range. */
  String text(String name, int least, int most) {
    JsonNode value = node.path(name);
    if (!value.isTextual()) {
      throw refused(field(name), "must be a string");
    }
    int length = bytes(whole(value.textValue(), field(name)));
    if (length < least || length > most) {
      throw refused(field(name), "has " + length + " bytes, not " + least + " to " + most);
    }
    return value.textValue();
  }

  /** Returns a text, which is empty when the field is null or missing. */
  String textOrNone(String name, int most) {
    return isNone(name) ? "" : text(name, 0, most);
  }

  String character(String name) {
    String text = text(name, 1, 4);
    if (text.codePointCount(0, text.length()) != 1) {
      throw refused(field(name), "must be one character");
    }
    return text;
  }

  String oneOf(String name, String... known) {
    String text = text(name, 0, 40);
    for (String one : known) {
      if (one.equals(text)) {
        return text;
      }
    }
    throw refused(field(name), "is not supported: " + PrintableText.name(text));
  }

  int number(String name, int least, int most) {
    JsonNode value = node.path(name);
    if (!value.isIntegralNumber() || !value.canConvertToInt()) {
      throw refused(field(name), "must be an integer");
    }
    int number = value.intValue();
    if (number < least || number > most) {
      throw refused(field(name), "is " + number + ", not " + least + " to " + most);
    }
    return number;
  }

  boolean flag(String name, boolean otherwise) {
    if (isNone(name)) {
      return otherwise;
    }
    JsonNode value = node.path(name);
    if (!value.isBoolean()) {
      throw refused(field(name), "must be true or false");
    }
    return value.booleanValue();
  }

  boolean isNone(String name) {
    return node.path(name).isMissingNode() || node.path(name).isNull();
  }

  String field(String name) {
    return where + "." + name;
  }

  /** Reads the value at a parser's position, with a bound on the number of values in it. */
  static JsonNode tree(JsonParser parser, String field, int most) throws IOException {
    return value(parser, field, new int[] {most});
  }

  private static JsonNode value(JsonParser parser, String field, int[] left) throws IOException {
    if (--left[0] < 0) {
      throw refused(field, "has too many values");
    }
    switch (parser.currentToken()) {
      case START_OBJECT -> {
        var object = NODES.objectNode();
        while (parser.nextToken() == JsonToken.FIELD_NAME) {
          String name = parser.currentName();
          parser.nextToken();
          object.set(name, value(parser, field, left));
        }
        return object;
      }
      case START_ARRAY -> {
        var array = NODES.arrayNode();
        while (parser.nextToken() != JsonToken.END_ARRAY) {
          array.add(value(parser, field, left));
        }
        return array;
      }
      case VALUE_STRING -> {
        return NODES.textNode(parser.getText());
      }
      case VALUE_NUMBER_INT -> {
        // Any longer number is out of every range.
        return parser.getTextLength() > 18
            ? NODES.numberNode(Double.MAX_VALUE)
            : NODES.numberNode(parser.getLongValue());
      }
      case VALUE_NUMBER_FLOAT -> {
        return NODES.numberNode(parser.getDoubleValue());
      }
      case VALUE_TRUE, VALUE_FALSE -> {
        return NODES.booleanNode(parser.getBooleanValue());
      }
      default -> {
        return NODES.nullNode();
      }
    }
  }
}
