package org.threegate.dtype;

/** The floating-point formats that the kernels read. Codes are those of {@code threegate.h}. */
public enum Dtype {
  F64(1, 8),
  F32(2, 4),
  F16(3, 2),
  BF16(4, 2),
  F8_E4M3(5, 1),
  F8_E5M2(6, 1);

  private final int code;
  private final int bytes;

  Dtype(int code, int bytes) {
    this.code = code;
    this.bytes = bytes;
  }

  /** The {@code tg_dtype} constant. */
  public int code() {
    return code;
  }

  /** Bytes of one element. */
  public int bytes() {
    return bytes;
  }
}
