package org.threegate.rl.template;

import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * What an expression is worth. The list is closed: values of JSON, what templates make of them, and
 * functions that are known by name. Equality is Python's.
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
  /** Python's name of the type, for errors. */
  String type();

  /** Name of a macro, which is printed with it; empty for what is no macro. */
  default Optional<String> macroName() {
    return Optional.empty();
  }

  default boolean truth() {
    return true;
  }

  /** Characters and elements of all that is in it, however often it is. */
  default long weight() {
    return 1;
  }

  /** Of values in values. */
  default int depth() {
    return 0;
  }

  /** What is not there; most uses of it are errors, with the reason. */
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

  /** Numbers, which truth values are, too. */
  sealed interface Num extends Value permits Bool, Int, Real {
    /** Rounded where it has to be. */
    double real();
  }

  /** A truth value, equal to 0 or 1. */
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

  /** A whole number of 64 bits. Keys that are comparable cannot be made to collide at a cost. */
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

  /** A number of 64 bits. */
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

  /** A text, of code points as in Python. */
  final class Text implements Value, Comparable<Text> {
    private final String value;
    private int length = -1;

    Text(String value) {
      this.value = value;
    }

    String value() {
      return value;
    }

    /** In code points. */
    int length() {
      if (length < 0) {
        length = value.codePointCount(0, value.length());
      }
      return length;
    }

    /** Whether code points are characters of Java. */
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

    /** By code points, which surrogates are not in the order of. */
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

  /** What sort of sequence it is. */
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

  /** A sequence that does not change. */
  final class Listing implements Value {
    private final Kind kind;
    private final List<Value> items;
    private final long weight;
    private final int depth;

    /**
     * @param items not changed by anybody from now on
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

  /** A mapping that does not change, in the order in which it was made. */
  final class Dict implements Value {
    private final Map<Value, Value> entries;
    private final long weight;
    private final int depth;

    /**
     * @param entries not changed by anybody from now on
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

  /** What Python's generators are: gone through once, always true, of no length. */
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

  /** The one value that templates change. It may hold itself, so nothing looks into it. */
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
