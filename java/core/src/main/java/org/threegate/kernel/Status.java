package org.threegate.kernel;

/** What a native call returns; the ordinals are the {@code TG_*} constants. */
public enum Status {
  OK,
  INVALID_ARGUMENT,
  UNSUPPORTED,
  OUT_OF_MEMORY,
  DEVICE,
  IO,
  BUSY,
  CANCELLED,
  NOT_CONVERGED,
  INTERNAL;

  static Status of(int code) {
    Status[] values = values();
    return code >= 0 && code < values.length ? values[code] : INTERNAL;
  }
}
