package org.threegate.rl.template;

import java.util.List;
import java.util.Map;

/** Prints values as Python does. */
final class Printer {
  private Printer() {}

  /** Prints like Python's {@code str}. */
  static String text(Budget budget, Value value) {
    if (value instanceof Value.Text text) {
      return text.value();
    }
    if (value instanceof Value.Undefined) {
      return "";
    }
    return written(budget, value);
  }

  /** Prints like Python's {@code repr}. */
  static String written(Budget budget, Value value) {
    TextBuilder out = new TextBuilder(budget);
    write(out, value);
    return out.toString();
  }

  private static void write(TextBuilder out, Value value) {
    if (value instanceof Value.Text text) {
      quote(out, text.value());
    } else if (value instanceof Value.Undefined) {
      out.append("Undefined");
    } else if (value == Value.None.NONE) {
      out.append("None");
    } else if (value instanceof Value.Bool truth) {
      out.append(truth.value() ? "True" : "False");
    } else if (value instanceof Value.Int whole) {
      out.append(Long.toString(whole.value()));
    } else if (value instanceof Value.Real real) {
      out.append(Numerals.shortest(real.value()));
    } else if (value instanceof Value.Listing list && list.kind() != Value.Kind.RANGE) {
      write(out, list);
    } else if (value instanceof Value.Dict dict) {
      write(out, dict);
    } else if (value.macroName().isPresent()) {
      out.append("<Macro ");
      quote(out, value.macroName().get());
      out.append(">");
    } else {
      throw new TemplateException("a value of type " + value.type() + " cannot be printed");
    }
  }

  private static void write(TextBuilder out, Value.Listing list) {
    List<Value> items = list.items();
    out.append(list.kind().open);
    for (int i = 0; i < items.size(); i++) {
      out.append(i == 0 ? "" : ", ");
      write(out, items.get(i));
    }
    out.append(list.kind().isTuple() && items.size() == 1 ? "," : "").append(list.kind().close);
  }

  private static void write(TextBuilder out, Value.Dict dict) {
    String separator = "{";
    for (Map.Entry<Value, Value> entry : dict.entries().entrySet()) {
      out.append(separator);
      write(out, entry.getKey());
      out.append(": ");
      write(out, entry.getValue());
      separator = ", ";
    }
    out.append(dict.entries().isEmpty() ? "{}" : "}");
  }

  private static void quote(TextBuilder out, String text) {
    String quote = text.indexOf('\'') >= 0 && text.indexOf('"') < 0 ? "\"" : "'";
    out.append(quote);
    text.codePoints().forEach(c -> quote(out, quote.charAt(0), c));
    out.append(quote);
  }

  private static void quote(TextBuilder out, char quote, int c) {
    if (c == quote || c == '\\') {
      out.append('\\').append(c);
    } else if (c == '\n') {
      out.append("\\n");
    } else if (c == '\r') {
      out.append("\\r");
    } else if (c == '\t') {
      out.append("\\t");
    } else if (isPrintable(c)) {
      out.append(c);
    } else {
      out.append(String.format(c < 0x100 ? "\\x%02x" : c < 0x10000 ? "\\u%04x" : "\\U%08x", c));
    }
  }

  private static boolean isPrintable(int c) {
    return switch (Character.getType(c)) {
      case Character.CONTROL,
          Character.FORMAT,
          Character.SURROGATE,
          Character.PRIVATE_USE,
          Character.UNASSIGNED,
          Character.LINE_SEPARATOR,
          Character.PARAGRAPH_SEPARATOR ->
          false;
      case Character.SPACE_SEPARATOR -> c == ' ';
      default -> true;
    };
  }
}
