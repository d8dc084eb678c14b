package org.threegate.report;

import java.util.Locale;
import org.threegate.run.PrintableText;

/** Text of a file as a page or a terminal shows it: no character of it is unseen, and it ends. */
final class ShownText {
  private static final int LONGEST = 2000;

  private ShownText() {}

  static String of(String text) {
    return PrintableText.of(text.length() > LONGEST ? text.substring(0, LONGEST) + "…" : text);
  }

  /** Adds a line to a text; what stands in it adds none. */
  static void line(StringBuilder out, String format, Object... arguments) {
    Object[] shown = arguments.clone();
    for (int i = 0; i < shown.length; i++) {
      if (shown[i] instanceof String text) {
        shown[i] = of(text);
      }
    }
    out.append(String.format(Locale.ROOT, format, shown)).append('\n');
  }
}
