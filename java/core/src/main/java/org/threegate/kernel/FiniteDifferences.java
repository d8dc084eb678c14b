package org.threegate.kernel;

import java.util.Optional;
import org.threegate.buffer.NativeBuffer;
import org.threegate.spi.Structs;

/**
 * Vector operations for finite differences of gradients ({@code tg_displace}, {@code
 * tg_difference_gradients}). Each takes one pass over all parameters. Vectors are contiguous
 * matrices of one dtype, F32 or F64. Arithmetic is float64.
 *
 * <pre>{@code
 * Matrix point = Matrix.of(buffer, Dtype.F32, 1, 1000);
 * Matrix direction = Matrix.of(buffer, Dtype.F32, 1, 1000).at(4000);
 * Matrix displaced = Matrix.of(buffer, Dtype.F32, 1, 1000).at(8000);
 * double rounding = FiniteDifferences.displace(context, new FiniteDifferences.Displacement(point, direction, 1e-3), displaced);
 * }</pre>
 */
public final class FiniteDifferences {
  private FiniteDifferences() {}

  /**
   * Sums over a difference before rounding.
   *
   * @param ahead squared norm of the gradient ahead
   * @param behind squared norm of the gradient behind
   * @param change squared norm of the correction by extrapolation
   * @param along dot product of the result and the direction
   */
  public record Sums(double ahead, double behind, double change, double along) {}

  /**
   * A point and a step along a direction.
   *
   * @param point vector to begin at
   * @param direction vector to follow
   * @param step factor of the direction, finite and not 0
   */
  public record Displacement(Matrix point, Matrix direction, double step) {}

  /**
   * Two gradients, at the ends of a step forwards and of one backwards.
   *
   * @param ahead gradient at point + step · direction
   * @param behind gradient at point - step · direction
   * @param direction direction of the step
   * @param step factor of the direction, finite and not 0
   * @param wider the product from a step that is twice as wide, to extrapolate from
   */
  public record Gradients(
      Matrix ahead, Matrix behind, Matrix direction, double step, Optional<Matrix> wider) {
    /**
     * {@return two gradients without extrapolation}
     *
     * @param ahead gradient ahead
     * @param behind gradient behind
     * @param direction direction of the step
     * @param step factor of the direction
     */
    public static Gradients of(Matrix ahead, Matrix behind, Matrix direction, double step) {
      return new Gradients(ahead, behind, direction, step, Optional.empty());
    }

    /**
     * {@return these gradients with the product from a step that is twice as wide}
     *
     * @param product product from the wider step
     */
    public Gradients extrapolating(Matrix product) {
      return new Gradients(ahead, behind, direction, step, Optional.of(product));
    }
  }

  /**
   * Computes {@code displaced} = point + step · direction.
   *
   * @param context context that runs the kernel
   * @param displacement point and step
   * @param displaced output; may be the point or the direction
   * @return the squared norm of the rounding error
   */
  public static double displace(Context context, Displacement displacement, Matrix displaced) {
    Matrix point = displacement.point();
    Matrix direction = displacement.direction();
    double step = displacement.step();
    long roundingAt = Structs.DISPLACEMENT_SIZEOF;
    try (Context.Call call = context.begin();
        NativeBuffer structs = context.allocate(roundingAt + 8);
        Operand.Leases leases = new Operand.Leases(context)) {
      long address = leases.take(structs);
      structs
          .putLong(Structs.DISPLACEMENT_SIZE, Structs.DISPLACEMENT_SIZEOF)
          .putLong(Structs.DISPLACEMENT_POINT, address(point, point, leases))
          .putLong(Structs.DISPLACEMENT_DIRECTION, address(direction, point, leases))
          .putLong(Structs.DISPLACEMENT_COUNT, count(point))
          .putInt(Structs.DISPLACEMENT_DTYPE, point.dtype().code())
          .putInt(Structs.DISPLACEMENT_RESERVED, 0)
          .putDouble(Structs.DISPLACEMENT_STEP, step);
      long to = outputAddress(displaced, point, leases);
      call.run(
          unused ->
              context.binding().displace(context.handle(), address, to, address + roundingAt));
      return structs.getDouble(roundingAt);
    }
  }

  /**
   * Computes {@code product} = (ahead - behind) / (2 step). With a wider step the result is
   * Richardson's extrapolation (4 narrow - wider) / 3.
   *
   * @param context context that runs the kernel
   * @param gradients gradients and step
   * @param product output; may be any of the inputs
   * @return sums over the difference
   */
  public static Sums difference(Context context, Gradients gradients, Matrix product) {
    Matrix ahead = gradients.ahead();
    long sumsAt = Structs.GRADIENT_DIFFERENCE_SIZEOF;
    try (Context.Call call = context.begin();
        NativeBuffer structs = context.allocate(sumsAt + Structs.DIFFERENCE_SUMS_SIZEOF);
        Operand.Leases leases = new Operand.Leases(context)) {
      long address = leases.take(structs);
      structs
          .putLong(Structs.GRADIENT_DIFFERENCE_SIZE, Structs.GRADIENT_DIFFERENCE_SIZEOF)
          .putLong(Structs.GRADIENT_DIFFERENCE_AHEAD, address(ahead, ahead, leases))
          .putLong(Structs.GRADIENT_DIFFERENCE_BEHIND, address(gradients.behind(), ahead, leases))
          .putLong(
              Structs.GRADIENT_DIFFERENCE_WIDER,
              gradients.wider().map(vector -> address(vector, ahead, leases)).orElse(0L))
          .putLong(
              Structs.GRADIENT_DIFFERENCE_DIRECTION, address(gradients.direction(), ahead, leases))
          .putLong(Structs.GRADIENT_DIFFERENCE_COUNT, count(ahead))
          .putInt(Structs.GRADIENT_DIFFERENCE_DTYPE, ahead.dtype().code())
          .putInt(Structs.GRADIENT_DIFFERENCE_RESERVED, 0)
          .putDouble(Structs.GRADIENT_DIFFERENCE_STEP, gradients.step())
          .putLong(sumsAt + Structs.DIFFERENCE_SUMS_SIZE, Structs.DIFFERENCE_SUMS_SIZEOF);
      long to = outputAddress(product, ahead, leases);
      call.run(
          unused ->
              context
                  .binding()
                  .differenceGradients(context.handle(), address, to, address + sumsAt));
      return new Sums(
          structs.getDouble(sumsAt + Structs.DIFFERENCE_SUMS_AHEAD),
          structs.getDouble(sumsAt + Structs.DIFFERENCE_SUMS_BEHIND),
          structs.getDouble(sumsAt + Structs.DIFFERENCE_SUMS_CHANGE),
          structs.getDouble(sumsAt + Structs.DIFFERENCE_SUMS_ALONG));
    }
  }

  private static long count(Matrix vector) {
    return Sizes.product(vector.rows(), vector.columns());
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
      throw new IllegalArgumentException("a vector must be contiguous");
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
