package org.threegate.kernel;

import java.util.Optional;
import org.threegate.buffer.NativeBuffer;

/**
 * What finite differences of gradients take besides the gradients, one pass over all parameters
 * each ({@code tg_displace}, {@code tg_difference_gradients}). Vectors are matrices without gaps of
 * one dtype, F32 or F64; arithmetic is float64.
 *
 * <pre>{@code
 * Matrix point = Matrix.of(buffer, Dtype.F32, 1, 1000);
 * Matrix direction = Matrix.of(buffer, 4000, Dtype.F32, 1, 1000);
 * Matrix displaced = Matrix.of(buffer, 8000, Dtype.F32, 1, 1000);
 * double rounding = FiniteDifferences.displace(context, point, direction, 1e-3, displaced);
 * }</pre>
 */
public final class FiniteDifferences {
  private FiniteDifferences() {}

  /**
   * Sums over a difference, before it is rounded.
   *
   * @param ahead squared length of the gradient ahead
   * @param behind of the one behind
   * @param change of what the extrapolation changed
   * @param along the product times the direction
   */
  public record Sums(double ahead, double behind, double change, double along) {}

  /**
   * {@code displaced} = point + step · direction.
   *
   * @param displaced may be {@code point} or {@code direction}
   * @return the squared length of what its rounding adds
   */
  public static double displace(
      Context context, Matrix point, Matrix direction, double step, Matrix displaced) {
    long roundingAt = Struct.DISPLACEMENT;
    try (Context.Call call = context.begin();
        NativeBuffer structs = context.allocate(roundingAt + 8);
        Operand.Leases leases = new Operand.Leases()) {
      long address = leases.take(structs);
      structs
          .putLong(Struct.DISPLACEMENT_SIZE, Struct.DISPLACEMENT)
          .putLong(Struct.DISPLACEMENT_POINT, address(point, point, leases))
          .putLong(Struct.DISPLACEMENT_DIRECTION, address(direction, point, leases))
          .putLong(Struct.DISPLACEMENT_COUNT, count(point))
          .putInt(Struct.DISPLACEMENT_DTYPE, point.dtype().code())
          .putInt(Struct.DISPLACEMENT_RESERVED, 0)
          .putDouble(Struct.DISPLACEMENT_STEP, step);
      long to = outputAddress(displaced, point, leases);
      call.run(
          unused ->
              context.binding().displace(context.handle(), address, to, address + roundingAt));
      return structs.getDouble(roundingAt);
    }
  }

  /**
   * {@code product} = (ahead - behind) / (2 step), or with {@code wider} Richardson's (4 narrow -
   * wider) / 3.
   *
   * @param wider the product from a step twice as wide
   * @param product may be any of the others
   */
  public static Sums difference(
      Context context,
      Matrix ahead,
      Matrix behind,
      Optional<Matrix> wider,
      Matrix direction,
      double step,
      Matrix product) {
    long sumsAt = Struct.GRADIENT_DIFFERENCE;
    try (Context.Call call = context.begin();
        NativeBuffer structs = context.allocate(sumsAt + Struct.DIFFERENCE_SUMS);
        Operand.Leases leases = new Operand.Leases()) {
      long address = leases.take(structs);
      structs
          .putLong(Struct.GRADIENT_DIFFERENCE_SIZE, Struct.GRADIENT_DIFFERENCE)
          .putLong(Struct.GRADIENT_DIFFERENCE_AHEAD, address(ahead, ahead, leases))
          .putLong(Struct.GRADIENT_DIFFERENCE_BEHIND, address(behind, ahead, leases))
          .putLong(
              Struct.GRADIENT_DIFFERENCE_WIDER,
              wider.map(vector -> address(vector, ahead, leases)).orElse(0L))
          .putLong(Struct.GRADIENT_DIFFERENCE_DIRECTION, address(direction, ahead, leases))
          .putLong(Struct.GRADIENT_DIFFERENCE_COUNT, count(ahead))
          .putInt(Struct.GRADIENT_DIFFERENCE_DTYPE, ahead.dtype().code())
          .putInt(Struct.GRADIENT_DIFFERENCE_RESERVED, 0)
          .putDouble(Struct.GRADIENT_DIFFERENCE_STEP, step)
          .putLong(sumsAt + Struct.DIFFERENCE_SUMS_SIZE, Struct.DIFFERENCE_SUMS);
      long to = outputAddress(product, ahead, leases);
      call.run(
          unused ->
              context
                  .binding()
                  .differenceGradients(context.handle(), address, to, address + sumsAt));
      return new Sums(
          structs.getDouble(sumsAt + Struct.DIFFERENCE_SUMS_AHEAD),
          structs.getDouble(sumsAt + Struct.DIFFERENCE_SUMS_BEHIND),
          structs.getDouble(sumsAt + Struct.DIFFERENCE_SUMS_CHANGE),
          structs.getDouble(sumsAt + Struct.DIFFERENCE_SUMS_ALONG));
    }
  }

  private static long count(Matrix vector) {
    return Math.multiplyExact(vector.rows(), vector.columns());
  }

  private static long address(Matrix vector, Matrix like, Operand.Leases leases) {
    requireLike(vector, like);
    return leases.take(vector.buffer()) + vector.offset();
  }

  private static long outputAddress(Matrix vector, Matrix like, Operand.Leases leases) {
    requireLike(vector, like);
    return leases.takeOutput(vector.buffer()) + vector.offset();
  }

  private static void requireLike(Matrix vector, Matrix like) {
    if (vector.hasGaps()) {
      throw new IllegalArgumentException("a vector has no gaps");
    }
    if (count(vector) != count(like) || vector.dtype() != like.dtype()) {
      throw new IllegalArgumentException(
          "a vector of "
              + count(vector)
              + " "
              + vector.dtype()
              + " beside one of "
              + count(like)
              + " "
              + like.dtype());
    }
  }
}
