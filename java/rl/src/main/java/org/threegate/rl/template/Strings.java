package org.threegate.rl.template;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.function.IntPredicate;

/** String operations of Python. Their time is linear in the length of the string. */
final class Strings {
  /** The white space of Python, which differs from that of Java. */
  static final IntPredicate SPACE =
      c ->
          c == ' '
              || c >= 9 && c <= 13
              || c >= 28 && c <= 31
              || c == 0x85
              || c == 0xa0
              || c == 0x1680
              || c >= 0x2000 && c <= 0x200a
              || c == 0x2028
              || c == 0x2029
              || c == 0x202f
              || c == 0x205f
              || c == 0x3000;

  private static final String LINE_ENDS = "\n\r\u000b\f\u001c\u001d\u001e\u0085\u2028\u2029";
  private static final int SHORT = 16;

  private Strings() {}

  static boolean isSpace(String text) {
    return !text.isEmpty() && text.codePoints().allMatch(SPACE);
  }

  static String strip(String text, IntPredicate stripped, boolean left, boolean right) {
    int begin = 0;
    int end = text.length();
    while (left && begin < end && stripped.test(text.codePointAt(begin))) {
      begin += Character.charCount(text.codePointAt(begin));
    }
    while (right && end > begin && stripped.test(text.codePointBefore(end))) {
      end -= Character.charCount(text.codePointBefore(end));
    }
    return text.substring(begin, end);
  }

  /**
   * Returns the index of a substring at or after a position, or -1. It uses the linear algorithm of
   * Knuth, Morris and Pratt.
   */
  static int find(String text, String part, int from) {
    if (part.length() <= SHORT || from + part.length() > text.length()) {
      return text.indexOf(part, from);
    }
    return match(text, part, from, false);
  }

  /** Returns the last index of a substring. */
  static int findLast(String text, String part) {
    return part.length() <= SHORT ? text.lastIndexOf(part) : match(text, part, 0, true);
  }

  private static int match(String text, String part, int from, boolean last) {
    int[] borders = new int[part.length()];
    for (int i = 1, border = 0; i < part.length(); i++) {
      border = extended(part, borders, border, part.charAt(i));
      borders[i] = border;
    }
    int found = -1;
    for (int i = from, matched = 0; i < text.length() && (last || found < 0); i++) {
      matched = extended(part, borders, matched, text.charAt(i));
      if (matched == part.length()) {
        found = i - matched + 1;
        matched = borders[matched - 1];
      }
    }
    return found;
  }

  private static int extended(String part, int[] borders, int matched, char next) {
    int length = matched;
    while (length > 0 && part.charAt(length) != next) {
      length = borders[length - 1];
    }
    return part.charAt(length) == next ? length + 1 : length;
  }

  /**
   * Finds occurrences that do not overlap, from the left. An empty substring occurs at every
   * position.
   */
  static List<Integer> places(Budget budget, String text, String part, long most) {
    budget.work(text.length());
    List<Integer> places = new ArrayList<>();
    int from = 0;
    while (places.size() < most && from <= text.length()) {
      int place = find(text, part, from);
      if (place < 0) {
        break;
      }
      budget.step();
      places.add(place);
      from = part.isEmpty() ? next(text, place) : place + part.length();
    }
    return places;
  }

  private static int next(String text, int place) {
    return place < text.length() ? place + Character.charCount(text.codePointAt(place)) : place + 1;
  }

  static Value replace(Budget budget, String text, String old, String replacement, long most) {
    TextBuilder result = new TextBuilder(budget);
    int done = 0;
    for (int place : places(budget, text, old, most < 0 ? Long.MAX_VALUE : most)) {
      result.append(text.substring(done, place)).append(replacement);
      done = place + old.length();
    }
    return result.append(text.substring(done)).text();
  }

  /** Splits at a separator. */
  static List<String> split(Budget budget, String text, String separator, long most) {
    if (separator.isEmpty()) {
      throw new TemplateException("the separator must not be empty");
    }
    List<String> parts = new ArrayList<>();
    int done = 0;
    for (int place : places(budget, text, separator, most < 0 ? Long.MAX_VALUE : most)) {
      parts.add(text.substring(done, place));
      done = place + separator.length();
    }
    parts.add(text.substring(done));
    return parts;
  }

  /** Splits from the right, so that a limit applies to the last separators. */
  static List<String> splitRight(Budget budget, String text, String separator, long most) {
    String reversed = new StringBuilder(text).reverse().toString();
    String turned = new StringBuilder(separator).reverse().toString();
    List<String> parts = new ArrayList<>();
    for (String part : split(budget, reversed, turned, most)) {
      parts.add(0, new StringBuilder(part).reverse().toString());
    }
    return parts;
  }

  /** Splits at white space. */
  static List<String> words(Budget budget, String text, long most) {
    List<String> words = new ArrayList<>();
    String rest = strip(text, SPACE, true, false);
    int begin = 0;
    while (begin < rest.length()) {
      budget.step();
      int end = begin;
      while (end < rest.length() && !SPACE.test(rest.charAt(end))) {
        end++;
      }
      if (most >= 0 && words.size() == most) {
        end = rest.length();
      }
      words.add(rest.substring(begin, end));
      while (end < rest.length() && SPACE.test(rest.charAt(end))) {
        end++;
      }
      begin = end;
    }
    return words;
  }

  static List<String> lines(Budget budget, String text, boolean ends) {
    List<String> lines = new ArrayList<>();
    int begin = 0;
    while (begin < text.length()) {
      budget.step();
      int end = begin;
      while (end < text.length() && LINE_ENDS.indexOf(text.charAt(end)) < 0) {
        end++;
      }
      int next = Math.min(text.length(), text.startsWith("\r\n", end) ? end + 2 : end + 1);
      lines.add(text.substring(begin, ends ? next : end));
      begin = next;
    }
    return lines;
  }

  /** Makes the first character upper case and the others lower case. */
  static String capitalized(String text) {
    if (text.isEmpty()) {
      return text;
    }
    int first = Character.charCount(text.codePointAt(0));
    return large(text.substring(0, first)) + text.substring(first).toLowerCase(Locale.ROOT);
  }

  private static String large(String letter) {
    int title = Character.toTitleCase(letter.codePointAt(0));
    return title == letter.codePointAt(0)
        ? letter.toUpperCase(Locale.ROOT)
        : Character.toString(title);
  }

  /** Capitalizes each run of letters. */
  static String title(String text) {
    StringBuilder result = new StringBuilder();
    boolean inside = false;
    for (int i = 0; i < text.length(); i += Character.charCount(text.codePointAt(i))) {
      String letter = Character.toString(text.codePointAt(i));
      boolean cased = isCased(text.codePointAt(i));
      result.append(!cased ? letter : inside ? letter.toLowerCase(Locale.ROOT) : large(letter));
      inside = cased;
    }
    return result.toString();
  }

  private static boolean isCased(int c) {
    return Character.isUpperCase(c) || Character.isLowerCase(c) || Character.isTitleCase(c);
  }

  /** Returns whether all cased letters have a case, and there is at least one. */
  static boolean isCase(String text, IntPredicate wanted) {
    return text.codePoints().anyMatch(wanted)
        && text.codePoints().allMatch(c -> !isCased(c) || wanted.test(c));
  }

  static boolean all(String text, IntPredicate wanted) {
    return !text.isEmpty() && text.codePoints().allMatch(wanted);
  }
}
