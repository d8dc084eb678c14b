package org.threegate.rl.template;

import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * The value of an expression. The hierarchy is sealed: JSON values, values that templates create,
 * and functions. Equality is that of Python.
 */
sealed interface Value
    permits Value.Undefined,
        Value.None,
        Value.Num,
        Value.Text,
        Value.Listing,
        Value.Dict,
        Value.Stream,
        Value.Namespace,
        Cycler,
        Callable {
  /** Returns Python's name of the type, for errors. */
  String type();

  /** Returns the name of a macro, which is printed with it, or an empty string for other values. */
  default Optional<String> macroName() {
    return Optional.empty();
  }

  default boolean truth() {
    return true;
  }

  /** Returns the number of characters and elements in the value, counting repeated ones again. */
  default long weight() {
    return 1;
  }

  /** Returns the depth of nested values. */
  default int depth() {
    return 0;
  }

  /** A missing value. Most uses of it fail with the reason. */
  record Undefined(String reason) implements Value {
    @Override
    public String type() {
      return "Undefined";
    }

    @Override
    public boolean truth() {
      return false;
    }

    @Override
    public boolean equals(Object other) {
      return other instanceof Undefined;
    }

    @Override
    public int hashCode() {
      return 1;
    }
  }

  /** Python's {@code None}. */
  enum None implements Value {
    NONE;

    @Override
    public String type() {
      return "NoneType";
    }

    @Override
    public boolean truth() {
      return false;
    }
  }

  /** A number. As in Python, booleans are numbers. */
  sealed interface Num extends Value permits Bool, Int, Real {
    /** Returns the number as a double, rounded where necessary. */
    double real();
  }

  /** A boolean, which equals 0 or 1. */
  record Bool(boolean value) implements Num {
    static final Bool TRUE = new Bool(true);
    static final Bool FALSE = new Bool(false);

    static Bool of(boolean value) {
      return value ? TRUE : FALSE;
    }

    @Override
    public String type() {
      return "bool";
    }

    @Override
    public boolean truth() {
      return value;
    }

    @Override
    public double real() {
      return value ? 1 : 0;
    }

    @Override
    public boolean equals(Object other) {
      return new Int(value ? 1 : 0).equals(other);
    }

    @Override
    public int hashCode() {
      return value ? 1 : 0;
    }
  }

  /** A 64-bit integer. Keys are comparable, so that colliding hashes cannot slow down mappings. */
  record Int(long value) implements Num, Comparable<Int> {
    @Override
    public String type() {
      return "int";
    }

    @Override
    public boolean truth() {
      return value != 0;
    }

    @Override
    public double real() {
      return value;
    }

    @Override
    public int compareTo(Int other) {
      return Long.compare(value, other.value);
    }

    @Override
    public boolean equals(Object other) {
      return other instanceof Int whole && whole.value == value
          || other instanceof Bool truth && (truth.value ? 1 : 0) == value
          || other instanceof Real real && real.isWhole() && (long) real.value == value;
    }

    @Override
    public int hashCode() {
      return Long.hashCode(value);
    }
  }

  /** A 64-bit floating-point number. */
  record Real(double value) implements Num, Comparable<Real> {
    @Override
    public String type() {
      return "float";
    }

    @Override
    public boolean truth() {
      return value != 0;
    }

    @Override
    public double real() {
      return value;
    }

    boolean isWhole() {
      return value == Math.rint(value) && Math.abs(value) < 0x1p63;
    }

    @Override
    public int compareTo(Real other) {
      return Double.compare(value, other.value);
    }

    @Override
    public boolean equals(Object other) {
      return other instanceof Real real
          ? real.value == value
          : other instanceof Num && other.equals(this);
    }

    @Override
    public int hashCode() {
      return isWhole() ? Long.hashCode((long) value) : Double.hashCode(value);
    }
  }

  /** A string of code points, as in Python. */
  final class Text implements Value, Comparable<Text> {
    private final String value;
    private int length = -1;

    Text(String value) {
      this.value = value;
    }

    String value() {
      return value;
    }

    /** Returns the length in code points. */
    int length() {
      if (length < 0) {
        length = value.codePointCount(0, value.length());
      }
      return length;
    }

    /** Returns whether each code point is one {@code char}. */
    boolean isSimple() {
      return length() == value.length();
    }

    @Override
    public String type() {
      return "str";
    }

    @Override
    public boolean truth() {
      return !value.isEmpty();
    }

    @Override
    public long weight() {
      return value.length();
    }

    /** Compares by code points, whose order differs from that of UTF-16. */
    @Override
    public int compareTo(Text other) {
      int common = Math.min(value.length(), other.value.length());
      for (int i = 0; i < common; i++) {
        char own = value.charAt(i);
        char its = other.value.charAt(i);
        if (own != its) {
          return Character.isSurrogate(own) == Character.isSurrogate(its)
              ? Character.compare(own, its)
              : Character.isSurrogate(own) ? 1 : -1;
        }
      }
      return Integer.compare(value.length(), other.value.length());
    }

    @Override
    public boolean equals(Object other) {
      return other instanceof Text text && text.value.equals(value);
    }

    @Override
    public int hashCode() {
      return value.hashCode();
    }
  }

  /** The kinds of sequences. */
  enum Kind {
    LIST("list", "[", "]"),
    TUPLE("tuple", "(", ")"),
    GROUP("tuple", "(", ")"),
    RANGE("range", "", ""),
    KEYS("dict_keys", "dict_keys([", "])"),
    VALUES("dict_values", "dict_values([", "])"),
    ITEMS("dict_items", "dict_items([", "])");

    final String type;
    final String open;
    final String close;

    Kind(String type, String open, String close) {
      this.type = type;
      this.open = open;
      this.close = close;
    }

    boolean isSubscriptable() {
      return compareTo(RANGE) <= 0;
    }

    boolean isTuple() {
      return this == TUPLE || this == GROUP;
    }
  }

  /** An immutable sequence. */
  final class Listing implements Value {
    private final Kind kind;
    private final List<Value> items;
    private final long weight;
    private final int depth;

    /**
     * Creates a sequence.
     *
     * @param items the items, which must not change afterwards
     */
    Listing(Kind kind, List<Value> items) {
      this.kind = kind;
      this.items = items;
      long sum = 1;
      int deepest = 0;
      for (Value item : items) {
        sum += 1 + item.weight();
        deepest = Math.max(deepest, item.depth());
      }
      this.weight = sum;
      this.depth = deepest + 1;
    }

    Kind kind() {
      return kind;
    }

    List<Value> items() {
      return items;
    }

    @Override
    public String type() {
      return kind.type;
    }

    @Override
    public boolean truth() {
      return !items.isEmpty();
    }

    @Override
    public long weight() {
      return weight;
    }

    @Override
    public int depth() {
      return depth;
    }

    @Override
    public boolean equals(Object other) {
      return other instanceof Listing list
          && list.kind.type.equals(kind.type)
          && list.items.equals(items);
    }

    @Override
    public int hashCode() {
      return items.hashCode();
    }
  }

  /** An immutable mapping in insertion order. */
  final class Dict implements Value {
    private final Map<Value, Value> entries;
    private final long weight;
    private final int depth;

    /**
     * Creates a mapping.
     *
     * @param entries the entries, which must not change afterwards
     */
    Dict(LinkedHashMap<Value, Value> entries) {
      this.entries = entries;
      long sum = 1;
      int deepest = 0;
      for (Map.Entry<Value, Value> entry : entries.entrySet()) {
        sum += 2 + entry.getKey().weight() + entry.getValue().weight();
        deepest = Math.max(deepest, entry.getValue().depth());
      }
      this.weight = sum;
      this.depth = deepest + 1;
    }

    Map<Value, Value> entries() {
      return entries;
    }

    @Override
    public String type() {
      return "dict";
    }

    @Override
    public boolean truth() {
      return !entries.isEmpty();
    }

    @Override
    public long weight() {
      return weight;
    }

    @Override
    public int depth() {
      return depth;
    }

    @Override
    public boolean equals(Object other) {
      return other instanceof Dict dict && dict.entries.equals(entries);
    }

    @Override
    public int hashCode() {
      return entries.hashCode();
    }
  }

  /**
   * An iterator, like a Python generator: it can be read once, is always true and has no length.
   */
  final class Stream implements Value {
    private final Iterator<Value> rest;

    Stream(Iterator<Value> rest) {
      this.rest = rest;
    }

    Iterator<Value> rest() {
      return rest;
    }

    @Override
    public String type() {
      return "generator";
    }
  }

  /**
   * A {@code namespace}, the only mutable value. It may contain itself, so it is never traversed.
   */
  final class Namespace implements Value {
    private final Map<String, Value> values;

    Namespace(Map<String, Value> values) {
      this.values = values;
    }

    Map<String, Value> values() {
      return values;
    }

    @Override
    public String type() {
      return "Namespace";
    }
  }
}
