package org.threegate.dtype;

import org.threegate.spi.Constants;

/** The floating-point formats that the kernels read. */
public enum Dtype {
  /** IEEE 754 binary64. */
  F64(Constants.F64, 8),
  /** IEEE 754 binary32. */
  F32(Constants.F32, 4),
  /** IEEE 754 binary16. */
  F16(Constants.F16, 2),
  /** bfloat16: the upper 16 bits of a binary32. */
  BF16(Constants.BF16, 2),
  /** OCP E4M3 without infinities. */
  F8_E4M3(Constants.F8_E4M3, 1),
  /** OCP E5M2. */
  F8_E5M2(Constants.F8_E5M2, 1);

  private final int code;
  private final int bytes;

  Dtype(int code, int bytes) {
    this.code = code;
    this.bytes = bytes;
  }

  /**
   * The {@code tg_dtype} constant.
   *
   * @return the {@code tg_dtype} constant
   */
  public int code() {
    return code;
  }

  /**
   * Bytes of one element.
   *
   * @return bytes of one element
   */
  public int bytes() {
    return bytes;
  }
}
