package org.threegate.analysis.curvature;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.Random;
import org.junit.jupiter.api.Test;
import org.threegate.testing.Seeds;

class FiniteDifferenceHessianTest {
  private static final int SIZE = 20;

  /** Sums of sines of a random linear map: every derivative is known and none vanishes. */
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

    /** The same by float32 arithmetic. */
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
        FiniteDifferenceHessian hessian =
            FiniteDifferenceHessian.at(
                point,
                narrow ? waves::narrowGradient : waves::gradient,
                narrow ? FiniteDifferenceHessian.FLOAT : FiniteDifferenceHessian.DOUBLE);
        FiniteDifferenceHessian.Product found = hessian.multiply(vector);
        double[] truth = waves.product(point, vector);
        double size = Vectors.norm(truth);
        Vectors.add(truth, -1, found.values());
        assertThat(Vectors.norm(truth)).isLessThanOrEqualTo(found.error());
        worst = Math.max(worst, found.error() / size);
      }
      // And they say something.
      assertThat(worst).isLessThan(narrow ? 0.05 : 1e-6);
    }
  }

  @Test
  void joinsTheProbes() {
    Random random = Seeds.random("joinsTheProbes");
    Waves waves = Waves.of(random);
    FiniteDifferenceHessian hessian =
        FiniteDifferenceHessian.at(
            random.doubles(SIZE, -2, 2).toArray(), waves::gradient, FiniteDifferenceHessian.DOUBLE);
    OperatorCheck.requireDeterministic(hessian, 1);
    assertThat(OperatorCheck.asymmetry(hessian, 2)).isLessThan(1e-8);
    double[] zero = new double[SIZE];
    assertThat(hessian.multiply(zero).values()).isEqualTo(zero);
    assertThat(hessian.multiply(zero).error()).isZero();
  }

  @Test
  void refusesWhatIsNoGradient() {
    double[] point = {1, 2};
    Random noise = new Random(1);
    GradientOracle random = (at, gradient) -> gradient[0] = noise.nextDouble();
    assertThatThrownBy(() -> FiniteDifferenceHessian.at(point, random, 1e-8))
        .isInstanceOf(IllegalStateException.class)
        .hasMessageContaining("the oracle gave two gradients at one point")
        .hasMessageContaining("dropout");
    GradientOracle broken = (at, gradient) -> gradient[1] = Double.NaN;
    assertThatThrownBy(() -> FiniteDifferenceHessian.at(point, broken, 1e-8))
        .hasMessage("the oracle gave a gradient that is not finite");
    GradientOracle later =
        (at, gradient) -> gradient[0] = at[0] == 1 ? 0 : Double.POSITIVE_INFINITY;
    FiniteDifferenceHessian hessian = FiniteDifferenceHessian.at(point, later, 1e-8);
    assertThatThrownBy(() -> hessian.multiply(new double[] {1, 0}))
        .hasMessage("the oracle gave a gradient that is not finite");
    assertThatThrownBy(() -> FiniteDifferenceHessian.at(point, broken, 0))
        .hasMessage("a unit roundoff of 0.0");
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
        .hasMessageContaining("the operator gave two products of one vector");
  }
}
