package org.threegate.rl.verifier;

import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** Normalizes notation: LaTeX, Unicode and program syntax of the same thing become one. */
final class Notation {
  /** Braces of a set, as opposed to those of a LaTeX group. */
  static final char OPEN_SET = '\u2983';

  static final char CLOSE_SET = '\u2984';

  private record Rule(Pattern pattern, String replacement) {
    static Rule of(String pattern, String replacement) {
      return new Rule(Pattern.compile(pattern), replacement);
    }
  }

  private static final List<Rule> RULES =
      List.of(
          Rule.of("\\\\[\\[\\](]|\\\\\\)", " "),
          Rule.of("\\\\\\$|\\$", ""),
          Rule.of("\\\\(left|right|displaystyle|[bB]igg?[lr]?|limits)(?![a-zA-Z])", ""),
          Rule.of("\\\\[!,;: ]|~|\\\\q?quad(?![a-zA-Z])|[\\s\u00a0]+", " "),
          Rule.of("\\{,\\}", ""),
          Rule.of("\\\\[dtc]frac(?![a-zA-Z])", "\\\\frac"),
          Rule.of("\\\\(cdot|times|ast)(?![a-zA-Z])|[\u00d7\u00b7\u22c5]", "*"),
          Rule.of("\\\\div(?![a-zA-Z])|\u00f7", "/"),
          Rule.of("\\*\\*", "^"),
          Rule.of("\\^ *\\{? *\\\\circ *\\}?|\\\\degree(?![a-zA-Z])|\u00b0", ""),
          Rule.of("\\\\%", "%"),
          Rule.of("\\\\\\{|\\\\lbrace(?![a-zA-Z])", String.valueOf(OPEN_SET)),
          Rule.of("\\\\\\}|\\\\rbrace(?![a-zA-Z])", String.valueOf(CLOSE_SET)),
          Rule.of("\\\\(leq?|leqslant)(?![a-zA-Z])|<=", "\u2264"),
          Rule.of("\\\\(geq?|geqslant)(?![a-zA-Z])|>=", "\u2265"),
          Rule.of("\\\\lt(?![a-zA-Z])", "<"),
          Rule.of("\\\\gt(?![a-zA-Z])", ">"),
          Rule.of("\u221e", "\\\\infty "),
          Rule.of("\u03c0", "\\\\pi "),
          Rule.of("\u221a", "\\\\sqrt "),
          Rule.of("[\u2212\u2013]", "-"),
          Rule.of("\\\\pm(?![a-zA-Z])", "\u00b1"),
          Rule.of("\\\\mp(?![a-zA-Z])", "\u2213"),
          Rule.of("\\\\cup(?![a-zA-Z])", "\u222a"),
          Rule.of("\\\\in(?![a-zA-Z])", "\u2208"),
          Rule.of("\\\\[lr]?vert(?![a-zA-Z])", "|"),
          Rule.of("\\\\(operatorname|mathrm) *\\{ *([a-z]+) *\\}(?= *[({\\\\])", "\\\\$2 "));

  private static final Pattern MATRIX =
      Pattern.compile("\\\\begin *\\{([pbvBV]?matrix)\\}(.*?)\\\\end *\\{\\1\\}");
  private static final Pattern TEXT =
      Pattern.compile("\\\\(?:text|mbox|textbf|textrm|mathrm|mathbf|mathit) *\\{([^{}]*)\\}");
  private static final Pattern THOUSANDS =
      Pattern.compile("(?<![0-9.,])[0-9]{1,3}(,[0-9]{3})+(?![0-9,])");
  private static final Pattern BRACKETS = Pattern.compile("[(\\[" + OPEN_SET + "]");
  private static final Pattern JOINED = Pattern.compile("(?<![a-zA-Z\\\\])(or|and)(?![a-zA-Z])");
  private static final Pattern UNIT =
      Pattern.compile(
          "^(.*[0-9)}%]) *(?!(?:pi|sqrt|sin|cos|tan|ln|log|exp|or|and)(?![a-zA-Z]))[a-zA-Z]{2,}[a-zA-Z ./]*(?:\\^ *\\{?[0-9]\\}?)?$");

  private Notation() {}

  static String tidy(String text) {
    String result = matrices(text);
    for (Rule rule : RULES) {
      result = rule.pattern().matcher(result).replaceAll(rule.replacement());
    }
    result = JOINED.matcher(words(result)).replaceAll(",");
    if (!BRACKETS.matcher(result).find()) {
      result = THOUSANDS.matcher(result).replaceAll(match -> match.group().replace(",", ""));
    }
    result = result.strip();
    while (result.endsWith(".") || result.endsWith(",") || result.endsWith(";")) {
      result = result.substring(0, result.length() - 1).strip();
    }
    Matcher unit = UNIT.matcher(result);
    return unit.matches() ? unit.group(1).strip() : result;
  }

  /** Writes a matrix as a tuple of its rows. A matrix with one column becomes a tuple. */
  private static String matrices(String text) {
    return MATRIX
        .matcher(text)
        .replaceAll(
            match -> {
              StringBuilder rows = new StringBuilder("(");
              for (String row : match.group(2).split("\\\\\\\\")) {
                if (rows.length() > 1) {
                  rows.append(',');
                }
                rows.append('(').append(row.replace('&', ',')).append(')');
              }
              return Matcher.quoteReplacement(rows.append(')').toString());
            });
  }

  /** Replaces text in formulas: conjunctions become commas, pure text stays, units are dropped. */
  private static String words(String text) {
    Matcher whole = TEXT.matcher(text.strip());
    if (whole.matches()) {
      return whole.group(1);
    }
    return TEXT.matcher(text)
        .replaceAll(
            match -> {
              String word = match.group(1).strip();
              boolean before = text.substring(0, match.start()).isBlank();
              boolean joins = word.equals("or") || word.equals("and");
              return Matcher.quoteReplacement(joins ? "," : before ? word : " ");
            });
  }
}
