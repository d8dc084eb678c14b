package org.threegate.spark;

/** An executor that cannot take part, and why. */
final class ExecutorException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  ExecutorException(String message) {
    super(message);
  }
}
