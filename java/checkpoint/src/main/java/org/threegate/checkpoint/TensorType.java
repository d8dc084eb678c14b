package org.threegate.checkpoint;

import java.util.Optional;
import org.threegate.dtype.Dtype;

/** Dtypes of the safetensors format. Those with a {@link Dtype} can be compared. */
public enum TensorType {
  BOOL(8),
  F4(4),
  F6_E2M3(6),
  F6_E3M2(6),
  U8(8),
  I8(8),
  F8_E5M2(8, Dtype.F8_E5M2),
  F8_E4M3(8, Dtype.F8_E4M3),
  F8_E4M3FNUZ(8),
  F8_E5M2FNUZ(8),
  F8_E8M0(8),
  I16(16),
  U16(16),
  F16(16, Dtype.F16),
  BF16(16, Dtype.BF16),
  I32(32),
  U32(32),
  F32(32, Dtype.F32),
  C64(64),
  F64(64, Dtype.F64),
  I64(64),
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

  /** Returns the bits of an element. */
  public int bits() {
    return bits;
  }

  /** Returns the dtype of the kernels; empty if they do not support it. */
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
