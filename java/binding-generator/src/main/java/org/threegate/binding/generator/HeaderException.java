package org.threegate.binding.generator;

/** The header contains something that the generator does not understand. */
public final class HeaderException extends RuntimeException {
  private static final long serialVersionUID = 1;

  /**
   * Names the place and the reason.
   *
   * @param file name of the header
   * @param line line number, from 1
   * @param reason what is wrong and what is allowed
   */
  public HeaderException(String file, int line, String reason) {
    super(file + ":" + line + ": " + reason);
  }
}
