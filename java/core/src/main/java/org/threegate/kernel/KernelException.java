package org.threegate.kernel;

/** A native call failed. The message names the argument or file, its value and what is allowed. */
public final class KernelException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  /** Status of the call. */
  private final Status status;

  KernelException(Status status, String message) {
    super(message);
    this.status = status;
  }

  /** {@return the status of the call} */
  public Status status() {
    return status;
  }
}
