package org.threegate.rl.template;

import java.time.LocalDateTime;
import java.time.format.TextStyle;
import java.time.temporal.ChronoField;
import java.time.temporal.IsoFields;
import java.util.Locale;

/** Implements {@code strftime} for times without a zone, in the C locale. */
final class TimeFormat {
  private static final String FLAGS = "-_0^#";

  private TimeFormat() {}

  static Value of(Evaluation run, String format) {
    LocalDateTime now = LocalDateTime.now(run.clock());
    TextBuilder out = new TextBuilder(run.budget());
    for (int i = 0; i < format.length(); i++) {
      if (format.charAt(i) != '%' || i + 1 == format.length()) {
        out.append(format.charAt(i));
        continue;
      }
      int begin = i;
      char flag = FLAGS.indexOf(format.charAt(i + 1)) >= 0 ? format.charAt(++i) : 0;
      String text = i + 1 < format.length() ? directive(now, format.charAt(i + 1)) : null;
      if (text == null) {
        out.append(format.substring(begin, i + 1));
      } else {
        out.append(flagged(text, flag));
        i++;
      }
    }
    return out.text();
  }

  private static String flagged(String text, char flag) {
    return switch (flag) {
      case '-' -> text.replaceFirst("^[0 ]+(?=\\d)", "");
      case '_' -> padded(text, " ");
      case '0' -> padded(text, "0");
      case '^', '#' -> text.toUpperCase(Locale.ROOT);
      default -> text;
    };
  }

  private static String padded(String text, String fill) {
    String rest = text.replaceFirst("^[0 ]+(?=\\d)", "");
    return fill.repeat(text.length() - rest.length()) + rest;
  }

  private static String digits(String format, int value) {
    return String.format(Locale.ROOT, format, value);
  }

  private static String composed(LocalDateTime now, String directives) {
    StringBuilder text = new StringBuilder();
    for (int i = 0; i < directives.length(); i++) {
      char c = directives.charAt(i);
      text.append(Character.isLetter(c) ? directive(now, c) : String.valueOf(c));
    }
    return text.toString();
  }

  /** Returns the expansion of a directive, or null when it is unknown. */
  private static String directive(LocalDateTime now, char letter) {
    int weekday = now.getDayOfWeek().getValue();
    int hour12 = now.get(ChronoField.CLOCK_HOUR_OF_AMPM);
    return switch (letter) {
      case 'a' -> now.getDayOfWeek().getDisplayName(TextStyle.SHORT, Locale.ENGLISH);
      case 'A' -> now.getDayOfWeek().getDisplayName(TextStyle.FULL, Locale.ENGLISH);
      case 'b', 'h' -> now.getMonth().getDisplayName(TextStyle.SHORT, Locale.ENGLISH);
      case 'B' -> now.getMonth().getDisplayName(TextStyle.FULL, Locale.ENGLISH);
      case 'c' -> composed(now, "a b e T Y");
      case 'C' -> digits("%02d", now.getYear() / 100);
      case 'd' -> digits("%02d", now.getDayOfMonth());
      case 'D', 'x' -> composed(now, "m/d/y");
      case 'e' -> digits("%2d", now.getDayOfMonth());
      case 'f' -> digits("%06d", now.getNano() / 1000);
      case 'F' -> composed(now, "Y-m-d");
      case 'g' -> digits("%02d", now.get(IsoFields.WEEK_BASED_YEAR) % 100);
      case 'G' -> digits("%d", now.get(IsoFields.WEEK_BASED_YEAR));
      case 'H' -> digits("%02d", now.getHour());
      case 'I' -> digits("%02d", hour12);
      case 'j' -> digits("%03d", now.getDayOfYear());
      case 'k' -> digits("%2d", now.getHour());
      case 'l' -> digits("%2d", hour12);
      case 'm' -> digits("%02d", now.getMonthValue());
      case 'M' -> digits("%02d", now.getMinute());
      case 'n' -> "\n";
      case 'p' -> now.getHour() < 12 ? "AM" : "PM";
      case 'P' -> now.getHour() < 12 ? "am" : "pm";
      case 'r' -> composed(now, "I:M:S p");
      case 'R' -> composed(now, "H:M");
      case 'S' -> digits("%02d", now.getSecond());
      case 't' -> "\t";
      case 'T', 'X' -> composed(now, "H:M:S");
      case 'u' -> digits("%d", weekday);
      case 'U' -> digits("%02d", (now.getDayOfYear() + 6 - weekday % 7) / 7);
      case 'V' -> digits("%02d", now.get(IsoFields.WEEK_OF_WEEK_BASED_YEAR));
      case 'w' -> digits("%d", weekday % 7);
      case 'W' -> digits("%02d", (now.getDayOfYear() + 6 - (weekday + 6) % 7) / 7);
      case 'y' -> digits("%02d", now.getYear() % 100);
      case 'Y' -> digits("%d", now.getYear());
      case 'z', 'Z' -> "";
      case '%' -> "%";
      default -> null;
    };
  }
}
