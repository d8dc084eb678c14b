package org.threegate.checkpoint;

import com.google.re2j.Pattern;
import com.google.re2j.PatternSyntaxException;
import java.util.ArrayDeque;
import java.util.Deque;
import org.threegate.run.InvalidInputException;
import org.threegate.run.PrintableText;

/**
 * An untrusted regular expression for names. It has the syntax of RE2: that of Java without
 * backreferences, lookahead and lookbehind. Matching takes time linear in the name, so that neither
 * a name nor a pattern can block a program.
 *
 * <pre>{@code
 * NamePattern attention = NamePattern.of("self_attn\\.[qkvo]_proj", "include");
 * System.out.println(attention.isIn("model.layers.0.self_attn.q_proj.weight"));
 * }</pre>
 */
public final class NamePattern {
  private static final int LONGEST = 1000;
  private static final long LARGEST = 2000; // steps of the matcher for each character

  private final Pattern pattern;

  private NamePattern(Pattern pattern) {
    this.pattern = pattern;
  }

  /**
   * Compiles a pattern.
   *
   * @param regex regular expression in the syntax of RE2, of at most 1,000 characters
   * @param where source of the pattern, named in errors
   * @return the compiled pattern
   * @throws InvalidInputException if the pattern is invalid or too large
   */
  public static NamePattern of(String regex, String where) {
    if (regex.length() > LONGEST || size(regex) > LARGEST) {
      throw new InvalidInputException(
          where
              + ": \""
              + PrintableText.name(regex)
              + "\" is a regular expression that is too large or repeats too often");
    }
    try {
      return new NamePattern(Pattern.compile(regex));
    } catch (PatternSyntaxException e) {
      throw new InvalidInputException(
          where
              + ": \""
              + PrintableText.name(regex)
              + "\" is not a valid regular expression of RE2: "
              + e.getDescription(),
          e);
    }
  }

  /** Returns an upper bound of the length in characters when counted repetitions are expanded. */
  private static long size(String regex) {
    Deque<Long> groups = new ArrayDeque<>();
    long sum = 0;
    long last = 0;
    for (int i = 0; i < regex.length(); i++) {
      switch (regex.charAt(i)) {
        case '(' -> {
          groups.push(sum);
          sum = 0;
        }
        case ')' -> {
          last = sum;
          sum += groups.isEmpty() ? 0 : groups.pop();
        }
        case '{' -> sum += last * Math.max(0, repeats(regex, i) - 1);
        default -> {
          last = 1;
          sum++;
        }
      }
      if (sum > LARGEST) {
        return sum;
      }
    }
    return sum;
  }

  /** Returns the larger number in braces. */
  private static long repeats(String regex, int open) {
    long most = 0;
    long number = 0;
    for (int i = open + 1; i < regex.length() && regex.charAt(i) != '}'; i++) {
      char c = regex.charAt(i);
      number = c >= '0' && c <= '9' ? Math.min(LARGEST, 10 * number + c - '0') : 0;
      most = Math.max(most, number);
    }
    return most;
  }

  /**
   * {@return whether a part of a name matches}
   *
   * @param name name of a tensor or module
   */
  public boolean isIn(String name) {
    return pattern.matcher(name).find();
  }

  /**
   * {@return whether a whole name matches}
   *
   * @param name name of a tensor or module
   */
  public boolean matches(String name) {
    return pattern.matches(name);
  }
}
