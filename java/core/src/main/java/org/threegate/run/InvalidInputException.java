package org.threegate.run;

/**
 * Something that the user gave cannot be used. The message is one line of at most 600 characters:
 * where, what, and what to do about it.
 */
public final class InvalidInputException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  public InvalidInputException(String message) {
    super(PrintableText.message(message));
  }

  public InvalidInputException(String message, Throwable cause) {
    super(PrintableText.message(message), cause);
  }
}
