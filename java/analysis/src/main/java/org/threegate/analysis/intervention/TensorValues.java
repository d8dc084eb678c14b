package org.threegate.analysis.intervention;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Arrays;
import java.util.function.IntToDoubleFunction;
import org.threegate.buffer.NativeBuffer;
import org.threegate.checkpoint.Tensor;
import org.threegate.checkpoint.TensorType;
import org.threegate.run.InvalidInputException;

/** Reads the values of a tensor as float64, and writes them in the dtype of the tensor. */
final class TensorValues {
  private TensorValues() {}

  static double[] read(Tensor tensor) {
    NativeBuffer buffer = tensor.file().buffer();
    long at = tensor.offset();
    int count = Math.toIntExact(tensor.elements());
    return switch (tensor.type()) {
      case BF16 -> {
        short[] codes = buffer.getShorts(at, count);
        yield converted(count, i -> Float.intBitsToFloat(codes[i] << 16));
      }
      case F32 -> {
        float[] singles = buffer.getFloats(at, count);
        yield converted(count, i -> singles[i]);
      }
      case F64 -> buffer.getDoubles(at, count);
      default ->
          throw new InvalidInputException(
              tensor.file().path()
                  + ": tensor \""
                  + tensor.name()
                  + "\" is "
                  + tensor.type()
                  + "; only BF16, F32 and F64 are supported");
    };
  }

  private static double[] converted(int count, IntToDoubleFunction value) {
    double[] values = new double[count];
    Arrays.setAll(values, value);
    return values;
  }

  /** Rounds to the dtype, half to even. */
  static double round(double value, TensorType type) {
    return switch (type) {
      case BF16 -> Float.intBitsToFloat(bf16(value) << 16);
      case F32 -> (float) value;
      default -> value;
    };
  }

  /** Rounds through float32. Double rounding of ties is wrong about once in 2^16. */
  private static short bf16(double value) {
    int bits = Float.floatToRawIntBits((float) value);
    return (short) (bits + 0x7fff + (bits >>> 16 & 1) >>> 16);
  }

  static byte[] bytes(double[] values, TensorType type) {
    ByteBuffer out =
        ByteBuffer.allocate(Math.toIntExact((long) values.length * type.bits() / 8))
            .order(ByteOrder.LITTLE_ENDIAN);
    for (double value : values) {
      switch (type) {
        case BF16 -> out.putShort(bf16(value));
        case F32 -> out.putFloat((float) value);
        default -> out.putDouble(value);
      }
    }
    return out.array();
  }
}
