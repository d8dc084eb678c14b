package org.threegate.rl.template;

import java.math.BigDecimal;
import java.util.Locale;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** Implements {@code str.format}. Its fields can only reach what a template can reach. */
final class BraceFormat {
  private static final Pattern SPECIFICATION =
      Pattern.compile(
          "(?:(.)?([<>=^]))?([-+ ])?(#)?(0)?(\\d{1,9})?([,_])?(?:\\.(\\d{1,9}))?([bcdeEfFgGnosxX%])?",
          Pattern.DOTALL);
  private static final int LONGEST_FIELD = 1000;
  private static final Pattern STEP = Pattern.compile("\\.([^.\\[\\]]+)|\\[([^\\]]+)\\]");

  /** Resolves the attributes and items of a field. */
  interface Lookup {
    Value attribute(Value of, String name);

    Value item(Value of, Value key);
  }

  private final Evaluation run;
  private final Lookup lookup;
  private final String format;
  private final Arguments arguments;
  private final TextBuilder out;
  private int automatic;
  private int depth;

  private BraceFormat(Evaluation run, String format, Arguments arguments, Lookup lookup) {
    this.run = run;
    this.lookup = lookup;
    this.format = format;
    this.arguments = arguments;
    this.out = new TextBuilder(run.budget());
  }

  static Value of(Evaluation run, String format, Arguments arguments, Lookup lookup) {
    return new BraceFormat(run, format, arguments, lookup).formatted();
  }

  private static TemplateException unbalanced() {
    return new TemplateException("a format has an unmatched brace");
  }

  private Value formatted() {
    int position = 0;
    while (position < format.length()) {
      char c = format.charAt(position);
      boolean brace = c == '{' || c == '}';
      if (brace && format.startsWith(String.valueOf(c), position + 1)) {
        out.append(c);
        position += 2;
      } else if (c == '{') {
        int end = end(position + 1);
        field(format.substring(position + 1, end));
        position = end + 1;
      } else if (brace) {
        throw unbalanced();
      } else {
        out.append(c);
        position++;
      }
    }
    return out.text();
  }

  private int end(int from) {
    int open = 1;
    for (int i = from; i < format.length(); i++) {
      open += format.charAt(i) == '{' ? 1 : format.charAt(i) == '}' ? -1 : 0;
      if (open == 0) {
        return i;
      }
    }
    throw unbalanced();
  }

  private void field(String field) {
    if (field.length() > LONGEST_FIELD) {
      throw new TemplateException(
          "a format has a field of more than " + LONGEST_FIELD + " characters");
    }
    int colon = field.indexOf(':');
    String name = colon < 0 ? field : field.substring(0, colon);
    char conversion = 0;
    int mark = name.indexOf('!');
    if (mark >= 0) {
      String written = name.substring(mark + 1);
      if (!written.equals("s") && !written.equals("r")) {
        throw new TemplateException("a format has an unknown conversion");
      }
      conversion = written.charAt(0);
      name = name.substring(0, mark);
    }
    Value value = value(name);
    if (conversion == 'r') {
      value = run.budget().text(Printer.written(run.budget(), value));
    } else if (conversion == 's') {
      value = run.budget().text(run.text(value));
    }
    String specification = colon < 0 ? "" : field.substring(colon + 1);
    // Nested fields in a specification take values of the same call.
    if (specification.indexOf('{') >= 0) {
      BraceFormat inner = new BraceFormat(run, specification, arguments, lookup);
      if (depth > 0) {
        throw new TemplateException("a format is nested too deep");
      }
      inner.depth = depth + 1;
      inner.automatic = automatic;
      specification = Conversions.text(inner.formatted());
      automatic = inner.automatic;
    }
    write(value, specification);
  }

  private Value value(String field) {
    Matcher steps = STEP.matcher(field);
    int end = steps.find() ? steps.start() : field.length();
    Value value = first(field.substring(0, end));
    while (end < field.length()) {
      if (!steps.find(end) || steps.start() != end) {
        throw new TemplateException("a format has an invalid field");
      }
      String attribute = steps.group(1);
      String key = steps.group(2);
      value =
          attribute != null
              ? lookup.attribute(value, attribute)
              : lookup.item(
                  value,
                  Numerals.parsedWhole(key, 10).map(Value.class::cast).orElse(new Value.Text(key)));
      end = steps.end();
    }
    return value;
  }

  private Value first(String name) {
    boolean numbered = name.isEmpty() || name.chars().allMatch(c -> c >= '0' && c <= '9');
    if (!numbered) {
      Value value = arguments.named().get(name);
      if (value == null) {
        throw new TemplateException("a format has no value for \"" + name + "\"");
      }
      return value;
    }
    long index = name.isEmpty() ? automatic++ : name.length() > 9 ? -1 : Long.parseLong(name);
    if (index < 0 || index >= arguments.positional().size()) {
      throw new TemplateException("a format has more fields than values");
    }
    return arguments.positional().get((int) index);
  }

  private void write(Value value, String specification) {
    if (specification.isEmpty()) {
      out.append(run.text(value));
      return;
    }
    Matcher parts = SPECIFICATION.matcher(specification);
    if (!parts.matches()) {
      throw new TemplateException("a format has an invalid specification");
    }
    boolean number = value instanceof Value.Num;
    if (!number && !(value instanceof Value.Text)) {
      Conversions.requireDefined(value);
      throw new TemplateException(
          "a value of type " + value.type() + " does not support this format");
    }
    String content =
        number ? number((Value.Num) value, parts) : cut(Conversions.text(value), parts);
    pad(content, parts, number);
  }

  private static String cut(String text, Matcher parts) {
    if (parts.group(9) != null && !parts.group(9).equals("s")) {
      throw new TemplateException("a string cannot be formatted as a number");
    }
    int most = parts.group(8) == null ? Integer.MAX_VALUE : Integer.parseInt(parts.group(8));
    return text.codePointCount(0, text.length()) <= most
        ? text
        : text.substring(0, text.offsetByCodePoints(0, most));
  }

  private static String number(Value.Num value, Matcher parts) {
    char kind = parts.group(9) == null ? 0 : parts.group(9).charAt(0);
    boolean real = value instanceof Value.Real || "eEfFgG%".indexOf(kind) >= 0 && kind != 0;
    String digits =
        real ? real(value.real(), kind, parts) : whole(Conversions.integer(value), kind);
    String sign = digits.startsWith("-") ? "-" : "";
    String absolute = digits.substring(sign.length());
    if (sign.isEmpty() && parts.group(3) != null && !parts.group(3).equals("-")) {
      sign = parts.group(3);
    }
    return sign + (parts.group(7) == null ? absolute : grouped(absolute, parts.group(7)));
  }

  private static String real(double value, char kind, Matcher parts) {
    int given = parts.group(8) == null ? -1 : Integer.parseInt(parts.group(8));
    int precision = given < 0 ? 6 : given;
    if (kind == '%') {
      return Numerals.formatted(value * 100, 'f', precision, false) + "%";
    }
    if (kind == 0) {
      if (given < 0) {
        return Numerals.shortest(value);
      }
      // Python formats like "g", but always shows that the number is a float.
      String text = Numerals.formatted(value, 'g', given, false);
      return text.chars().allMatch(c -> c == '-' || Character.isDigit(c)) ? text + ".0" : text;
    }
    if ("eEfFgGn".indexOf(kind) < 0) {
      throw new TemplateException("a float cannot be formatted as an integer");
    }
    return Numerals.formatted(value, kind == 'n' ? 'g' : kind, precision, parts.group(4) != null);
  }

  private static String whole(long value, char kind) {
    return switch (kind) {
      case 0, 'd', 'n' -> Long.toString(value);
      case 'b' -> Long.toString(value, 2);
      case 'o' -> Long.toString(value, 8);
      case 'x' -> Long.toString(value, 16);
      case 'X' -> Long.toString(value, 16).toUpperCase(Locale.ROOT);
      case 'c' -> Conversions.character(new Value.Int(value));
      default -> throw new TemplateException("a number cannot be formatted as a string");
    };
  }

  private static String grouped(String digits, String separator) {
    int whole = 0;
    while (whole < digits.length() && Character.isDigit(digits.charAt(whole))) {
      whole++;
    }
    String before =
        whole == 0
            ? ""
            : String.format(
                Locale.ROOT, "%,d", new BigDecimal(digits.substring(0, whole)).toBigInteger());
    return before.replace(",", separator) + digits.substring(whole);
  }

  private void pad(String content, Matcher parts, boolean number) {
    long width = parts.group(6) == null ? 0 : Long.parseLong(parts.group(6));
    boolean zeros = parts.group(5) != null && parts.group(2) == null;
    String fill = parts.group(1) != null ? parts.group(1) : zeros ? "0" : " ";
    char side =
        parts.group(2) != null
            ? parts.group(2).charAt(0)
            : zeros && number ? '=' : number ? '>' : '<';
    long missing = Math.max(0, width - content.codePointCount(0, content.length()));
    int sign = side == '=' && !content.isEmpty() && "+- ".indexOf(content.charAt(0)) >= 0 ? 1 : 0;
    long before =
        switch (side) {
          case '<' -> 0;
          case '^' -> missing / 2;
          default -> missing;
        };
    out.append(content.substring(0, sign))
        .repeat(fill, before)
        .append(content.substring(sign))
        .repeat(fill, missing - before);
  }
}
