package org.threegate.analysis.curvature;

import java.util.Arrays;
import java.util.Optional;
import java.util.SplittableRandom;
import org.threegate.buffer.NativeBuffer;
import org.threegate.dtype.Dtype;
import org.threegate.kernel.Context;
import org.threegate.kernel.FiniteDifferences;
import org.threegate.kernel.Matrix;

/**
 * The Hessian of a function of which a gradient is known, by central differences with two steps and
 * Richardson's extrapolation (Nocedal and Wright, Numerical Optimization, section 8.1). Gradients
 * may come in native memory, as those of a model do, for any number of parameters; arrays are for
 * small functions. One thread at a time.
 *
 * <pre>{@code
 * GradientOracle fourth = (point, gradient) -> gradient[0] = 4 * Math.pow(point[0], 3);
 * try (FiniteDifferenceHessian hessian =
 *     FiniteDifferenceHessian.at(
 *         context, new double[] {1}, fourth, FiniteDifferenceHessian.DOUBLE)) {
 *   FiniteDifferenceHessian.Product product = hessian.multiply(new double[] {1});
 *   System.out.println(product.values()[0] + " ± " + product.error());
 * }
 * }</pre>
 */
public final class FiniteDifferenceHessian implements CurvatureOperator, AutoCloseable {
  /** Unit roundoff of gradients in float64. */
  public static final double DOUBLE = 0x1p-53;

  /** In float32. */
  public static final double FLOAT = 0x1p-24;

  /** In bf16. */
  public static final double BF16 = 0x1p-9;

  // Roundings of a gradient, in units of its norm: a sum of many terms has more than one. And how
  // much more the rounding of a point may matter than a random displacement of its length.
  private static final double ROUNDINGS = 8;

  private static final long VECTORS = 5; // of the size of the point

  private final Context context;
  private final Matrix point;
  private final NativeGradientOracle oracle;
  private final double roundoff;
  private final NativeBuffer memory;
  private final Matrix place;
  private final Matrix ahead;
  private final Matrix behind;
  private final Matrix wider;
  private final Matrix direction;
  private double size;
  // The largest |Hv| / |v| so far, a random v among them.
  private double typical;

  private FiniteDifferenceHessian(
      Context context,
      Matrix point,
      NativeGradientOracle oracle,
      double roundoff,
      NativeBuffer memory) {
    this.context = context;
    this.point = point;
    this.oracle = oracle;
    this.roundoff = Math.max(roundoff, point.dtype() == Dtype.F32 ? FLOAT : DOUBLE);
    this.memory = memory;
    place = part(0);
    ahead = part(1);
    behind = part(2);
    wider = part(3);
    direction = part(4);
  }

  private Matrix part(int index) {
    long bytes = point.rows() * point.columns() * point.dtype().bytes();
    return Matrix.of(memory, index * bytes, point.dtype(), point.rows(), point.columns());
  }

  /**
   * @param point of F32 or F64, without gaps; it must stay as it is until this is closed
   * @param roundoff of the oracle's arithmetic, such as {@link #FLOAT}
   * @throws IllegalStateException when the oracle gives two gradients at one point, or one that is
   *     not finite
   */
  public static FiniteDifferenceHessian at(
      Context context, Matrix point, NativeGradientOracle oracle, double roundoff) {
    if (point.dtype() != Dtype.F32 && point.dtype() != Dtype.F64) {
      throw new IllegalArgumentException("a point of " + point.dtype() + "; it is F32 or F64");
    }
    long bytes =
        Math.multiplyExact(
            Math.multiplyExact(point.rows(), point.columns()), (long) point.dtype().bytes());
    NativeBuffer memory = context.allocate(Math.multiplyExact(VECTORS, bytes));
    return begun(context, point, oracle, roundoff, memory);
  }

  /** Of a function of arrays. */
  public static FiniteDifferenceHessian at(
      Context context, double[] point, GradientOracle oracle, double roundoff) {
    // The point itself comes last.
    long at = VECTORS * 8 * point.length;
    NativeBuffer memory = context.allocate(at + 8L * point.length);
    memory.putDoubles(at, point);
    Matrix own = Matrix.of(memory, at, Dtype.F64, 1, point.length);
    return begun(context, own, NativeGradientOracle.of(oracle), roundoff, memory);
  }

  private static FiniteDifferenceHessian begun(
      Context context,
      Matrix point,
      NativeGradientOracle oracle,
      double roundoff,
      NativeBuffer memory) {
    try {
      if (!(roundoff > 0 && roundoff < 1)) {
        throw new IllegalArgumentException("a unit roundoff of " + roundoff);
      }
      FiniteDifferenceHessian hessian =
          new FiniteDifferenceHessian(context, point, oracle, roundoff, memory);
      hessian.begin();
      return hessian;
    } catch (RuntimeException e) {
      memory.close();
      throw e;
    }
  }

  /**
   * H v and how far it may be from the true one, in the Euclidean norm: what the extrapolation
   * changed, and what the roundings of gradients and of displaced points come to.
   */
  public record Product(double[] values, double error) {}

  /**
   * The same of a product in native memory.
   *
   * @param along vᵀHv
   */
  public record Measured(double along, double error) {}

  private void begin() {
    oracle.gradient(point, ahead);
    oracle.gradient(point, behind);
    double first = squaredLength(ahead);
    if (!Double.isFinite(first)) {
      throw new IllegalStateException("the oracle gave a gradient that is not finite");
    }
    FiniteDifferences.difference(context, ahead, behind, Optional.empty(), ahead, 0.5, ahead);
    OperatorCheck.requireEqual(
        "the oracle gave two gradients at one point", Math.sqrt(squaredLength(ahead)));
    double square = squaredLength(point);
    if (!Double.isFinite(square)) {
      throw new IllegalArgumentException("the point is not finite");
    }
    size = square > 0 ? Math.sqrt(square) : 1;
    // What the Hessian makes of a displacement in no direction of its own.
    long count = point.rows() * point.columns();
    SplittableRandom random = Vectors.random(0, 0);
    for (long i = 0; i < count; i++) {
      put(direction, i, random.nextBoolean() ? 1 : -1);
    }
    if (count > 0) {
      double length = Math.sqrt(count);
      difference(direction, step(length), Optional.empty(), ahead);
      typical = Math.sqrt(squaredLength(ahead)) / length;
    }
  }

  private double squaredLength(Matrix vector) {
    return FiniteDifferences.difference(
            context, vector, vector, Optional.empty(), vector, 0.5, wider)
        .ahead();
  }

  private static void put(Matrix vector, long i, double value) {
    if (vector.dtype() == Dtype.F32) {
      vector.buffer().putFloat(vector.offset() + 4 * i, (float) value);
    } else {
      vector.buffer().putDouble(vector.offset() + 8 * i, value);
    }
  }

  private double step(double length) {
    return Math.cbrt(roundoff) * size / length;
  }

  /**
   * @throws ArithmeticException beyond 2^31 - 1 parameters: their products stay in native memory
   */
  @Override
  public int dimension() {
    return Math.toIntExact(point.rows() * point.columns());
  }

  @Override
  public void apply(double[] vector, double[] product) {
    System.arraycopy(multiply(vector).values(), 0, product, 0, product.length);
  }

  /** A product with its error; four gradients. */
  public Product multiply(double[] vector) {
    if (vector.length != dimension()) {
      throw new IllegalArgumentException(
          "a vector of " + vector.length + " numbers for " + dimension() + " parameters");
    }
    if (direction.dtype() == Dtype.F32) {
      float[] rounded = new float[vector.length];
      for (int i = 0; i < vector.length; i++) {
        rounded[i] = (float) vector[i];
      }
      direction.buffer().putFloats(direction.offset(), rounded);
    } else {
      direction.buffer().putDoubles(direction.offset(), vector);
    }
    Measured measured = multiply(direction, ahead);
    double[] values = new double[vector.length];
    if (ahead.dtype() == Dtype.F32) {
      float[] singles = ahead.buffer().getFloats(ahead.offset(), values.length);
      Arrays.setAll(values, i -> singles[i]);
    } else {
      values = ahead.buffer().getDoubles(ahead.offset(), values.length);
    }
    return new Product(values, measured.error());
  }

  /**
   * Overwrites {@code product} with H times {@code vector}, both of the dtype and the size of the
   * point; four gradients.
   */
  public Measured multiply(Matrix vector, Matrix product) {
    double length = Math.sqrt(squaredLength(vector));
    if (length == 0) {
      // A difference of a vector with itself is zero.
      FiniteDifferences.difference(context, point, point, Optional.empty(), point, 0.5, product);
      return new Measured(0, 0);
    }
    double step = step(length);
    Difference wide = difference(vector, step, Optional.empty(), wider);
    Difference narrow = difference(vector, step / 2, Optional.of(wider), product);
    typical = Math.max(typical, Math.sqrt(squaredLength(product)) / length);
    double changed = Math.sqrt(narrow.sums().change());
    // (4 narrow - wide) / 3.
    double rounding = (4 * rounding(narrow) + rounding(wide)) / 3;
    return new Measured(narrow.sums().along(), changed + rounding);
  }

  /**
   * @param displacement how far the points are from where they should be, over twice the step
   */
  private record Difference(FiniteDifferences.Sums sums, double step, double displacement) {}

  private double rounding(Difference difference) {
    double gradients = Math.sqrt(difference.sums().ahead()) + Math.sqrt(difference.sums().behind());
    return ROUNDINGS
        * (roundoff * gradients / (2 * difference.step()) + typical * difference.displacement());
  }

  /** (g(x + step v) - g(x - step v)) / (2 step). */
  private Difference difference(Matrix vector, double step, Optional<Matrix> wide, Matrix product) {
    double there = FiniteDifferences.displace(context, point, vector, step, place);
    oracle.gradient(place, ahead);
    double back = FiniteDifferences.displace(context, point, vector, -step, place);
    oracle.gradient(place, behind);
    FiniteDifferences.Sums sums =
        FiniteDifferences.difference(context, ahead, behind, wide, vector, step, product);
    if (!Double.isFinite(sums.ahead() + sums.behind())) {
      throw new IllegalStateException("the oracle gave a gradient that is not finite");
    }
    return new Difference(sums, step, (Math.sqrt(there) + Math.sqrt(back)) / (2 * step));
  }

  @Override
  public void close() {
    memory.close();
  }
}
