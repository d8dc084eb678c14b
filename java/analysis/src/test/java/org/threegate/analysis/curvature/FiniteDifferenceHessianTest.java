package org.threegate.analysis.curvature;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.withinPercentage;

import java.util.Random;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.Test;
import org.threegate.buffer.NativeBuffer;
import org.threegate.dtype.Dtype;
import org.threegate.kernel.Context;
import org.threegate.kernel.Matrix;
import org.threegate.testing.Seeds;

class FiniteDifferenceHessianTest {
  private static final int SIZE = 20;
  private static final Context CONTEXT = Context.open();

  @AfterAll
  static void close() {
    CONTEXT.close();
    assertThat(Context.liveObjects()).isZero();
  }

  /** A sum of sines of a random linear map. Every derivative is known and none vanishes. */
  private record Waves(double[][] map) {
    static Waves of(Random random) {
      double[][] map = new double[SIZE][SIZE];
      for (double[] row : map) {
        for (int j = 0; j < SIZE; j++) {
          row[j] = random.nextGaussian() / Math.sqrt(SIZE);
        }
      }
      return new Waves(map);
    }

    void gradient(double[] point, double[] gradient) {
      java.util.Arrays.fill(gradient, 0);
      for (double[] row : map) {
        Vectors.add(gradient, Math.cos(Vectors.dot(row, point)), row);
      }
    }

    /** Computes the same gradient in float32 arithmetic. */
    void narrowGradient(double[] point, double[] gradient) {
      float[] sums = new float[SIZE];
      for (double[] row : map) {
        float phase = 0;
        for (int j = 0; j < SIZE; j++) {
          phase += (float) row[j] * (float) point[j];
        }
        float slope = (float) Math.cos(phase);
        for (int j = 0; j < SIZE; j++) {
          sums[j] += slope * (float) row[j];
        }
      }
      for (int j = 0; j < SIZE; j++) {
        gradient[j] = sums[j];
      }
    }

    double[] product(double[] point, double[] vector) {
      double[] product = new double[SIZE];
      for (double[] row : map) {
        Vectors.add(product, -Math.sin(Vectors.dot(row, point)) * Vectors.dot(row, vector), row);
      }
      return product;
    }
  }

  @Test
  void errorsBoundTheTrueOnes() {
    Random random = Seeds.random("errorsBoundTheTrueOnes");
    for (boolean narrow : new boolean[] {false, true}) {
      double worst = 0;
      for (int round = 0; round < 200; round++) {
        Waves waves = Waves.of(random);
        double[] point = random.doubles(SIZE, -2, 2).toArray();
        double[] vector = random.doubles(SIZE, -1, 1).toArray();
        Vectors.scale(vector, Math.pow(10, random.nextInt(7) - 3));
        FiniteDifferenceHessian.Product found;
        try (FiniteDifferenceHessian hessian =
            FiniteDifferenceHessian.at(
                CONTEXT,
                point,
                narrow ? waves::narrowGradient : waves::gradient,
                narrow ? FiniteDifferenceHessian.FLOAT : FiniteDifferenceHessian.DOUBLE)) {
          found = hessian.multiply(vector);
        }
        double[] truth = waves.product(point, vector);
        double size = Vectors.norm(truth);
        Vectors.add(truth, -1, found.values());
        assertThat(Vectors.norm(truth)).isLessThanOrEqualTo(found.error());
        worst = Math.max(worst, found.error() / size);
      }
      // The bounds must also be small enough to be useful.
      assertThat(worst).isLessThan(narrow ? 0.05 : 1e-6);
    }
  }

  @Test
  void joinsTheProbes() {
    Random random = Seeds.random("joinsTheProbes");
    Waves waves = Waves.of(random);
    try (FiniteDifferenceHessian hessian =
        FiniteDifferenceHessian.at(
            CONTEXT,
            random.doubles(SIZE, -2, 2).toArray(),
            waves::gradient,
            FiniteDifferenceHessian.DOUBLE)) {
      OperatorCheck.requireDeterministic(hessian, 1);
      assertThat(OperatorCheck.asymmetry(hessian, 2)).isLessThan(1e-8);
      double[] zero = new double[SIZE];
      assertThat(hessian.multiply(zero).values()).isEqualTo(zero);
      assertThat(hessian.multiply(zero).error()).isZero();
      assertThatThrownBy(() -> hessian.multiply(new double[3]))
          .hasMessage("a vector of 3 numbers for 20 parameters");
    }
  }

  /**
   * At a minimum the gradients vanish, and so do their rounding errors. What remains is the
   * rounding of the displaced points. It turns a direction of low curvature slightly towards
   * directions of high curvature.
   */
  @Test
  void errorsBoundTheTrueOnesInAMinimum() {
    Random random = Seeds.random("errorsBoundTheTrueOnesInAMinimum");
    for (int round = 0; round < 200; round++) {
      double[] minimum = random.doubles(SIZE, -2, 2).toArray();
      double[] scales = new double[SIZE];
      for (int i = 0; i < SIZE; i++) {
        scales[i] = Math.pow(10, random.nextInt(7) - 3);
      }
      GradientOracle oracle =
          (at, gradient) -> {
            for (int i = 0; i < SIZE; i++) {
              gradient[i] = scales[i] * (at[i] - minimum[i]);
            }
          };
      double[] vector = new double[SIZE];
      for (int i = 0; i < SIZE; i++) {
        vector[i] = random.nextGaussian() / scales[i];
      }
      try (FiniteDifferenceHessian hessian =
          FiniteDifferenceHessian.at(CONTEXT, minimum, oracle, FiniteDifferenceHessian.DOUBLE)) {
        FiniteDifferenceHessian.Product found = hessian.multiply(vector);
        double[] error = found.values().clone();
        for (int i = 0; i < SIZE; i++) {
          error[i] -= scales[i] * vector[i];
        }
        assertThat(Vectors.norm(error)).isLessThanOrEqualTo(found.error());
      }
    }
  }

  @Test
  void nativeGradientsOfFloatsGiveTheSame() {
    Random random = Seeds.random("nativeGradientsOfFloatsGiveTheSame");
    int count = 1000;
    // Computes the gradient of the sum of x⁴ / 4.
    NativeGradientOracle oracle =
        (point, gradient) -> {
          for (int i = 0; i < count; i++) {
            float x = point.buffer().getFloat(point.offset() + 4L * i);
            gradient.buffer().putFloat(gradient.offset() + 4L * i, x * x * x);
          }
        };
    try (NativeBuffer memory = CONTEXT.allocate(12L * count)) {
      Matrix point = Matrix.of(memory, Dtype.F32, 10, count / 10);
      Matrix vector = Matrix.of(memory, Dtype.F32, 10, count / 10).at(4L * count);
      Matrix product = Matrix.of(memory, Dtype.F32, 10, count / 10).at(8L * count);
      for (int i = 0; i < 2 * count; i++) {
        memory.putFloat(4L * i, (float) random.nextGaussian());
      }
      try (FiniteDifferenceHessian hessian =
          FiniteDifferenceHessian.at(CONTEXT, point, oracle, FiniteDifferenceHessian.FLOAT)) {
        FiniteDifferenceHessian.Measured found = hessian.multiply(vector, product);
        double along = 0;
        double error = 0;
        double size = 0;
        for (int i = 0; i < count; i++) {
          double x = memory.getFloat(4L * i);
          double v = memory.getFloat(4L * (count + i));
          double truth = 3 * x * x * v;
          along += truth * v;
          size += truth * truth;
          error += Math.pow(memory.getFloat(4L * (2 * count + i)) - truth, 2);
        }
        assertThat(Math.sqrt(error)).isLessThanOrEqualTo(found.error());
        assertThat(found.error()).isLessThan(0.02 * Math.sqrt(size));
        assertThat(found.along()).isCloseTo(along, withinPercentage(0.1));
        // Arrays give the same result.
        double[] values = new double[count];
        for (int i = 0; i < count; i++) {
          values[i] = memory.getFloat(4L * (count + i));
        }
        FiniteDifferenceHessian.Product same = hessian.multiply(values);
        assertThat(same.error()).isEqualTo(found.error());
        assertThat(same.values()[count - 1]).isEqualTo(memory.getFloat(4L * (3 * count - 1)));
        assertThat(hessian.dimension()).isEqualTo(count);
      }
      Matrix narrow = Matrix.of(memory, Dtype.BF16, 1, 2);
      assertThatThrownBy(() -> FiniteDifferenceHessian.at(CONTEXT, narrow, oracle, 0.1))
          .hasMessage("the dtype of the point is BF16; it must be F32 or F64");
    }
  }

  @Test
  void refusesWhatIsNoGradient() {
    double[] point = {1, 2};
    Random noise = new Random(1);
    GradientOracle random = (at, gradient) -> gradient[0] = noise.nextDouble();
    assertThatThrownBy(() -> FiniteDifferenceHessian.at(CONTEXT, point, random, 1e-8))
        .isInstanceOf(IllegalStateException.class)
        .hasMessageContaining("the oracle returned different gradients for the same point")
        .hasMessageContaining("dropout");
    GradientOracle broken = (at, gradient) -> gradient[1] = Double.NaN;
    assertThatThrownBy(() -> FiniteDifferenceHessian.at(CONTEXT, point, broken, 1e-8))
        .hasMessage("the oracle returned a non-finite gradient");
    GradientOracle later =
        (at, gradient) -> gradient[0] = at[0] == 1 ? 0 : Double.POSITIVE_INFINITY;
    // The gradient is finite at the point itself and at no other point.
    assertThatThrownBy(() -> FiniteDifferenceHessian.at(CONTEXT, point, later, 1e-8))
        .hasMessage("the oracle returned a non-finite gradient");
    assertThatThrownBy(() -> FiniteDifferenceHessian.at(CONTEXT, point, broken, 0))
        .hasMessage("invalid unit roundoff: 0.0");
    CurvatureOperator unsteady =
        new CurvatureOperator() {
          @Override
          public int dimension() {
            return 1;
          }

          @Override
          public void apply(double[] vector, double[] product) {
            product[0] = noise.nextDouble();
          }
        };
    assertThatThrownBy(() -> OperatorCheck.requireDeterministic(unsteady, 1))
        .hasMessageContaining("the operator returned different products for the same vector");
  }
}
