package org.threegate.rl.template;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;

/** Implements {@code 'text' % values}. */
final class PercentFormat {
  private static final int MOST_DIGITS = 9;

  private final Evaluation run;
  private final String format;
  private final Value values;
  private final List<Value> rest;
  private final TextBuilder out;
  private int position;

  private PercentFormat(Evaluation run, String format, Value values) {
    this.run = run;
    this.format = format;
    this.values = values;
    this.rest =
        new ArrayList<>(
            values instanceof Value.Listing list && list.kind().isTuple()
                ? list.items()
                : List.of(values));
    this.out = new TextBuilder(run.budget());
  }

  static Value of(Evaluation run, String format, Value values) {
    return new PercentFormat(run, format, values).formatted();
  }

  private Value formatted() {
    boolean several = values instanceof Value.Listing list && list.kind().isTuple();
    while (position < format.length()) {
      int percent = format.indexOf('%', position);
      int end = percent < 0 ? format.length() : percent;
      out.append(format.substring(position, end));
      position = end + 1;
      if (percent >= 0) {
        directive();
      }
    }
    if (!rest.isEmpty() && (several || !(values instanceof Value.Dict))) {
      throw new TemplateException("a format has fewer fields than values");
    }
    return out.text();
  }

  private char peek() {
    if (position >= format.length()) {
      throw new TemplateException("a format ends after \"%\"");
    }
    return format.charAt(position);
  }

  private Value next() {
    if (rest.isEmpty()) {
      throw new TemplateException("a format has more fields than values");
    }
    return rest.remove(0);
  }

  private long number() {
    int begin = position;
    while (Character.isDigit(peek())) {
      position++;
    }
    if (position - begin > MOST_DIGITS) {
      throw new TemplateException("the width of a format is too large");
    }
    return position == begin ? 0 : Long.parseLong(format.substring(begin, position));
  }

  private void directive() {
    Value named = null;
    if (peek() == '(') {
      int end = format.indexOf(')', position);
      if (end < 0) {
        throw new TemplateException("a format has an unclosed name");
      }
      Value.Text key = run.budget().text(format.substring(position + 1, end));
      named = Conversions.dict(values).get(key);
      if (named == null) {
        throw new TemplateException("a format has no value for \"" + key.value() + "\"");
      }
      rest.clear();
      position = end + 1;
    }
    StringBuilder flags = new StringBuilder();
    while ("-+ 0#".indexOf(peek()) >= 0) {
      flags.append(format.charAt(position++));
    }
    long width = number();
    long precision = -1;
    if (peek() == '.') {
      position++;
      precision = number();
    }
    char kind = peek();
    position++;
    if (kind == '%') {
      out.append("%");
      return;
    }
    Value value = named == null ? next() : named;
    pad(content(kind, value, precision, flags.toString()), flags.toString(), width, kind);
  }

  private String content(char kind, Value value, long precision, String flags) {
    switch (kind) {
      case 's' -> {
        return cut(run.text(value), precision);
      }
      case 'r' -> {
        return cut(Printer.written(run.budget(), value), precision);
      }
      case 'd', 'i', 'u' -> {
        return digits(Long.toString(whole(value)), precision);
      }
      case 'x', 'X', 'o' -> {
        long whole = Conversions.integer(value);
        String text = Long.toString(whole, kind == 'o' ? 8 : 16);
        return digits(kind == 'X' ? text.toUpperCase(Locale.ROOT) : text, precision);
      }
      case 'e', 'E', 'f', 'F', 'g', 'G' -> {
        if (!(value instanceof Value.Num number)) {
          throw new TemplateException("a value of type " + value.type() + " is no number");
        }
        return Numerals.formatted(
            number.real(), kind, precision < 0 ? 6 : precision, flags.indexOf('#') >= 0);
      }
      case 'c' -> {
        return value instanceof Value.Text text && text.length() == 1
            ? text.value()
            : Conversions.character(value);
      }
      default ->
          throw new TemplateException("a format has \"%" + kind + "\", which is not supported");
    }
  }

  private static long whole(Value value) {
    return value instanceof Value.Real real
        ? Numerals.whole(real.value())
        : Conversions.integer(value);
  }

  private static String cut(String text, long precision) {
    return precision < 0 || text.codePointCount(0, text.length()) <= precision
        ? text
        : text.substring(0, text.offsetByCodePoints(0, (int) precision));
  }

  private String digits(String number, long precision) {
    int sign = number.startsWith("-") ? 1 : 0;
    return new TextBuilder(run.budget())
        .append(number.substring(0, sign))
        .repeat("0", precision - number.length() + sign)
        .append(number.substring(sign))
        .toString();
  }

  private void pad(String content, String flags, long width, char kind) {
    boolean number = kind != 's' && kind != 'r' && kind != 'c';
    String text = content;
    if (number && !text.startsWith("-")) {
      text = (flags.indexOf('+') >= 0 ? "+" : flags.indexOf(' ') >= 0 ? " " : "") + text;
    }
    long missing = width - text.codePointCount(0, text.length());
    if (flags.indexOf('-') >= 0) {
      out.append(text).repeat(" ", missing);
    } else if (number && flags.indexOf('0') >= 0) {
      int sign = !text.isEmpty() && "+- ".indexOf(text.charAt(0)) >= 0 ? 1 : 0;
      out.append(text.substring(0, sign)).repeat("0", missing).append(text.substring(sign));
    } else {
      out.repeat(" ", missing).append(text);
    }
  }
}
