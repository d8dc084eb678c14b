package org.threegate.rl.train;

/** Signals that a run cannot go on. Steps that were taken before are not undone. */
public final class TrainingException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  TrainingException(String message) {
    super(message);
  }
}
