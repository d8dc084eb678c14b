package org.threegate.analysis.curvature;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.threegate.buffer.NativeBuffer;
import org.threegate.dtype.Dtype;
import org.threegate.kernel.Context;
import org.threegate.kernel.Control;
import org.threegate.kernel.LayerSamples;
import org.threegate.kernel.Matrix;
import org.threegate.kernel.TruncatedSvd;
import org.threegate.run.Progress;
import org.threegate.testing.NativeLeaks;
import org.threegate.testing.Seeds;

@ExtendWith(NativeLeaks.class)
class LayerFisherTest {
  private static final int TOKENS = 50;
  private static final int INPUTS = 7;
  private static final int OUTPUTS = 5;
  private static final int WEIGHTS = INPUTS * OUTPUTS;
  // Relative error of float32 products, for sums of this length and values around one.
  private static final double ROUNDING = 1e-5;

  private static Matrix fill(NativeBuffer memory, long offset, int columns, Random random) {
    for (int i = 0; i < TOKENS * columns; i++) {
      memory.putInt(offset + 4L * i, Float.floatToRawIntBits((float) random.nextGaussian()));
    }
    return Matrix.of(memory, Dtype.F32, TOKENS, columns).at(offset);
  }

  private static double at(NativeBuffer memory, Matrix matrix, int row, int column) {
    return Float.intBitsToFloat(
        memory.getInt(matrix.offset() + 4L * (row * matrix.columns() + column)));
  }

  @Test
  void productsAreThoseOfTheExplicitMatrix() {
    Random random = Seeds.random("productsAreThoseOfTheExplicitMatrix");
    try (Context context = Context.open();
        Control control = Control.open(context);
        NativeBuffer memory = context.allocate(1 << 16)) {
      Matrix x = fill(memory, 0, INPUTS, random);
      Matrix g = fill(memory, 8192, OUTPUTS, random);
      // The samples come in two parts, as those of a longer run do.
      LayerSamples head =
          new LayerSamples(
              Matrix.of(memory, Dtype.F32, 20, INPUTS),
              Matrix.of(memory, Dtype.F32, 20, OUTPUTS).at(8192));
      LayerSamples tail =
          new LayerSamples(
              Matrix.of(memory, Dtype.F32, 30, INPUTS).at(20 * INPUTS * 4),
              Matrix.of(memory, Dtype.F32, 30, OUTPUTS).at(8192 + 20 * OUTPUTS * 4));
      LayerFisher fisher = LayerFisher.of(context, List.of(head, tail), FisherKind.TRUE, control);
      assertThat(fisher.kind().label()).isEqualTo("true Fisher");
      double[] entries = new double[WEIGHTS * WEIGHTS];
      double[] ofInputs = new double[INPUTS * INPUTS];
      double[] ofGradients = new double[OUTPUTS * OUTPUTS];
      for (int t = 0; t < TOKENS; t++) {
        for (int a = 0; a < WEIGHTS; a++) {
          double first = at(memory, g, t, a / INPUTS) * at(memory, x, t, a % INPUTS);
          for (int b = 0; b < WEIGHTS; b++) {
            double second = at(memory, g, t, b / INPUTS) * at(memory, x, t, b % INPUTS);
            entries[a * WEIGHTS + b] += first * second / TOKENS;
          }
        }
        for (int i = 0; i < INPUTS; i++) {
          for (int j = 0; j < INPUTS; j++) {
            ofInputs[i * INPUTS + j] += at(memory, x, t, i) * at(memory, x, t, j) / TOKENS;
          }
        }
        for (int i = 0; i < OUTPUTS; i++) {
          for (int j = 0; j < OUTPUTS; j++) {
            ofGradients[i * OUTPUTS + j] += at(memory, g, t, i) * at(memory, g, t, j) / TOKENS;
          }
        }
      }
      expectProducts(new ExplicitOperator(entries, WEIGHTS), fisher, random);
      // With sequences as the unit, the gradients of a sequence are summed before they are squared.
      // Sequences extend over both parts.
      long[] sequences = new long[TOKENS];
      double[][] sums = new double[3][WEIGHTS];
      for (int t = 0; t < TOKENS; t++) {
        sequences[t] = 7 * (t % 3);
        for (int a = 0; a < WEIGHTS; a++) {
          sums[t % 3][a] += at(memory, g, t, a / INPUTS) * at(memory, x, t, a % INPUTS);
        }
      }
      double[] ofSequences = new double[WEIGHTS * WEIGHTS];
      for (double[] sum : sums) {
        for (int a = 0; a < WEIGHTS; a++) {
          for (int b = 0; b < WEIGHTS; b++) {
            ofSequences[a * WEIGHTS + b] += sum[a] * sum[b] / TOKENS;
          }
        }
      }
      expectProducts(
          new ExplicitOperator(ofSequences, WEIGHTS), fisher.ofSequences(sequences), random);
      assertThatThrownBy(() -> fisher.ofSequences(new long[3]))
          .hasMessage("3 sequence identifiers for 50 tokens");
      KroneckerFactors factors = KroneckerFactors.of(context, List.of(head, tail), control);
      double[] kronecker = new double[WEIGHTS * WEIGHTS];
      for (int a = 0; a < WEIGHTS; a++) {
        for (int b = 0; b < WEIGHTS; b++) {
          kronecker[a * WEIGHTS + b] =
              ofGradients[a / INPUTS * OUTPUTS + b / INPUTS]
                  * ofInputs[a % INPUTS * INPUTS + b % INPUTS];
        }
      }
      expectProducts(
          new ExplicitOperator(kronecker, WEIGHTS), factors.operator(context, control), random);
      try (TruncatedSvd.Result of = factors.inputEigenvectors(context, 2, 1e-9);
          TruncatedSvd.Result and = factors.gradientEigenvectors(context, 1, 1e-9)) {
        Lanczos inputs =
            Lanczos.start(new ExplicitOperator(symmetric(ofInputs, INPUTS), INPUTS), 1);
        inputs.extend(INPUTS, Progress.NONE);
        double[] values = inputs.result(0).values();
        assertThat(of.values()[0]).isCloseTo(values[0], within(ROUNDING * values[0]));
        assertThat(of.values()[1]).isCloseTo(values[1], within(ROUNDING * values[0]));
        Lanczos gradients =
            Lanczos.start(new ExplicitOperator(symmetric(ofGradients, OUTPUTS), OUTPUTS), 1);
        gradients.extend(OUTPUTS, Progress.NONE);
        double largest = gradients.result(0).values()[0];
        assertThat(and.values()[0]).isCloseTo(largest, within(ROUNDING * largest));
      }
    }
  }

  private static double[] symmetric(double[] entries, int size) {
    double[] result = entries.clone();
    for (int i = 0; i < size; i++) {
      for (int j = 0; j < i; j++) {
        result[i * size + j] = result[j * size + i];
      }
    }
    return result;
  }

  private static void expectProducts(
      ExplicitOperator expected, CurvatureOperator operator, Random random) {
    assertThat(operator.dimension()).isEqualTo(expected.dimension());
    OperatorCheck.requireDeterministic(operator, 1);
    assertThat(OperatorCheck.asymmetry(operator, 2)).isLessThan(ROUNDING);
    double[][] vectors = {
      random.doubles(WEIGHTS, -1, 1).toArray(), random.doubles(WEIGHTS, -1, 1).toArray()
    };
    double[][] together = operator.applyAll(vectors);
    for (int i = 0; i < 2; i++) {
      double[] alone = new double[WEIGHTS];
      operator.apply(vectors[i], alone);
      assertThat(alone).isEqualTo(together[i]);
      double[] wanted = new double[WEIGHTS];
      expected.apply(vectors[i], wanted);
      double size = Vectors.norm(wanted);
      Vectors.add(wanted, -1, alone);
      assertThat(Vectors.norm(wanted)).isLessThan(ROUNDING * size);
    }
  }

  @Test
  void refusesLayersOfDifferentShape() {
    try (Context context = Context.open();
        Control control = Control.open(context);
        NativeBuffer memory = context.allocate(1 << 20)) {
      LayerSamples one =
          new LayerSamples(Matrix.of(memory, Dtype.F32, 1, 3), Matrix.of(memory, Dtype.F32, 1, 4));
      LayerSamples other =
          new LayerSamples(Matrix.of(memory, Dtype.F32, 1, 3), Matrix.of(memory, Dtype.F32, 1, 5));
      LayerSamples huge =
          new LayerSamples(
              Matrix.of(memory, Dtype.F32, 1, 65536), Matrix.of(memory, Dtype.F32, 1, 65536));
      assertThatThrownBy(
              () -> LayerFisher.of(context, List.of(one, other), FisherKind.EMPIRICAL, control))
          .hasMessage("the parts belong to layers of different shapes: 4 x 3 and 5 x 3");
      assertThatThrownBy(() -> LayerFisher.of(context, List.of(), FisherKind.EMPIRICAL, control))
          .hasMessage("at least one part is required");
      assertThatThrownBy(
              () -> LayerFisher.of(context, List.of(huge), FisherKind.EMPIRICAL, control))
          .hasMessage("the layer has 65536 x 65536 weights; an operator supports fewer than 2^31");
    }
  }
}
