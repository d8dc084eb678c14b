package org.threegate.rl.template;

import java.util.Map;

/** Converts values to the types that operations require, or rejects them. */
final class Conversions {
  private Conversions() {}

  static void requireDefined(Value value) {
    if (value instanceof Value.Undefined undefined) {
      throw new TemplateException(undefined.reason());
    }
  }

  static TemplateException wanted(String kind, Value value) {
    requireDefined(value);
    return new TemplateException("a value of type " + value.type() + " is no " + kind);
  }

  /** Converts an integer or a boolean. */
  static long integer(Value value) {
    if (value instanceof Value.Int whole) {
      return whole.value();
    }
    if (value instanceof Value.Bool truth) {
      return truth.value() ? 1 : 0;
    }
    throw wanted("whole number", value);
  }

  static String text(Value value) {
    if (value instanceof Value.Text text) {
      return text.value();
    }
    throw wanted("text", value);
  }

  static Map<Value, Value> dict(Value value) {
    if (value instanceof Value.Dict dict) {
      return dict.entries();
    }
    throw wanted("mapping", value);
  }

  /** Returns a value as a mapping key. Values that contain others are not hashable. */
  static Value key(Value value) {
    if (isKey(value)) {
      return value;
    }
    throw wanted("key", value);
  }

  static boolean isWhole(Value value) {
    return value instanceof Value.Int || value instanceof Value.Bool;
  }

  /** Returns whether a value can be a mapping key. */
  static boolean isKey(Value value) {
    return value instanceof Value.Text
        || value instanceof Value.Num
        || value instanceof Value.Undefined
        || value == Value.None.NONE;
  }

  /** Returns the character with a code point as a string. */
  static String character(Value value) {
    long code = integer(value);
    if (code < 0 || code > Character.MAX_CODE_POINT) {
      throw new TemplateException("a number is not a valid code point");
    }
    return Character.toString((int) code);
  }
}
