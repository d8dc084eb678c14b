package org.threegate.checkpoint;

import java.util.Optional;
import org.threegate.dtype.Dtype;

/** Dtypes of the safetensors format. Those with a {@link Dtype} can be compared. */
public enum TensorType {
  /** Booleans, a byte each. */
  BOOL(8),
  /** Floating-point numbers of 4 bits. */
  F4(4),
  /** Floating-point numbers of 6 bits, 2 of the exponent and 3 of the fraction. */
  F6_E2M3(6),
  /** Floating-point numbers of 6 bits, 3 of the exponent and 2 of the fraction. */
  F6_E3M2(6),
  /** Unsigned integers of 8 bits. */
  U8(8),
  /** Signed integers of 8 bits. */
  I8(8),
  /** Floating-point numbers of 8 bits, 5 of the exponent and 2 of the fraction. */
  F8_E5M2(8, Dtype.F8_E5M2),
  /** Floating-point numbers of 8 bits, 4 of the exponent and 3 of the fraction. */
  F8_E4M3(8, Dtype.F8_E4M3),
  /** As F8_E4M3, with a bias of 8 and neither infinities nor a negative zero. */
  F8_E4M3FNUZ(8),
  /** As F8_E5M2, with a bias of 16 and neither infinities nor a negative zero. */
  F8_E5M2FNUZ(8),
  /** Powers of two with 8 bits of the exponent, as scales of blocks. */
  F8_E8M0(8),
  /** Signed integers of 16 bits. */
  I16(16),
  /** Unsigned integers of 16 bits. */
  U16(16),
  /** Floating-point numbers of IEEE 754 with 16 bits. */
  F16(16, Dtype.F16),
  /** The upper 16 bits of a float32 number. */
  BF16(16, Dtype.BF16),
  /** Signed integers of 32 bits. */
  I32(32),
  /** Unsigned integers of 32 bits. */
  U32(32),
  /** Floating-point numbers of IEEE 754 with 32 bits. */
  F32(32, Dtype.F32),
  /** Complex numbers of two float32 numbers. */
  C64(64),
  /** Floating-point numbers of IEEE 754 with 64 bits. */
  F64(64, Dtype.F64),
  /** Signed integers of 64 bits. */
  I64(64),
  /** Unsigned integers of 64 bits. */
  U64(64);

  private final int bits;
  private final Optional<Dtype> dtype;

  TensorType(int bits) {
    this.bits = bits;
    this.dtype = Optional.empty();
  }

  TensorType(int bits, Dtype dtype) {
    this.bits = bits;
    this.dtype = Optional.of(dtype);
  }

  /** {@return the bits of an element} */
  public int bits() {
    return bits;
  }

  /** {@return the dtype of the kernels; empty if they do not support it} */
  public Optional<Dtype> dtype() {
    return dtype;
  }

  static Optional<TensorType> byName(String name) {
    for (TensorType type : values()) {
      if (type.name().equals(name)) {
        return Optional.of(type);
      }
    }
    return Optional.empty();
  }
}
