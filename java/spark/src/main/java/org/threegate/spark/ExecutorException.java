package org.threegate.spark;

/** Thrown if an executor cannot take part in a job. The message states the reason. */
final class ExecutorException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  ExecutorException(String message) {
    super(message);
  }
}
