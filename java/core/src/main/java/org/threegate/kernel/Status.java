package org.threegate.kernel;

import org.threegate.spi.Constants;

/** What a native call returns: {@code tg_status}. */
public enum Status {
  /** The call succeeded. */
  OK(Constants.OK),
  /** An argument is not allowed. */
  INVALID_ARGUMENT(Constants.INVALID_ARGUMENT),
  /** The machine or the library does not support what was asked for. */
  UNSUPPORTED(Constants.UNSUPPORTED),
  /** Memory could not be allocated. */
  OUT_OF_MEMORY(Constants.OUT_OF_MEMORY),
  /** A device failed or has too little memory. */
  DEVICE(Constants.DEVICE),
  /** A file could not be read, or has changed while it was mapped. */
  IO(Constants.IO),
  /** Another call is running on the context. */
  BUSY(Constants.BUSY),
  /** The call was cancelled, or its thread interrupted. */
  CANCELLED(Constants.CANCELLED),
  /** A result did not reach its tolerance. */
  NOT_CONVERGED(Constants.NOT_CONVERGED),
  /** The library has a bug, or a library that it loads is missing or broken. */
  INTERNAL(Constants.INTERNAL);

  private final int code;

  Status(int code) {
    this.code = code;
  }

  static Status of(int code) {
    for (Status status : values()) {
      if (status.code == code) {
        return status;
      }
    }
    return INTERNAL;
  }
}
