package org.threegate.binding.generator;

import java.util.List;

/**
 * A position in the tokens of a header. Comments are skipped and can be looked up by the
 * declaration that they describe.
 */
final class Cursor {
  private final String file;
  private final List<Token> tokens;
  private int next;

  /** Creates a cursor at the first token. */
  Cursor(String file, List<Token> tokens) {
    this.file = file;
    this.tokens = tokens;
  }

  /** Returns the comment beside the last declaration, or else the comment above it. */
  String comment(int at) {
    Token last = tokens.get(next - 1);
    Token beside = tokens.get(next);
    return beside.kind() == Token.Kind.COMMENT && beside.line() == last.lastLine()
        ? beside.text()
        : commentAbove(at);
  }

  /**
   * Returns the comment that ends on the line above a token, unless it belongs to the previous
   * declaration.
   */
  String commentAbove(int at) {
    if (at == 0 || tokens.get(at - 1).kind() != Token.Kind.COMMENT) {
      return "";
    }
    Token above = tokens.get(at - 1);
    boolean isAdjacent = above.lastLine() >= tokens.get(at).line() - 1;
    boolean isBeside = at > 1 && tokens.get(at - 2).lastLine() == above.line();
    return isAdjacent && !isBeside ? above.text() : "";
  }

  /** Consumes a required preprocessor line. */
  void directive(String expected) {
    Token token = take();
    if (!token.text().equals(expected)) {
      throw refused(token, "expected " + expected);
    }
  }

  /** Consumes a required word or punctuation character. */
  void expect(String expected) {
    Token token = take();
    if (!token.text().equals(expected)) {
      throw refused(token, "expected '" + expected + "'");
    }
  }

  /** Consumes and returns the next token. The end of the file is returned repeatedly. */
  Token take() {
    Token token = peek();
    if (token.kind() != Token.Kind.END) {
      next++;
    }
    return token;
  }

  /** Returns the next token without consuming it. */
  Token peek() {
    return tokens.get(position());
  }

  /** Returns the token after the next one without consuming it. */
  Token peekSecond() {
    int at = position() + 1;
    while (tokens.get(at).kind() == Token.Kind.COMMENT) {
      at++;
    }
    return tokens.get(at);
  }

  /** Returns the position of the next token, for looking up its comment. */
  int position() {
    while (tokens.get(next).kind() == Token.Kind.COMMENT) {
      next++;
    }
    return next;
  }

  /**
   * Returns the exception for a token that breaks a rule.
   *
   * @param rule what is allowed
   */
  HeaderException refused(Token token, String rule) {
    return new HeaderException(file, token.line(), token.described() + ": " + rule);
  }
}
