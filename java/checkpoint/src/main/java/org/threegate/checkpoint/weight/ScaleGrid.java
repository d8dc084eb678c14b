package org.threegate.checkpoint.weight;

import org.threegate.buffer.NativeBuffer;
import org.threegate.checkpoint.Tensor;
import org.threegate.checkpoint.TensorType;

/**
 * A scale for each block of a matrix. Blocks at the edges may be smaller.
 *
 * @param buffer memory of the scales, row by row
 * @param offset position of the first scale, in bytes
 * @param type dtype of the scales
 * @param columns columns of blocks
 * @param blockRows rows of a block
 * @param blockColumns columns of a block
 * @param period rows after which blocks start anew: the rows of one expert, or all rows
 * @param factor factor of all scales; 1 if there is none
 */
public record ScaleGrid(
    NativeBuffer buffer,
    long offset,
    TensorType type,
    long columns,
    long blockRows,
    long blockColumns,
    long period,
    float factor) {
  /**
   * {@return the row of blocks of a row of the matrix}
   *
   * @param row row of the matrix
   */
  public long rowOf(long row) {
    long before = row / period * ((period + blockRows - 1) / blockRows);
    return before + row % period / blockRows;
  }

  /**
   * {@return whether blocks have the same number of rows throughout, but for the last}
   *
   * @param rows rows of the matrix
   */
  public boolean isEven(long rows) {
    return rows <= period || period % blockRows == 0;
  }

  /**
   * {@return the scales of the rows from the start of a block on}
   *
   * @param begin row of the matrix that becomes row 0
   */
  ScaleGrid from(long begin) {
    return new ScaleGrid(
        buffer,
        offset + rowOf(begin) * columns * type.bits() / Byte.SIZE,
        type,
        columns,
        blockRows,
        blockColumns,
        period - begin,
        factor);
  }

  /**
   * {@return the scales of a row of blocks, in float32}
   *
   * @param row number of the row of blocks
   */
  public float[] row(long row) {
    float[] values =
        Numbers.floats(
            buffer, offset + row * columns * type.bits() / 8, type, Math.toIntExact(columns));
    if (factor != 1) {
      for (int i = 0; i < values.length; i++) {
        values[i] *= factor;
      }
    }
    return values;
  }

  /** Reads small tensors of numbers. */
  static final class Numbers {
    private Numbers() {}

    /** Reads numbers in float32. Those of all narrower dtypes are exact. */
    static float[] floats(Tensor tensor, long first, int count) {
      long at = tensor.offset() + first * tensor.type().bits() / 8;
      return floats(tensor.file().buffer(), at, tensor.type(), count);
    }

    static float[] floats(NativeBuffer buffer, long at, TensorType type, int count) {
      return switch (type) {
        case F32 -> buffer.getFloats(at, count);
        case BF16 -> {
          short[] codes = buffer.getShorts(at, count);
          float[] values = new float[count];
          for (int i = 0; i < count; i++) {
            values[i] = Float.intBitsToFloat(codes[i] << 16);
          }
          yield values;
        }
        case F16 -> {
          short[] codes = buffer.getShorts(at, count);
          float[] values = new float[count];
          for (int i = 0; i < count; i++) {
            values[i] = half(codes[i]);
          }
          yield values;
        }
        default -> {
          float[] table = ByteCodes.of(type);
          byte[] codes = buffer.getBytes(at, count);
          float[] values = new float[count];
          for (int i = 0; i < count; i++) {
            values[i] = table[codes[i] & 0xFF];
          }
          yield values;
        }
      };
    }

    /** {@return the value of a float16 code} */
    static float half(short code) {
      int exponent = code >> 10 & 0x1F;
      int mantissa = code & 0x3FF;
      float magnitude;
      if (exponent == 0x1F) {
        magnitude = mantissa == 0 ? Float.POSITIVE_INFINITY : Float.NaN;
      } else {
        int significand = (exponent == 0 ? 0 : 1 << 10) + mantissa;
        magnitude = Math.scalb((float) significand, Math.max(1, exponent) - 25);
      }
      return code < 0 ? -magnitude : magnitude;
    }
  }
}
