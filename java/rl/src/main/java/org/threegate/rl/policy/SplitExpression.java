package org.threegate.rl.policy;

import java.util.ArrayList;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Bounds the cost of a tokenizer's regular expression. The engine backtracks, and aborts the
 * process after ten million steps at one position. Only expressions are accepted whose steps at a
 * position are bounded by a small multiple of the text's length: no nested repetitions, no back
 * references, and at most one repetition per alternative that may have to give characters back. A
 * repetition that only optional items follow never has to, because the match is already complete.
 */
final class SplitExpression {
  private static final int LONGEST = 8192;
  private static final int DEEPEST = 4;
  private static final int MOST_WAYS = 256;
  private static final int MANY = 16;
  private static final int UNBOUNDED = Integer.MAX_VALUE;
  private static final Pattern PROPERTY = Pattern.compile("[pP]\\{\\^?[A-Za-z_]{1,30}\\}");
  private static final Pattern CODE =
      Pattern.compile("x\\{[0-9A-Fa-f]{1,6}\\}|x[0-9A-Fa-f]{2}|u[0-9A-Fa-f]{4}");
  private static final Pattern COUNT = Pattern.compile("\\{(\\d{1,3})(,(\\d{0,3}))?\\}");
  private static final Pattern POSIX = Pattern.compile("\\[:\\^?[a-z]{1,10}:\\]");
  private static final Pattern GROUP = Pattern.compile("\\?[im]*(-[im]+)?:|\\?<?[=!]");
  private static final String CLASSES = "sSdDwWhHnrtfvae";
  private static final String POSITIONS = "bBAzZ";

  /**
   * The cost of an expression.
   *
   * @param shortest the minimal length of a match: no character, or one
   * @param steps the steps at one position, as a multiple of the length of the text; 0 when no
   *     repetition ever gives characters back
   */
  record Cost(int shortest, int steps) {}

  private enum Kind {
    CHARACTER,
    POSITION,
    GROUP,
    LOOK
  }

  private record Item(
      Kind kind, List<List<Item>> alternatives, int least, int most, boolean possessive) {
    boolean isFixed() {
      return kind == Kind.CHARACTER && least == most;
    }

    /** A sequence of characters. A repetition of it can match in one way only. */
    boolean isWord() {
      return alternatives.size() == 1
          && !alternatives.get(0).isEmpty()
          && alternatives.get(0).stream().allMatch(Item::isFixed);
    }
  }

  /** The number of ways to match, and the steps as a multiple of the length of the text. */
  private record Ways(int ways, int steps) {
    private static final Ways ONE = new Ways(1, 0);
  }

  private final String text;
  private int position;

  private SplitExpression(String text) {
    this.text = text;
  }

  /**
   * Computes the cost of an expression.
   *
   * @throws IllegalArgumentException when the expression is not accepted, with the reason
   */
  static Cost cost(String text) {
    if (text.length() > LONGEST) {
      throw new IllegalArgumentException("has more than " + LONGEST + " characters");
    }
    SplitExpression parser = new SplitExpression(text);
    List<List<Item>> alternatives = parser.alternatives(0);
    if (parser.position < text.length()) {
      throw parser.refused("an unmatched closing bracket");
    }
    Ways ways = parser.ways(alternatives, true);
    return new Cost(shortest(alternatives), ways.steps);
  }

  private static int shortest(List<List<Item>> alternatives) {
    return alternatives.stream()
        .mapToInt(sequence -> sequence.stream().mapToInt(SplitExpression::shortest).max().orElse(0))
        .min()
        .orElse(0);
  }

  private static int shortest(Item item) {
    return switch (item.kind) {
      case POSITION, LOOK -> 0;
      case CHARACTER -> Math.min(1, item.least);
      case GROUP -> item.least == 0 ? 0 : shortest(item.alternatives);
    };
  }

  private Ways ways(List<List<Item>> alternatives, boolean complete) {
    Ways all = new Ways(0, 0);
    for (List<Item> sequence : alternatives) {
      Ways one = sequence(sequence, complete);
      all = new Ways(bounded((long) all.ways + one.ways), bounded((long) all.steps + one.steps));
    }
    return all;
  }

  private Ways sequence(List<Item> sequence, boolean last) {
    boolean complete = last;
    Ways all = Ways.ONE;
    for (int i = sequence.size() - 1; i >= 0; i--) {
      Item item = sequence.get(i);
      Ways one = item(item, complete);
      if (all.steps > 0 && one.steps > 0) {
        throw refused("two repetitions that can backtrack");
      }
      int ways = bounded((long) all.ways * one.ways);
      int steps = bounded((long) all.steps * one.ways + (long) all.ways * one.steps);
      all = new Ways(ways, steps);
      complete = complete && item.least == 0;
    }
    return all;
  }

  private Ways item(Item item, boolean complete) {
    return switch (item.kind) {
      case POSITION -> Ways.ONE;
      case LOOK -> ways(item.alternatives, true);
      case CHARACTER -> repetition(item, complete);
      case GROUP -> {
        if (item.most > 1) {
          if (!item.isWord()) {
            throw refused("a repetition of more than a few characters");
          }
          yield repetition(item, complete);
        }
        Ways body = ways(item.alternatives, complete || item.possessive);
        if (item.least == 1) {
          yield body;
        }
        // When the match is complete without it, nothing before it is tried again.
        yield new Ways(complete ? 1 : bounded(body.ways + 1L), body.steps);
      }
    };
  }

  private Ways repetition(Item item, boolean complete) {
    if (complete || item.possessive || item.least == item.most) {
      return Ways.ONE;
    }
    return item.most > MANY ? new Ways(1, 1) : new Ways(bounded(item.most - item.least + 1L), 0);
  }

  private int bounded(long ways) {
    if (ways > MOST_WAYS) {
      throw refused("more than " + MOST_WAYS + " ways to match");
    }
    return (int) ways;
  }

  private List<List<Item>> alternatives(int depth) {
    if (depth > DEEPEST) {
      throw refused("brackets nested deeper than " + DEEPEST);
    }
    List<List<Item>> alternatives = new ArrayList<>();
    do {
      List<Item> sequence = new ArrayList<>();
      while (position < text.length() && "|)".indexOf(text.charAt(position)) < 0) {
        sequence.add(item(depth));
      }
      alternatives.add(sequence);
    } while (take('|'));
    return alternatives;
  }

  private Item item(int depth) {
    int start = position;
    char c = text.charAt(position);
    if (c == '(') {
      return group(depth);
    }
    if (c == '[') {
      characterClass();
    } else if (c == '\\') {
      escape();
    } else if ("*+?{".indexOf(c) >= 0) {
      throw refused("a repetition of nothing");
    } else {
      position += Character.charCount(text.codePointAt(position));
    }
    boolean isPosition =
        c == '^' || c == '$' || c == '\\' && POSITIONS.indexOf(text.charAt(start + 1)) >= 0;
    return repeated(isPosition ? Kind.POSITION : Kind.CHARACTER, List.of());
  }

  private Item group(int depth) {
    position++;
    boolean look = false;
    boolean behind = false;
    if (position < text.length() && text.charAt(position) == '?') {
      String kind = take(GROUP, "an unsupported group");
      look = !kind.endsWith(":");
      behind = kind.startsWith("?<");
    }
    List<List<Item>> alternatives = alternatives(depth + 1);
    if (!take(')')) {
      throw refused("an unclosed bracket");
    }
    if (behind && !alternatives.stream().flatMap(List::stream).allMatch(Item::isFixed)) {
      throw refused("a repetition within a lookbehind");
    }
    return repeated(look ? Kind.LOOK : Kind.GROUP, alternatives);
  }

  private Item repeated(Kind kind, List<List<Item>> alternatives) {
    int start = position;
    int least = 1;
    int most = 1;
    boolean possessive = false;
    if (position < text.length() && text.charAt(position) == '{') {
      Matcher count = matcher(COUNT);
      take(COUNT, "an invalid repetition");
      count.lookingAt();
      least = Integer.parseInt(count.group(1));
      most = count.group(2) == null ? least : limit(count.group(3));
      if (most < least || most == 0) {
        throw refused("an invalid repetition");
      }
    } else if (take('?')) {
      least = 0;
      possessive = take('+');
    } else if (take('*') || take('+')) {
      least = text.charAt(start) == '*' ? 0 : 1;
      most = UNBOUNDED;
      possessive = take('+');
    }
    if (position > start) {
      if (!possessive && text.charAt(position - 1) != '}') {
        take('?');
      }
      if (position < text.length() && "*+?{".indexOf(text.charAt(position)) >= 0) {
        throw refused("a repetition of a repetition");
      }
      if (kind == Kind.POSITION || kind == Kind.LOOK) {
        throw refused("a repetition of a position");
      }
    }
    return new Item(kind, alternatives, least, most, possessive);
  }

  private static int limit(String digits) {
    return digits.isEmpty() ? UNBOUNDED : Integer.parseInt(digits);
  }

  private void characterClass() {
    int depth = 0;
    do {
      if (position >= text.length()) {
        throw refused("an unclosed class");
      }
      char c = text.charAt(position);
      if (c == '\\') {
        escape();
      } else if (c == '[' && depth > 0 && matcher(POSIX).lookingAt()) {
        take(POSIX, "");
      } else if (c == '[') {
        depth++;
        position++;
        take('^');
        if (depth > DEEPEST || position < text.length() && text.charAt(position) == ']') {
          throw refused("a class that is empty or nested too deep");
        }
      } else {
        depth -= c == ']' ? 1 : 0;
        position++;
      }
    } while (depth > 0);
  }

  private void escape() {
    position++;
    if (position >= text.length()) {
      throw refused("an incomplete escape");
    }
    int c = text.codePointAt(position);
    if (c == 'p' || c == 'P') {
      take(PROPERTY, "an invalid property");
    } else if (c == 'x' || c == 'u') {
      take(CODE, "an invalid character code");
    } else if (Character.isLetterOrDigit(c) && CLASSES.indexOf(c) < 0 && POSITIONS.indexOf(c) < 0) {
      throw refused("an unsupported escape");
    } else {
      position += Character.charCount(c);
    }
  }

  private Matcher matcher(Pattern pattern) {
    return pattern.matcher(text).region(position, text.length());
  }

  private String take(Pattern pattern, String otherwise) {
    Matcher matcher = matcher(pattern);
    if (!matcher.lookingAt()) {
      throw refused(otherwise);
    }
    position = matcher.end();
    return matcher.group();
  }

  private boolean take(char c) {
    boolean found = position < text.length() && text.charAt(position) == c;
    position += found ? 1 : 0;
    return found;
  }

  private IllegalArgumentException refused(String what) {
    return new IllegalArgumentException(
        "is a regular expression with " + what + ", before character " + position);
  }
}
