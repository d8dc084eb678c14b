package org.threegate.run;

/**
 * Makes untrusted text, such as the name of a tensor, safe to show. The result cannot move the
 * cursor, change the direction of text, or hide a part of itself.
 *
 * <pre>{@code
 * System.err.println(PrintableText.of("a name from a file"));
 * }</pre>
 */
public final class PrintableText {
  /** Largest number of characters of an error message. */
  static final int LONGEST_MESSAGE = 600;

  private static final int DELETE = 0x7F;
  private static final int LONGEST_NAME = 200;
  private static final String GAP = " ... ";

  private PrintableText() {}

  /**
   * {@return the text with a visible escape, such as {@code \}{@code u202e}, for each invisible
   * character: controls, line ends, changes of direction, and unpaired surrogates}
   *
   * @param text the text
   */
  public static String of(String text) {
    if (text.chars().allMatch(c -> c >= ' ' && c < DELETE)) {
      return text;
    }
    StringBuilder printable = new StringBuilder(text.length());
    text.codePoints().forEach(c -> append(printable, c));
    return printable.toString();
  }

  /**
   * {@return a printable name, shortened in its middle to 200 characters}
   *
   * @param name any text
   */
  public static String name(String name) {
    return of(shortened(name, LONGEST_NAME));
  }

  /**
   * {@return a printable message, shortened in its middle to 600 characters}
   *
   * @param text the text
   */
  public static String message(String text) {
    return shortened(of(shortened(text, LONGEST_MESSAGE)), LONGEST_MESSAGE);
  }

  private static void append(StringBuilder printable, int c) {
    switch (Character.getType(c)) {
      case Character.CONTROL,
          Character.FORMAT,
          Character.SURROGATE,
          Character.LINE_SEPARATOR,
          Character.PARAGRAPH_SEPARATOR ->
          printable.append(String.format(c > 0xFFFF ? "\\U%08x" : "\\u%04x", c));
      default -> printable.appendCodePoint(c);
    }
  }

  private static String shortened(String text, int longest) {
    if (text.length() <= longest) {
      return text;
    }
    int tail = (longest - GAP.length()) * 2 / 5;
    return text.substring(0, longest - GAP.length() - tail)
        + GAP
        + text.substring(text.length() - tail);
  }
}
