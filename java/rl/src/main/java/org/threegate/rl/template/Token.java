package org.threegate.rl.template;

/**
 * A token of a template.
 *
 * @param text the text, with escapes of string literals resolved
 */
record Token(Kind kind, String text, int line) {
  /** The kinds of tokens. */
  enum Kind {
    DATA,
    STATEMENT,
    STATEMENT_END,
    PRINT,
    PRINT_END,
    NAME,
    TEXT,
    INTEGER,
    REAL,
    OPERATOR,
    END
  }

  boolean is(Kind other, String own) {
    return kind == other && text.equals(own);
  }
}
