package org.threegate.kernel;

import org.threegate.spi.Constants;

/** What a native call returns: {@code tg_status}. */
public enum Status {
  OK(Constants.OK),
  INVALID_ARGUMENT(Constants.INVALID_ARGUMENT),
  UNSUPPORTED(Constants.UNSUPPORTED),
  OUT_OF_MEMORY(Constants.OUT_OF_MEMORY),
  DEVICE(Constants.DEVICE),
  IO(Constants.IO),
  BUSY(Constants.BUSY),
  CANCELLED(Constants.CANCELLED),
  NOT_CONVERGED(Constants.NOT_CONVERGED),
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
