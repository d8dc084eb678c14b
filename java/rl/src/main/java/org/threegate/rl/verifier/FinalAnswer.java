package org.threegate.rl.verifier;

import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** Finds the final answer in a response. */
final class FinalAnswer {
  static final String MARK = "####";
  private static final String THINK = "<think>";
  private static final String END_OF_THINK = "</think>";
  private static final Pattern BOX = Pattern.compile("\\\\(?:boxed|fbox|framebox)(?![a-zA-Z])");
  // What stands between boxes that are one answer: separators and delimiters only.
  private static final Pattern BETWEEN =
      Pattern.compile(
          "(?:[\\s,;$~&]|\\\\[()\\[\\],;: ]|\\\\q?quad(?![a-zA-Z])|\\b(?:and|or)\\b"
              + "|\\\\text(?:rm)?\\s*\\{\\s*,?\\s*(?:and|or)\\s*\\})*+");
  private static final Pattern UNBRACED =
      Pattern.compile("[^\\s$]+?(?=[.,;]?(?:[\\s$]|\\\\[)\\]]|$))");
  private static final Pattern SENTENCE =
      Pattern.compile("(?i)\\banswer\\**\\s*(?:is|:|=)\\**\\s*:?\\s*");
  private static final Pattern END_OF_SENTENCE = Pattern.compile("[.!](?:\\s|$)|\\R|$");
  private static final int LONGEST_SENTENCE = 2000;

  private FinalAnswer() {}

  /**
   * Returns the part of a response that comes after thinking. It is empty when thinking has begun
   * and not ended: what stands there is no answer yet.
   */
  static Optional<String> afterThinking(String response) {
    int end = response.lastIndexOf(END_OF_THINK);
    if (response.lastIndexOf(THINK) > end) {
      return Optional.empty();
    }
    return Optional.of(end < 0 ? response : response.substring(end + END_OF_THINK.length()));
  }

  /**
   * Returns the last box, or the boxes that only separators part from it; else the line after the
   * last mark; else the whole response.
   *
   * @param response a response, with or without thinking
   * @param sentences whether a sentence such as "The answer is 7." counts, too, if there is neither
   *     a box nor a mark
   */
  static Optional<String> of(String response, boolean sentences) {
    return afterThinking(response).flatMap(text -> find(text, sentences));
  }

  private static Optional<String> find(String text, boolean sentences) {
    if (BOX.matcher(text).find()) {
      return boxes(text);
    }
    int mark = text.lastIndexOf(MARK);
    if (mark >= 0) {
      return text.substring(mark + MARK.length())
          .lines()
          .map(String::strip)
          .filter(line -> !line.isEmpty())
          .findFirst();
    }
    if (sentences) {
      String end = text.substring(Math.max(0, text.length() - LONGEST_SENTENCE));
      Matcher sentence = SENTENCE.matcher(end);
      Matcher stop = END_OF_SENTENCE.matcher(end);
      String last = "";
      while (sentence.find()) {
        int begin = sentence.end();
        last = stop.find(begin) ? end.substring(begin, stop.start()).replace("**", "") : "";
      }
      if (!last.isBlank()) {
        return Optional.of(last.strip());
      }
    }
    return text.isBlank() ? Optional.empty() : Optional.of(text.strip());
  }

  private static Optional<String> boxes(String text) {
    List<String> group = new ArrayList<>();
    boolean complete = true;
    int end = 0;
    Matcher box = BOX.matcher(text);
    Matcher between = BETWEEN.matcher(text);
    while (box.find(end)) {
      boolean joined = !group.isEmpty() && between.region(end, box.start()).matches();
      if (!joined) {
        group.clear();
      }
      int open = box.end();
      while (open < text.length() && text.charAt(open) == ' ') {
        open++;
      }
      if (open < text.length() && text.charAt(open) == '{') {
        int close = close(text, open);
        complete = close >= 0;
        if (!complete) {
          break;
        }
        group.add(text.substring(open + 1, close));
        end = close + 1;
      } else {
        Matcher plain = UNBRACED.matcher(text).region(open, text.length());
        complete = plain.lookingAt();
        end = complete ? plain.end() : box.end();
        if (complete) {
          group.add(plain.group());
        }
      }
    }
    Set<String> distinct = new LinkedHashSet<>();
    group.forEach(content -> distinct.add(content.strip()));
    String answer = String.join(", ", distinct);
    return complete && distinct.stream().noneMatch(String::isEmpty) && !answer.isEmpty()
        ? Optional.of(answer)
        : Optional.empty();
  }

  /** Returns the place of the brace that closes the one at {@code open}, or -1. */
  private static int close(String text, int open) {
    int depth = 0;
    for (int i = open; i < text.length(); i++) {
      char next = text.charAt(i);
      if (next == '\\') {
        i++;
      } else if (next == '{') {
        depth++;
      } else if (next == '}' && --depth == 0) {
        return i;
      }
    }
    return -1;
  }
}
