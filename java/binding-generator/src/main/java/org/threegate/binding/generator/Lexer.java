package org.threegate.binding.generator;

import java.util.ArrayList;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** Splits a header into tokens. */
final class Lexer {
  private static final Pattern TOKEN =
      Pattern.compile(
          "(?<comment>/\\*(?<inside>.*?)\\*/)"
              + "|(?<directive>#(?:(?!/[*/])[^\\n])*)"
              + "|(?<word>[A-Za-z_][A-Za-z0-9_]*)"
              + "|(?<number>[0-9][A-Za-z0-9_.]*)"
              + "|(?<string>\"[^\"\\n]*\")"
              + "|(?<punctuation>[{}()\\[\\];,*])",
          Pattern.DOTALL);
  private static final Pattern SPACE = Pattern.compile("\\s*");

  private final String file;
  private final String text;
  private int line = 1;

  private Lexer(String file, String text) {
    this.file = file;
    this.text = text;
  }

  /**
   * Splits a text.
   *
   * @throws HeaderException when a character starts no token
   */
  static List<Token> tokens(String file, String text) {
    return new Lexer(file, text).tokens();
  }

  private List<Token> tokens() {
    List<Token> tokens = new ArrayList<>();
    Matcher matcher = TOKEN.matcher(text);
    int at = skipSpace(0);
    while (at < text.length()) {
      if (!matcher.region(at, text.length()).lookingAt()) {
        throw new HeaderException(file, line, unknown(at));
      }
      tokens.add(token(matcher));
      at = skipSpace(matcher.end());
    }
    tokens.add(new Token(Token.Kind.END, "", line, line));
    return tokens;
  }

  private Token token(Matcher matcher) {
    int first = line;
    line += lines(matcher.group());
    if (matcher.group("comment") != null) {
      return new Token(Token.Kind.COMMENT, matcher.group("inside"), first, line);
    }
    String characters = matcher.group().strip();
    if (matcher.group("directive") != null) {
      if (characters.endsWith("\\")) {
        throw new HeaderException(
            file, first, "a preprocessor line must not continue on the next line");
      }
      return new Token(Token.Kind.DIRECTIVE, characters.replaceAll("\\s+", " "), first, line);
    }
    Token.Kind kind =
        matcher.group("word") != null
            ? Token.Kind.WORD
            : matcher.group("number") != null
                ? Token.Kind.NUMBER
                : matcher.group("string") != null ? Token.Kind.STRING : Token.Kind.PUNCTUATION;
    return new Token(kind, characters, first, line);
  }

  private int skipSpace(int from) {
    Matcher space = SPACE.matcher(text).region(from, text.length());
    space.lookingAt();
    line += lines(space.group());
    return space.end();
  }

  private String unknown(int at) {
    if (text.startsWith("/*", at)) {
      return "unterminated comment";
    }
    if (text.startsWith("//", at)) {
      return "'//' is not supported; use /* ... */";
    }
    return "unexpected character '"
        + text.substring(at, at + Character.charCount(text.codePointAt(at)))
        + "'";
  }

  private static int lines(String characters) {
    return (int) characters.chars().filter(character -> character == '\n').count();
  }
}
