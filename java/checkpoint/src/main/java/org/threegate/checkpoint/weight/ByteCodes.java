package org.threegate.checkpoint.weight;

import org.threegate.checkpoint.TensorType;
import org.threegate.dtype.Dtype;

/** The values of codes of one byte. */
final class ByteCodes {
  private static final int CODES = 256;

  private ByteCodes() {}

  static float[] of(Dtype dtype) {
    return switch (dtype) {
      case F8_E4M3 -> of(TensorType.F8_E4M3);
      case F8_E5M2 -> of(TensorType.F8_E5M2);
      default -> throw new IllegalArgumentException(dtype + " has no codes of one byte");
    };
  }

  /**
   * Returns the value of each code.
   *
   * @throws IllegalArgumentException if the dtype has no codes of one byte
   */
  static float[] of(TensorType type) {
    float[] values = new float[CODES];
    for (int code = 0; code < CODES; code++) {
      values[code] =
          switch (type) {
            case F8_E4M3 -> (code & 0x7F) == 0x7F ? Float.NaN : minifloat(code, 3, 7);
            case F8_E5M2 -> e5m2(code);
            case F8_E4M3FNUZ -> code == 0x80 ? Float.NaN : minifloat(code, 3, 8);
            case F8_E5M2FNUZ -> code == 0x80 ? Float.NaN : minifloat(code, 2, 16);
            case F8_E8M0 -> code == 0xFF ? Float.NaN : (float) Math.scalb(1.0, code - 127);
            case I8 -> (byte) code;
            case U8 -> code;
            default -> throw new IllegalArgumentException(type + " has no codes of one byte");
          };
    }
    return values;
  }

  /** Values of the four-bit float E2M1. */
  static float[] e2m1() {
    float[] values = new float[16];
    for (int code = 0; code < values.length; code++) {
      float magnitude = minifloat(code & 7, 1, 1, 2);
      values[code] = (code & 8) == 0 ? magnitude : -magnitude;
    }
    return values;
  }

  private static float e5m2(int code) {
    int exponent = code >> 2 & 0x1F;
    if (exponent == 0x1F) {
      float special = (code & 3) == 0 ? Float.POSITIVE_INFINITY : Float.NaN;
      return (code & 0x80) == 0 ? special : -special;
    }
    return minifloat(code, 2, 15);
  }

  private static float minifloat(int code, int mantissaBits, int bias) {
    float magnitude = minifloat(code & 0x7F, mantissaBits, bias, 7 - mantissaBits);
    return (code & 0x80) == 0 ? magnitude : -magnitude;
  }

  /** Returns a value without a sign. An exponent of 0 means a subnormal number. */
  private static float minifloat(int code, int mantissaBits, int bias, int exponentBits) {
    int exponent = code >> mantissaBits & ((1 << exponentBits) - 1);
    int mantissa = code & ((1 << mantissaBits) - 1);
    double significand = (exponent == 0 ? 0 : 1 << mantissaBits) + mantissa;
    return (float) Math.scalb(significand, Math.max(1, exponent) - bias - mantissaBits);
  }
}
