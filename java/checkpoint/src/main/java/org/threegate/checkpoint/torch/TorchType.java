package org.threegate.checkpoint.torch;

import java.util.Optional;

/** Dtypes of torch that can be read. Their names are those of the safetensors format. */
public enum TorchType {
  /** Booleans, a byte each. */
  BOOL(1, "bool", "BoolStorage"),
  /** Unsigned integers of 8 bits. */
  U8(1, "uint8", "ByteStorage"),
  /** Signed integers of 8 bits. */
  I8(1, "int8", "CharStorage"),
  /** Floating-point numbers of 8 bits, 5 of the exponent and 2 of the fraction. */
  F8_E5M2(1, "float8_e5m2", ""),
  /** Floating-point numbers of 8 bits, 4 of the exponent and 3 of the fraction. */
  F8_E4M3(1, "float8_e4m3fn", ""),
  /** As F8_E4M3, with a bias of 8 and neither infinities nor a negative zero. */
  F8_E4M3FNUZ(1, "float8_e4m3fnuz", ""),
  /** As F8_E5M2, with a bias of 16 and neither infinities nor a negative zero. */
  F8_E5M2FNUZ(1, "float8_e5m2fnuz", ""),
  /** Powers of two with 8 bits of the exponent, as scales of blocks. */
  F8_E8M0(1, "float8_e8m0fnu", ""),
  /** Signed integers of 16 bits. */
  I16(2, "int16", "ShortStorage"),
  /** Unsigned integers of 16 bits. */
  U16(2, "uint16", ""),
  /** Floating-point numbers of IEEE 754 with 16 bits. */
  F16(2, "float16", "HalfStorage"),
  /** The upper 16 bits of a float32 number. */
  BF16(2, "bfloat16", "BFloat16Storage"),
  /** Signed integers of 32 bits. */
  I32(4, "int32", "IntStorage"),
  /** Unsigned integers of 32 bits. */
  U32(4, "uint32", ""),
  /** Floating-point numbers of IEEE 754 with 32 bits. */
  F32(4, "float32", "FloatStorage"),
  /** Complex numbers of two float32 numbers. */
  C64(8, "complex64", "ComplexFloatStorage"),
  /** Floating-point numbers of IEEE 754 with 64 bits. */
  F64(8, "float64", "DoubleStorage"),
  /** Signed integers of 64 bits. */
  I64(8, "int64", "LongStorage"),
  /** Unsigned integers of 64 bits. */
  U64(8, "uint64", "");

  private final int bytes;
  private final String dtype;
  private final String storage;

  /** The storage is empty for dtypes that torch stores as bytes only. */
  TorchType(int bytes, String dtype, String storage) {
    this.bytes = bytes;
    this.dtype = "torch." + dtype;
    this.storage = "torch." + storage;
  }

  /** {@return the bytes of an element} */
  public int bytes() {
    return bytes;
  }

  /** Returns the type of a dtype, such as {@code torch.bfloat16}. */
  static Optional<TorchType> ofDtype(String name) {
    for (TorchType type : values()) {
      if (type.dtype.equals(name)) {
        return Optional.of(type);
      }
    }
    return Optional.empty();
  }

  /** Returns the type of a storage's class, such as {@code torch.BFloat16Storage}. */
  static Optional<TorchType> ofStorage(String name) {
    for (TorchType type : values()) {
      if (type.storage.equals(name) && name.endsWith("Storage")) {
        return Optional.of(type);
      }
    }
    return Optional.empty();
  }
}
