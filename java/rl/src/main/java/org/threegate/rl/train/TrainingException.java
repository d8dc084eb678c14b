package org.threegate.rl.train;

/** A run that cannot go on; what it came to before stands. */
public final class TrainingException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  TrainingException(String message) {
    super(message);
  }
}
