package org.threegate.analysis.curvature;

/**
 * The Hessian of a function of which a gradient is known, by central differences with two steps and
 * Richardson's extrapolation (Nocedal and Wright, Numerical Optimization, section 8.1).
 *
 * <pre>{@code
 * GradientOracle fourth = (point, gradient) -> gradient[0] = 4 * Math.pow(point[0], 3);
 * FiniteDifferenceHessian hessian =
 *     FiniteDifferenceHessian.at(new double[] {1}, fourth, FiniteDifferenceHessian.DOUBLE);
 * FiniteDifferenceHessian.Product product = hessian.multiply(new double[] {1});
 * System.out.println(product.values()[0] + " ± " + product.error());
 * }</pre>
 */
public final class FiniteDifferenceHessian implements CurvatureOperator {
  /** Unit roundoff of gradients in float64. */
  public static final double DOUBLE = 0x1p-53;

  /** In float32. */
  public static final double FLOAT = 0x1p-24;

  /** In bf16. */
  public static final double BF16 = 0x1p-9;

  // Roundings of a gradient, in units of its norm: a sum of many terms has more than one.
  private static final double ROUNDINGS = 8;

  private final double[] point;
  private final GradientOracle oracle;
  private final double roundoff;
  private final double size;

  private FiniteDifferenceHessian(double[] point, GradientOracle oracle, double roundoff) {
    this.point = point.clone();
    this.oracle = oracle;
    this.roundoff = roundoff;
    double norm = Vectors.norm(point);
    size = norm > 0 ? norm : 1;
  }

  /**
   * @param roundoff of the oracle's arithmetic, such as {@link #FLOAT}
   * @throws IllegalStateException when the oracle gives two gradients at one point, or one that is
   *     not finite
   */
  public static FiniteDifferenceHessian at(double[] point, GradientOracle oracle, double roundoff) {
    if (!(roundoff > 0 && roundoff < 1)) {
      throw new IllegalArgumentException("a unit roundoff of " + roundoff);
    }
    double[] first = new double[point.length];
    double[] second = new double[point.length];
    oracle.gradient(point.clone(), first);
    oracle.gradient(point.clone(), second);
    if (!Double.isFinite(Vectors.norm(first))) {
      throw new IllegalStateException("the oracle gave a gradient that is not finite");
    }
    OperatorCheck.requireEqual("the oracle gave two gradients at one point", first, second);
    return new FiniteDifferenceHessian(point, oracle, roundoff);
  }

  /**
   * H v and how far it may be from the true one, in the Euclidean norm: what the extrapolation
   * changed, and what the gradients' roundings come to.
   */
  public record Product(double[] values, double error) {}

  @Override
  public int dimension() {
    return point.length;
  }

  @Override
  public void apply(double[] vector, double[] product) {
    System.arraycopy(multiply(vector).values(), 0, product, 0, product.length);
  }

  /** A product with its error; four gradients. */
  public Product multiply(double[] vector) {
    double length = Vectors.norm(vector);
    if (length == 0) {
      return new Product(new double[point.length], 0);
    }
    double step = Math.cbrt(roundoff) * size / length;
    Difference wide = difference(vector, step);
    Difference narrow = difference(vector, step / 2);
    double[] values = narrow.values();
    double changed = 0;
    for (int i = 0; i < values.length; i++) {
      double change = (narrow.values()[i] - wide.values()[i]) / 3;
      values[i] += change;
      changed += change * change;
    }
    // (4 narrow - wide) / 3.
    double rounding = (4 * narrow.rounding() + wide.rounding()) / 3;
    return new Product(values, Math.sqrt(changed) + rounding);
  }

  private record Difference(double[] values, double rounding) {}

  /** (g(x + step v) - g(x - step v)) / (2 step). */
  private Difference difference(double[] vector, double step) {
    double[] ahead = new double[point.length];
    double[] behind = new double[point.length];
    double[] place = point.clone();
    Vectors.add(place, step, vector);
    oracle.gradient(place, ahead);
    System.arraycopy(point, 0, place, 0, place.length);
    Vectors.add(place, -step, vector);
    oracle.gradient(place, behind);
    double gradients = Vectors.norm(ahead) + Vectors.norm(behind);
    if (!Double.isFinite(gradients)) {
      throw new IllegalStateException("the oracle gave a gradient that is not finite");
    }
    Vectors.add(ahead, -1, behind);
    Vectors.scale(ahead, 1 / (2 * step));
    return new Difference(ahead, ROUNDINGS * roundoff * gradients / (2 * step));
  }
}
