package org.threegate.rl.template;

import java.math.BigDecimal;
import java.math.BigInteger;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** Converts arguments from Java objects, and writes JSON as Python's {@code json.dumps} does. */
final class Json {
  private Json() {}

  /** Converts a Java object of a JSON type. Other types are rejected. */
  static Value value(Budget budget, Object object, int depth) {
    if (depth > budget.limits().nesting()) {
      throw new TemplateException("an argument is nested deeper than " + budget.limits().nesting());
    }
    if (object == null) {
      return Value.None.NONE;
    }
    if (object instanceof Boolean truth) {
      return Value.Bool.of(truth);
    }
    if (object instanceof String text) {
      return budget.text(text);
    }
    if (object instanceof Number number) {
      return number(number);
    }
    if (object instanceof List<?> list) {
      List<Value> items = new ArrayList<>(list.size());
      list.forEach(item -> items.add(value(budget, item, depth + 1)));
      return budget.list(items);
    }
    if (object instanceof Map<?, ?> map) {
      LinkedHashMap<Value, Value> entries = new LinkedHashMap<>();
      map.forEach(
          (key, item) -> entries.put(budget.text((String) key), value(budget, item, depth + 1)));
      return budget.dict(entries);
    }
    throw new IllegalArgumentException("a " + object.getClass().getName() + " is not a JSON type");
  }

  private static Value number(Number number) {
    if (number instanceof Double || number instanceof Float || number instanceof BigDecimal) {
      return new Value.Real(number.doubleValue());
    }
    if (number instanceof BigInteger large && large.bitLength() >= Long.SIZE) {
      throw new TemplateException("an argument has a whole number beyond 64 bits");
    }
    return new Value.Int(number.longValue());
  }

  /** The formatting options. */
  private record Style(
      TextBuilder out, boolean ascii, String indent, String comma, String colon, boolean sorted) {
    void line(int depth) {
      if (indent != null) {
        out.append("\n").repeat(indent, depth);
      }
    }
  }

  static Value write(Evaluation run, Value value, Builtin.Given given) {
    Value indent = given.get("indent", Value.None.NONE);
    String indented =
        indent instanceof Value.Text text
            ? text.value()
            : indent == Value.None.NONE
                ? null
                : new TextBuilder(run.budget()).repeat(" ", Conversions.integer(indent)).toString();
    String comma = indented == null ? ", " : ",";
    String colon = ": ";
    if (given.has("separators")) {
      List<Value> separators = run.items(given.get("separators"));
      if (separators.size() != 2) {
        throw new TemplateException("tojson requires two separators");
      }
      comma = Conversions.text(separators.get(0));
      colon = Conversions.text(separators.get(1));
    }
    TextBuilder out = new TextBuilder(run.budget());
    write(
        run,
        value,
        new Style(
            out,
            given.flag("ensure_ascii", false),
            indented,
            comma,
            colon,
            given.flag("sort_keys", false)),
        0);
    return out.text();
  }

  private static void write(Evaluation run, Value value, Style style, int depth) {
    run.budget().step();
    if (value instanceof Value.Text text) {
      quote(style, text.value());
    } else if (value instanceof Value.Dict dict) {
      write(run, dict, style, depth);
    } else if (value instanceof Value.Listing list
        && (list.kind() == Value.Kind.LIST || list.kind().isTuple())) {
      write(run, list, style, depth);
    } else if (value == Value.None.NONE || value instanceof Value.Num) {
      style.out().append(plain(value));
    } else {
      Conversions.requireDefined(value);
      throw new TemplateException("a value of type " + value.type() + " is not JSON serializable");
    }
  }

  private static String plain(Value value) {
    if (value == Value.None.NONE) {
      return "null";
    }
    if (value instanceof Value.Bool truth) {
      return Boolean.toString(truth.value());
    }
    if (value instanceof Value.Int whole) {
      return Long.toString(whole.value());
    }
    double real = ((Value.Real) value).value();
    return Double.isNaN(real)
        ? "NaN"
        : Double.isInfinite(real) ? real > 0 ? "Infinity" : "-Infinity" : Numerals.shortest(real);
  }

  private static void write(Evaluation run, Value.Listing list, Style style, int depth) {
    style.out().append("[");
    for (int i = 0; i < list.items().size(); i++) {
      style.out().append(i == 0 ? "" : style.comma());
      style.line(depth + 1);
      write(run, list.items().get(i), style, depth + 1);
    }
    if (list.truth()) {
      style.line(depth);
    }
    style.out().append("]");
  }

  private static void write(Evaluation run, Value.Dict dict, Style style, int depth) {
    List<Map.Entry<Value, Value>> entries = new ArrayList<>(dict.entries().entrySet());
    if (style.sorted()) {
      entries.sort((a, b) -> Operators.order(run, "<", a.getKey(), b.getKey()));
    }
    style.out().append("{");
    for (int i = 0; i < entries.size(); i++) {
      Value key = entries.get(i).getKey();
      style.out().append(i == 0 ? "" : style.comma());
      style.line(depth + 1);
      quote(style, key instanceof Value.Text text ? text.value() : plain(key));
      style.out().append(style.colon());
      write(run, entries.get(i).getValue(), style, depth + 1);
    }
    if (dict.truth()) {
      style.line(depth);
    }
    style.out().append("}");
  }

  private static void quote(Style style, String text) {
    TextBuilder out = style.out();
    out.append("\"");
    int plain = 0;
    for (int i = 0; i < text.length(); i++) {
      char c = text.charAt(i);
      if (c < ' ' || c == '"' || c == '\\' || style.ascii() && c > '~') {
        out.append(text.substring(plain, i)).append(escaped(c));
        plain = i + 1;
      }
    }
    out.append(text.substring(plain)).append("\"");
  }

  private static String escaped(char c) {
    return switch (c) {
      case '"' -> "\\\"";
      case '\\' -> "\\\\";
      case '\n' -> "\\n";
      case '\r' -> "\\r";
      case '\t' -> "\\t";
      case '\f' -> "\\f";
      case '\b' -> "\\b";
      default -> String.format("\\u%04x", (int) c);
    };
  }
}
