package org.threegate.checkpoint;

/**
 * Names of tensors and files come from outside: no control sequence of theirs may reach a terminal.
 *
 * <pre>{@code
 * System.err.println(PrintableText.of("a name from a file"));
 * }</pre>
 */
public final class PrintableText {
  private PrintableText() {}

  /** The text with each control character, line ends included, replaced by U+FFFD. */
  public static String of(String text) {
    StringBuilder printable = new StringBuilder(text.length());
    text.codePoints()
        .forEach(c -> printable.appendCodePoint(Character.isISOControl(c) ? '\uFFFD' : c));
    return printable.toString();
  }
}
