package org.threegate.report;

import org.threegate.run.PrintableText;

/**
 * Text of a file as a page or a terminal shows it: with no invisible character, and not endless.
 */
final class ShownText {
  private static final int LONGEST = 2000;

  private ShownText() {}

  static String of(String text) {
    return PrintableText.of(text.length() > LONGEST ? text.substring(0, LONGEST) + "…" : text);
  }
}
