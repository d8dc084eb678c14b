package org.threegate.rl.policy;

import java.util.ArrayList;
import java.util.List;
import org.bytedeco.javacpp.BytePointer;
import org.bytedeco.javacpp.FloatPointer;
import org.bytedeco.javacpp.LongPointer;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptions;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.threegate.kernel.Mask;

/**
 * Converts arrays to tensors and back.
 *
 * <pre>{@code
 * var rows = Tensors.of(new long[] {5, 6, 7, 8}, 2, 2);
 * long[] numbers = Tensors.longs(rows);
 * }</pre>
 */
public final class Tensors {
  private Tensors() {}

  /**
   * {@return an int64 tensor with a copy of the values}
   *
   * @param values the values in row-major order
   * @param shape the dimensions
   */
  public static Tensor of(long[] values, long... shape) {
    return Scopes.keep(
        () -> {
          Tensor tensor = torch.empty(shape, new TensorOptions(ScalarType.Long), null);
          new LongPointer(tensor.data_ptr()).put(values, 0, values.length);
          return ModelDevice.placed(tensor);
        });
  }

  /**
   * {@return a float32 tensor with a copy of the values}
   *
   * @param values the values in row-major order
   * @param shape the dimensions
   */
  public static Tensor of(float[] values, long... shape) {
    return Scopes.keep(
        () -> {
          Tensor tensor = torch.empty(shape, new TensorOptions(ScalarType.Float), null);
          new FloatPointer(tensor.data_ptr()).put(values, 0, values.length);
          return ModelDevice.placed(tensor);
        });
  }

  /**
   * {@return a mask of the kernels as a bool tensor}
   *
   * @param mask the mask
   */
  public static Tensor of(Mask mask) {
    return Scopes.keep(
        () -> {
          Tensor tensor =
              torch.empty(
                  new long[] {mask.rows(), mask.columns()},
                  new TensorOptions(ScalarType.Bool),
                  null);
          BytePointer bytes = new BytePointer(tensor.data_ptr());
          byte[] row = new byte[Math.toIntExact(mask.columns())];
          for (long i = 0; i < mask.rows(); i++) {
            for (int j = 0; j < row.length; j++) {
              row[j] = (byte) (mask.contains(i, j) ? 1 : 0);
            }
            bytes.position(i * row.length).put(row, 0, row.length);
          }
          return ModelDevice.placed(tensor);
        });
  }

  /**
   * {@return a copy of the values of an int64 tensor}
   *
   * @param tensor an int64 tensor of any shape
   */
  public static long[] longs(Tensor tensor) {
    long[] values = new long[Math.toIntExact(tensor.numel())];
    Scopes.run(
        () -> {
          Tensor plain = ModelDevice.onHost(tensor).contiguous();
          new LongPointer(plain.data_ptr()).get(values, 0, values.length);
        });
    return values;
  }

  /**
   * {@return a copy of the values of a tensor}
   *
   * @param tensor a tensor of any shape
   */
  public static float[] floats(Tensor tensor) {
    float[] values = new float[Math.toIntExact(tensor.numel())];
    Scopes.run(
        () -> {
          Tensor plain = ModelDevice.onHost(tensor.detach()).to(ScalarType.Float).contiguous();
          new FloatPointer(plain.data_ptr()).get(values, 0, values.length);
        });
    return values;
  }

  /**
   * {@return whether all entries are finite} It takes one pass without a copy.
   *
   * @param tensor a tensor of any shape
   */
  public static boolean areFinite(Tensor tensor) {
    if (tensor.numel() == 0) {
      return true;
    }
    boolean[] finite = new boolean[1];
    Scopes.run(
        () -> {
          // Minimum and maximum are both NaN when an entry is NaN.
          var ends = tensor.detach().aminmax();
          finite[0] =
              Double.isFinite(ends.get0().item_double())
                  && Double.isFinite(ends.get1().item_double());
        });
    return finite[0];
  }

  static TensorVector vector(Tensor... tensors) {
    return new TensorVector(tensors);
  }

  /** Returns an int64 tensor with the values begin, begin + 1, …, end - 1. */
  static Tensor range(long begin, long end) {
    return ModelDevice.placed(
        torch.arange(new Scalar(begin), new Scalar(end), new TensorOptions(ScalarType.Long)));
  }

  /** Returns the shape of a tensor. */
  static List<Long> shape(Tensor tensor) {
    List<Long> shape = new ArrayList<>();
    for (int i = 0; i < tensor.dim(); i++) {
      shape.add(tensor.size(i));
    }
    return shape;
  }

  static long[] shape(List<Long> shape) {
    return shape.stream().mapToLong(Long::longValue).toArray();
  }
}
