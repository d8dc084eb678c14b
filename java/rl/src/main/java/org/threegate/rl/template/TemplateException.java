package org.threegate.rl.template;

/**
 * A template is no template, refuses its arguments, or wants more than it may have.
 *
 * <pre>{@code
 * try {
 *   Template.parse("{% if %}");
 * } catch (TemplateException e) {
 *   System.err.println("line " + e.line() + ": " + e.getMessage());
 * }
 * }</pre>
 */
public final class TemplateException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  private final int line;

  TemplateException(String message) {
    this(message, 0);
  }

  TemplateException(String message, int line) {
    super(message, null, false, false);
    this.line = line;
  }

  /** Of the template, from 1; 0 where it is of none. */
  public int line() {
    return line;
  }

  /** The innermost line is the one to tell. */
  TemplateException at(int outer) {
    return line > 0 ? this : new TemplateException(getMessage(), outer);
  }
}
