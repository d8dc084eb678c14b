package org.threegate.rl.template;

/**
 * Signals that a template is invalid, rejects its arguments, or exceeds a limit.
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

  /** The line of the template, from 1; 0 when it is unknown. */
  private final int line;

  TemplateException(String message) {
    this(message, 0);
  }

  TemplateException(String message, int line) {
    super(message, null, false, false);
    this.line = line;
  }

  /** {@return the line of the template, from 1, or 0 when it is unknown} */
  public int line() {
    return line;
  }

  /** Adds a line, unless a more deeply nested node has already set one. */
  TemplateException at(int outer) {
    return line > 0 ? this : new TemplateException(getMessage(), outer);
  }
}
