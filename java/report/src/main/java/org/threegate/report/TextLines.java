package org.threegate.report;

import java.util.Locale;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** The lines of a summary. Text from outside is made visible and adds no lines. */
final class TextLines {
  /** A width at which nothing is wrapped. */
  static final int UNLIMITED = Integer.MAX_VALUE;

  /** A specifier of a format; its group is the width. */
  private static final Pattern SPECIFIER = Pattern.compile("%[-+,]*(\\d*)(?:\\.\\d+)?[a-zA-Z%]");

  private final StringBuilder out = new StringBuilder();
  private final int width;

  /**
   * Starts an empty summary.
   *
   * @param width columns of the terminal; sentences are wrapped to it, rows of tables are not
   */
  TextLines(int width) {
    this.width = width;
  }

  /** Adds a line, such as a row of a table. */
  void line(String format, Object... arguments) {
    out.append(shown(format, arguments)).append('\n');
  }

  /** Adds an empty line. */
  void blank() {
    out.append('\n');
  }

  /**
   * Adds a sentence, wrapped between words.
   *
   * @param indent spaces before the second line and those after it
   */
  void sentence(int indent, String format, Object... arguments) {
    String rest = shown(format, arguments);
    while (rest.length() > width) {
      int end = rest.lastIndexOf(' ', width);
      if (rest.substring(0, Math.max(0, end)).isBlank()) {
        end = rest.indexOf(' ', width); // The first word is longer than a line.
      }
      if (end < 0) {
        break;
      }
      out.append(rest, 0, end).append('\n');
      rest = " ".repeat(indent) + rest.substring(end).strip();
    }
    out.append(rest).append('\n');
  }

  private static String shown(String format, Object... arguments) {
    Object[] shown = arguments.clone();
    for (int i = 0; i < shown.length; i++) {
      if (shown[i] instanceof String text) {
        shown[i] = ShownText.of(text);
      }
    }
    return text(format, shown);
  }

  /**
   * Formats like {@link String#format}, with a dash in place of numbers that are not finite. Each
   * specifier takes the next argument.
   */
  static String text(String format, Object... arguments) {
    Object[] finite = arguments.clone();
    StringBuilder text = new StringBuilder();
    Matcher specifier = SPECIFIER.matcher(format);
    for (int i = 0; specifier.find(); ) {
      String own = specifier.group();
      if (!own.equals("%%")) {
        if (finite[i] instanceof Double value && !Double.isFinite(value)) {
          finite[i] = "-";
          own = "%" + specifier.group(1) + "s";
        }
        i++;
      }
      specifier.appendReplacement(text, Matcher.quoteReplacement(own));
    }
    return String.format(Locale.ROOT, specifier.appendTail(text).toString(), finite);
  }

  @Override
  public String toString() {
    return out.toString();
  }
}
