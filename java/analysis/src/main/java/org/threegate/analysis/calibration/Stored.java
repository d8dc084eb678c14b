package org.threegate.analysis.calibration;

import org.threegate.buffer.NativeBuffer;
import org.threegate.dtype.Dtype;

/**
 * Writes entries in a dtype.
 *
 * @param dtype BF16, F16 or F32
 */
record Stored(Dtype dtype) {
  /** Writes rounded entries, and returns them. */
  Weights write(Weights exact, NativeBuffer memory) {
    double[] stored = new double[exact.entries().length];
    for (int i = 0; i < stored.length; i++) {
      float value = (float) exact.entries()[i];
      if (dtype == Dtype.F32) {
        memory.putFloat(4L * i, value);
        stored[i] = value;
      } else if (dtype == Dtype.BF16) {
        short code = bf16(value);
        memory.putShort(2L * i, code);
        stored[i] = Float.intBitsToFloat(code << 16);
      } else {
        short code = f16(value);
        memory.putShort(2L * i, code);
        stored[i] = real(code);
      }
    }
    return new Weights(exact.rows(), exact.columns(), stored);
  }

  private static short bf16(float value) {
    int bits = Float.floatToRawIntBits(value);
    return (short) (bits + 0x7fff + (bits >>> 16 & 1) >>> 16);
  }

  /** Rounds to float16, ties to even. Values beyond its range become its largest finite number. */
  private static short f16(float value) {
    float size = Math.min(Math.abs(value), 65504);
    // One spacing of float16 at this size; below 2⁻¹⁴ the spacing stays the same.
    int exponent = Math.max(Math.getExponent(size), -14);
    double steps = Math.rint(size * Math.scalb(1.0, 10 - exponent));
    int code = (exponent + 14 << 10) + (int) steps;
    return (short) (code | Float.floatToRawIntBits(value) >>> 16 & 0x8000);
  }

  private static double real(short code) {
    int exponent = code >>> 10 & 31;
    int digits = code & 1023;
    double size =
        exponent == 0 ? Math.scalb(digits, -24) : Math.scalb(1024.0 + digits, exponent - 25);
    return code < 0 ? -size : size;
  }
}
