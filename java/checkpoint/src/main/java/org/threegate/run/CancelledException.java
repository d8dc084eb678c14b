package org.threegate.run;

/** Thrown when work ends because a {@link org.threegate.kernel.Control} was cancelled. */
public final class CancelledException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  /** Creates an exception without a message. */
  public CancelledException() {}
}
