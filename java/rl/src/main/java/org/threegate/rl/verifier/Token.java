package org.threegate.rl.verifier;

/**
 * A part of an answer.
 *
 * @param kind what it is
 * @param text digits, letters, the name of a command, one character, or the content of a text
 * @param spaced whether white space of any kind precedes it
 */
record Token(Kind kind, String text, boolean spaced) {
  enum Kind {
    NUMBER,
    /** Adjacent letters. */
    WORD,
    /** One letter of a word that is a product of variables. */
    LETTER,
    /** A command of LaTeX, without its backslash. */
    COMMAND,
    SYMBOL,
    /** Words in {@code \text{}} and the like. */
    TEXT,
    /** Anything that the lexer does not know. No formula has it. */
    UNKNOWN
  }

  /** Braces of a set, as opposed to those of a LaTeX group. */
  static final String OPEN_SET = "\u2983";

  static final String CLOSE_SET = "\u2984";

  /** A comma with a negative space: it separates thousands. */
  static final String TIGHT_COMMA = ",!";

  /** A comma in braces: it separates thousands or decimals. */
  static final String BRACED_COMMA = "{,}";

  /** A new row of a matrix. */
  static final String NEW_ROW = "\\\\";

  boolean is(String symbol) {
    return kind == Kind.SYMBOL && text.equals(symbol);
  }

  boolean isCommand(String name) {
    return kind == Kind.COMMAND && text.equals(name);
  }

  boolean opens() {
    return kind == Kind.SYMBOL && (text.length() == 1 && "([{\u2983".contains(text))
        || kind == Kind.COMMAND && (text.startsWith("begin:") || isFloor("l"));
  }

  boolean closes() {
    return kind == Kind.SYMBOL && (text.length() == 1 && ")]}\u2984".contains(text))
        || kind == Kind.COMMAND && (text.startsWith("end:") || isFloor("r"));
  }

  private boolean isFloor(String side) {
    return text.equals(side + "floor") || text.equals(side + "ceil");
  }
}
