package org.threegate.binding.generator;

/**
 * A word, a number, a punctuation character, a preprocessor line or a comment of the header.
 *
 * @param kind kind of token
 * @param text the characters; for a comment, those between the delimiters
 * @param line line number of the first character, from 1
 * @param lastLine line number of the last character
 */
record Token(Kind kind, String text, int line, int lastLine) {
  enum Kind {
    WORD,
    NUMBER,
    PUNCTUATION,
    STRING,
    DIRECTIVE,
    COMMENT,
    END
  }

  boolean is(String expected) {
    return text.equals(expected) && (kind == Kind.WORD || kind == Kind.PUNCTUATION);
  }

  /** The token as an error message shows it. */
  String described() {
    return kind == Kind.END ? "the end of the file" : "'" + text + "'";
  }
}
