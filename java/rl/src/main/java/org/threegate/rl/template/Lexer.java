package org.threegate.rl.template;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;

/** Splits a template into tokens, with {@code trim_blocks} and {@code lstrip_blocks} enabled. */
final class Lexer {
  /** The operators. Longer ones come first. */
  private static final List<String> OPERATORS =
      List.of(
          "//", "**", "==", "!=", ">=", "<=", "+", "-", "/", "*", "%", "~", "[", "]", "(", ")", "{",
          "}", ">", "<", "=", ".", ":", "|", ",");

  private static final String ESCAPES = "abfnrtv\\'\"";
  private static final String ESCAPED = "\u0007\b\f\n\r\t\u000b\\'\"";

  private final String source;
  private final List<Token> tokens = new ArrayList<>();
  private int position;
  private int line = 1;
  private int counted;

  /** Whether the last text that was read ended with a line break. */
  private boolean lineStarts = true;

  Lexer(String source) {
    String lines = source.replace("\r\n", "\n").replace('\r', '\n');
    this.source = lines.endsWith("\n") ? lines.substring(0, lines.length() - 1) : lines;
  }

  List<Token> tokens() {
    while (position < source.length()) {
      int tag = tag();
      if (tag < 0) {
        data(source.length(), source.length());
        break;
      }
      switch (source.charAt(tag + 1)) {
        case '#' -> comment(tag);
        case '{' -> inside(tag, Token.Kind.PRINT, "}}", Token.Kind.PRINT_END);
        default -> {
          if (!raw(tag)) {
            inside(tag, Token.Kind.STATEMENT, "%}", Token.Kind.STATEMENT_END);
          }
        }
      }
    }
    add(Token.Kind.END, "");
    return tokens;
  }

  private void add(Token.Kind kind, String text) {
    tokens.add(new Token(kind, text, line()));
  }

  /** Returns the line of the position. */
  private int line() {
    for (; counted < position; counted++) {
      if (source.charAt(counted) == '\n') {
        line++;
      }
    }
    return line;
  }

  private char at(int index) {
    return index < source.length() ? source.charAt(index) : 0;
  }

  /** Returns the position of the next tag. */
  private int tag() {
    for (int i = source.indexOf('{', position); i >= 0; i = source.indexOf('{', i + 1)) {
      if (at(i + 1) == '{' || at(i + 1) == '%' || at(i + 1) == '#') {
        return i;
      }
    }
    return -1;
  }

  /**
   * Reads text up to a tag, which may strip white space before it, and skips the tag's delimiter.
   */
  private void data(int end, int next) {
    String text = source.substring(position, end);
    char sign = at(end + 2);
    if (end < source.length() && sign == '-') {
      text = Strings.strip(text, Strings.SPACE, false, true);
    } else if (end < source.length() && sign != '+' && at(end + 1) != '{') {
      int begin = text.lastIndexOf('\n') + 1;
      if ((begin > 0 || lineStarts) && Strings.isSpace(text.substring(begin))) {
        text = text.substring(0, begin);
      }
    }
    if (!text.isEmpty()) {
      add(Token.Kind.DATA, text);
    }
    position = Math.min(source.length(), next);
  }

  private int afterSign(int tag) {
    return at(tag + 2) == '-' || at(tag + 2) == '+' ? tag + 3 : tag + 2;
  }

  /** Skips a closing delimiter and the white space that it strips. */
  private void close(int end, boolean stripped, boolean trimmed) {
    position = end;
    if (stripped) {
      position = skipSpace(end);
    } else if (trimmed && at(end) == '\n') {
      position++;
    }
    lineStarts = at(position - 1) == '\n';
  }

  private int skipSpace(int from) {
    int i = from;
    while (i < source.length() && Strings.SPACE.test(source.charAt(i))) {
      i++;
    }
    return i;
  }

  private TemplateException failure(String message) {
    return new TemplateException(message, line());
  }

  private void comment(int tag) {
    data(tag, afterSign(tag));
    int end = source.indexOf("#}", position);
    if (end < 0) {
      throw failure("a comment has no end");
    }
    char sign = end > position ? source.charAt(end - 1) : 0;
    close(end + 2, sign == '-', sign != '+');
  }

  /** Finds a keyword and the end of its tag. Returns -1 if the tag has another keyword. */
  private int word(int tag, String word) {
    int begin = skipSpace(afterSign(tag));
    int end = skipSpace(begin + word.length());
    boolean signed = at(end) == '-' || at(end) == '+' && word.equals("endraw");
    return source.startsWith(word, begin) && source.startsWith("%}", signed ? end + 1 : end)
        ? end
        : -1;
  }

  private boolean raw(int tag) {
    int end = word(tag, "raw");
    if (end < 0) {
      return false;
    }
    data(tag, tag);
    close(source.indexOf("%}", end) + 2, at(end) == '-', false);
    for (int i = source.indexOf("{%", position); i >= 0; i = source.indexOf("{%", i + 2)) {
      int last = word(i, "endraw");
      if (last >= 0) {
        data(i, i);
        close(source.indexOf("%}", last) + 2, at(last) == '-', at(last) == '%');
        return true;
      }
    }
    throw failure("raw has no endraw");
  }

  private void inside(int tag, Token.Kind kind, String close, Token.Kind end) {
    data(tag, tag);
    add(kind, "");
    position = afterSign(tag);
    Deque<String> open = new ArrayDeque<>();
    while (true) {
      position = skipSpace(position);
      if (position == source.length()) {
        throw failure("a tag has no end");
      }
      char sign = at(position);
      boolean signed = sign == '-' || sign == '+' && end == Token.Kind.STATEMENT_END;
      int closing = signed && source.startsWith(close, position + 1) ? position + 1 : position;
      if (open.isEmpty() && source.startsWith(close, closing)) {
        add(end, "");
        boolean stripped = closing > position && sign == '-';
        boolean kept = closing > position && sign == '+';
        close(closing + 2, stripped, end == Token.Kind.STATEMENT_END && !kept);
        return;
      }
      expressionToken(open);
    }
  }

  private void expressionToken(Deque<String> open) {
    char first = at(position);
    if (first >= '0' && first <= '9') {
      number();
    } else if (first == '\'' || first == '"') {
      text(first);
    } else if (isName(source.codePointAt(position))) {
      int end = position;
      while (end < source.length() && isName(source.codePointAt(end))) {
        end += Character.charCount(source.codePointAt(end));
      }
      add(Token.Kind.NAME, source.substring(position, end));
      position = end;
    } else {
      operator(open);
    }
  }

  private static boolean isName(int codePoint) {
    return codePoint == '_' || Character.isLetterOrDigit(codePoint);
  }

  private void operator(Deque<String> open) {
    String operator =
        OPERATORS.stream()
            .filter(each -> source.startsWith(each, position))
            .findFirst()
            .orElseThrow(
                () ->
                    failure(
                        "unexpected \"" + Character.toString(source.codePointAt(position)) + "\""));
    switch (operator) {
      case "{" -> open.push("}");
      case "(" -> open.push(")");
      case "[" -> open.push("]");
      case "}", ")", "]" -> {
        if (!operator.equals(open.poll())) {
          throw failure("unexpected \"" + operator + "\"");
        }
      }
      default -> {}
    }
    add(Token.Kind.OPERATOR, operator);
    position += operator.length();
  }

  private int digits(int from) {
    int i = from;
    while (Character.digit(at(i), 10) >= 0 || at(i) == '_' && Character.digit(at(i + 1), 10) >= 0) {
      i++;
    }
    return i;
  }

  private void number() {
    char kind = Character.toLowerCase(at(position + 1));
    if (at(position) == '0' && (kind == 'x' || kind == 'o' || kind == 'b')) {
      int end = position + 2;
      while (Character.isLetterOrDigit(at(end)) || at(end) == '_') {
        end++;
      }
      add(Token.Kind.INTEGER, source.substring(position, end).replace("_", ""));
      position = end;
      return;
    }
    int whole = digits(position);
    int end = whole;
    if (at(Math.max(0, position - 1)) != '.') {
      if (at(end) == '.' && Character.digit(at(end + 1), 10) >= 0) {
        end = digits(end + 1);
      }
      if (at(end) == 'e' || at(end) == 'E') {
        int exponent = at(end + 1) == '-' || at(end + 1) == '+' ? end + 2 : end + 1;
        end = Character.digit(at(exponent), 10) >= 0 ? digits(exponent) : end;
      }
    }
    String text = source.substring(position, end).replace("_", "");
    add(end > whole ? Token.Kind.REAL : Token.Kind.INTEGER, text);
    position = end;
  }

  private void text(char quote) {
    StringBuilder text = new StringBuilder();
    int i = position + 1;
    for (; at(i) != quote; i++) {
      if (i >= source.length()) {
        throw failure("a text has no end");
      }
      if (at(i) != '\\') {
        text.append(at(i));
      } else {
        i = escape(i + 1, text);
      }
    }
    add(Token.Kind.TEXT, text.toString());
    position = i + 1;
  }

  /** Returns the position of the last character of the literal. */
  private int escape(int index, StringBuilder text) {
    char kind = at(index);
    int known = kind == 0 ? -1 : ESCAPES.indexOf(kind);
    if (known >= 0) {
      text.append(ESCAPED.charAt(known));
      return index;
    }
    return switch (kind) {
      case '\n' -> index;
      case 'x' -> code(index + 1, index + 3, 16, text);
      case 'u' -> code(index + 1, index + 5, 16, text);
      case 'U' -> code(index + 1, index + 9, 16, text);
      case 'N' -> throw failure("\\N{...} in a text is not known here; write the character");
      default -> {
        int end = index;
        while (end < index + 3 && at(end) >= '0' && at(end) <= '7') {
          end++;
        }
        if (end > index) {
          yield code(index, end, 8, text);
        }
        text.append('\\');
        yield index - 1;
      }
    };
  }

  private int code(int begin, int end, int radix, StringBuilder text) {
    int value = 0;
    for (int i = begin; i < end; i++) {
      int digit = Character.digit(at(i), radix);
      if (digit < 0 || value > Character.MAX_CODE_POINT) {
        throw failure("a string has an invalid escape");
      }
      value = value * radix + digit;
    }
    if (value > Character.MAX_CODE_POINT) {
      throw failure("a string has an invalid escape");
    }
    text.appendCodePoint(value);
    return end - 1;
  }
}
