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
 * The Hessian of a function with known gradient. It uses central differences with two step sizes
 * and Richardson extrapolation (Nocedal and Wright, Numerical Optimization, section 8.1). Gradients
 * in native memory suit models with any number of parameters; arrays suit small functions. Not
 * thread-safe.
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

  /** Unit roundoff of gradients in float32. */
  public static final double FLOAT = 0x1p-24;

  /** Unit roundoff of gradients in bf16. */
  public static final double BF16 = 0x1p-9;

  // Bounds for the error estimate: rounding errors of a gradient in units of its norm (a sum of
  // many terms has several), and how much more the rounding of a point may matter than a random
  // displacement of the same length.
  private static final double ROUNDINGS = 8;

  private static final long VECTORS = 5; // vectors of the size of the point

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
  // The largest |Hv| / |v| so far, including a random v.
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
    return Matrix.of(memory, point.dtype(), point.rows(), point.columns()).at(index * bytes);
  }

  /**
   * Prepares the Hessian at a point.
   *
   * @param context context that runs the kernels
   * @param point contiguous F32 or F64 vector; it must not change until this object is closed
   * @param oracle gradient of the function; it must be deterministic
   * @param roundoff unit roundoff of the oracle's arithmetic, such as {@link #FLOAT}
   * @return the Hessian, which the caller closes
   * @throws IllegalStateException if the oracle returns different gradients for the same point, or
   *     non-finite values
   */
  public static FiniteDifferenceHessian at(
      Context context, Matrix point, NativeGradientOracle oracle, double roundoff) {
    if (point.dtype() != Dtype.F32 && point.dtype() != Dtype.F64) {
      throw new IllegalArgumentException(
          "the dtype of the point is " + point.dtype() + "; it must be F32 or F64");
    }
    long bytes =
        Math.multiplyExact(
            Math.multiplyExact(point.rows(), point.columns()), (long) point.dtype().bytes());
    NativeBuffer memory = context.allocate(Math.multiplyExact(VECTORS, bytes));
    return begun(context, point, oracle, roundoff, memory);
  }

  /**
   * Prepares the Hessian of a function of arrays at a point.
   *
   * @param context context that runs the kernels
   * @param point point at which the function is differentiated; it is copied
   * @param oracle gradient of the function; it must be deterministic
   * @param roundoff unit roundoff of the oracle's arithmetic, such as {@link #DOUBLE}
   * @return the Hessian, which the caller closes
   */
  public static FiniteDifferenceHessian at(
      Context context, double[] point, GradientOracle oracle, double roundoff) {
    // The buffer holds the work vectors first and the point last.
    long at = VECTORS * 8 * point.length;
    NativeBuffer memory = context.allocate(at + 8L * point.length);
    memory.putDoubles(at, point);
    Matrix own = Matrix.of(memory, Dtype.F64, 1, point.length).at(at);
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
        throw new IllegalArgumentException("invalid unit roundoff: " + roundoff);
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
   * A product H v with an estimate of its error in the Euclidean norm. The error includes the
   * change by the extrapolation and the rounding of gradients and displaced points.
   *
   * @param values elements of the product
   * @param error estimated error, in the Euclidean norm
   */
  public record Product(double[] values, double error) {
    /** Copies the arrays. */
    public Product {
      values = values.clone();
    }

    /** {@return a copy of the elements of the product} */
    @Override
    public double[] values() {
      return values.clone();
    }
  }

  /**
   * The measures of a product in native memory.
   *
   * @param along the quadratic form vᵀHv
   * @param error estimated error of the product, in the Euclidean norm
   */
  public record Measured(double along, double error) {}

  private void begin() {
    oracle.gradient(point, ahead);
    oracle.gradient(point, behind);
    double first = squaredLength(ahead);
    if (!Double.isFinite(first)) {
      throw new IllegalStateException("the oracle returned a non-finite gradient");
    }
    FiniteDifferences.difference(
        context, FiniteDifferences.Gradients.of(ahead, behind, ahead, 0.5), ahead);
    OperatorCheck.requireEqual(
        "the oracle returned different gradients for the same point",
        Math.sqrt(squaredLength(ahead)));
    double square = squaredLength(point);
    if (!Double.isFinite(square)) {
      throw new IllegalArgumentException("the point has non-finite entries");
    }
    size = square > 0 ? Math.sqrt(square) : 1;
    // Estimate the effect of the Hessian on a random displacement.
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
            context, FiniteDifferences.Gradients.of(vector, vector, vector, 0.5), wider)
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
   * Returns the number of parameters.
   *
   * @throws ArithmeticException if there are more than 2^31 - 1; use products in native memory
   */
  @Override
  public int dimension() {
    return Math.toIntExact(point.rows() * point.columns());
  }

  @Override
  public void apply(double[] vector, double[] product) {
    System.arraycopy(multiply(vector).values(), 0, product, 0, product.length);
  }

  /**
   * Computes H v with its error. This evaluates four gradients.
   *
   * @param vector vector of length {@link #dimension}
   * @return the product and its error
   */
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
   * Overwrites {@code product} with H times {@code vector}. Both have the dtype and shape of the
   * point. This evaluates four gradients.
   *
   * @param vector vector v to multiply, which stays unchanged
   * @param product vector for the product
   * @return the quadratic form vᵀHv and the error of the product
   */
  public Measured multiply(Matrix vector, Matrix product) {
    double length = Math.sqrt(squaredLength(vector));
    if (length == 0) {
      // The difference of a vector with itself is zero.
      FiniteDifferences.difference(
          context, FiniteDifferences.Gradients.of(point, point, point, 0.5), product);
      return new Measured(0, 0);
    }
    double step = step(length);
    Difference wide = difference(vector, step, Optional.empty(), wider);
    Difference narrow = difference(vector, step / 2, Optional.of(wider), product);
    typical = Math.max(typical, Math.sqrt(squaredLength(product)) / length);
    double changed = Math.sqrt(narrow.sums().change());
    // Richardson extrapolation: (4 narrow - wide) / 3.
    double rounding = (4 * rounding(narrow) + rounding(wide)) / 3;
    return new Measured(narrow.sums().along(), changed + rounding);
  }

  /**
   * A central difference.
   *
   * @param displacement distance of the points from their exact positions, divided by twice the
   *     step
   */
  private record Difference(FiniteDifferences.Sums sums, double step, double displacement) {}

  private double rounding(Difference difference) {
    double gradients = Math.sqrt(difference.sums().ahead()) + Math.sqrt(difference.sums().behind());
    return ROUNDINGS
        * (roundoff * gradients / (2 * difference.step()) + typical * difference.displacement());
  }

  /** Computes (g(x + step v) - g(x - step v)) / (2 step). */
  private Difference difference(Matrix vector, double step, Optional<Matrix> wide, Matrix product) {
    double there =
        FiniteDifferences.displace(
            context, new FiniteDifferences.Displacement(point, vector, step), place);
    oracle.gradient(place, ahead);
    double back =
        FiniteDifferences.displace(
            context, new FiniteDifferences.Displacement(point, vector, -step), place);
    oracle.gradient(place, behind);
    FiniteDifferences.Sums sums =
        FiniteDifferences.difference(
            context, new FiniteDifferences.Gradients(ahead, behind, vector, step, wide), product);
    if (!Double.isFinite(sums.ahead() + sums.behind())) {
      throw new IllegalStateException("the oracle returned a non-finite gradient");
    }
    return new Difference(sums, step, (Math.sqrt(there) + Math.sqrt(back)) / (2 * step));
  }

  @Override
  public void close() {
    memory.close();
  }
}
