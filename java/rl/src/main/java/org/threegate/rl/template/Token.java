package org.threegate.rl.template;

/**
 * A word of a template.
 *
 * @param text as it is read: escapes of texts are resolved
 */
record Token(Kind kind, String text, int line) {
  /** What sort of word. */
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
