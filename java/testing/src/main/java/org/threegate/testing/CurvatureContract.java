package org.threegate.testing;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;
import static org.threegate.testing.TestDevice.DEVICE;

import java.util.List;
import org.junit.jupiter.api.Test;
import org.threegate.buffer.NativeBuffer;
import org.threegate.dtype.Dtype;
import org.threegate.kernel.Context;
import org.threegate.kernel.Control;
import org.threegate.kernel.Direction;
import org.threegate.kernel.DirectionEntries;
import org.threegate.kernel.FiniteDifferences;
import org.threegate.kernel.KernelException;
import org.threegate.kernel.LayerSamples;
import org.threegate.kernel.Mask;
import org.threegate.kernel.Matrix;
import org.threegate.kernel.Operand;

/** Tests slopes of layers and finite differences of gradients. */
interface CurvatureContract {
  @Test
  default void slopesAreDerivatives() {
    int tokens = 5;
    int inputs = 3;
    int outputs = 2;
    try (Context context = Context.open(DEVICE, 2);
        NativeBuffer memory = context.allocate(4096);
        Control control = Control.open(context)) {
      // All values are small integers, so that every sum is exact.
      for (int i = 0; i < 512; i++) {
        memory.putDouble(8L * i, i * 7 % 11 - 5);
      }
      Matrix x = Matrix.of(memory, Dtype.F64, tokens, inputs);
      Matrix g = Matrix.of(memory, Dtype.F64, tokens, outputs).at(800);
      Matrix before = Matrix.of(memory, Dtype.F64, outputs, inputs).at(1600);
      Matrix after = Matrix.of(memory, Dtype.F64, outputs, inputs).at(1720);
      Matrix left = Matrix.of(memory, Dtype.F64, outputs, 1).at(2400);
      Matrix right = Matrix.of(memory, Dtype.F64, 1, inputs).at(2504);
      LayerSamples samples = new LayerSamples(x, g);
      Direction.Entries update = Direction.update(Operand.of(before), Operand.of(after));
      Mask corner = new Mask(outputs, inputs, new long[] {1, 0});
      LayerSamples.Slopes slopes =
          samples.slopes(
              context, List.of(update, update.within(corner), Direction.of(left, right)), control);
      double[] products = new double[outputs * inputs];
      samples.addProducts(context, slopes.along(0), products, control);
      double[] factor = new double[inputs * inputs];
      samples.addInputProducts(context, factor, control);
      double[] other = new double[outputs * outputs];
      samples.addGradientProducts(context, other, control);
      double[][] expected = new double[3][tokens];
      double[] squares = new double[3];
      for (int i = 0; i < outputs; i++) {
        for (int j = 0; j < inputs; j++) {
          double entry = at(memory, after, i, j) - at(memory, before, i, j);
          double[] entries = {
            entry, i + j == 0 ? entry : 0, at(memory, left, i, 0) * at(memory, right, 0, j)
          };
          for (int d = 0; d < 3; d++) {
            squares[d] += entries[d] * entries[d];
            for (int t = 0; t < tokens; t++) {
              expected[d][t] += at(memory, g, t, i) * entries[d] * at(memory, x, t, j);
            }
          }
        }
      }
      assertThat(slopes.slopes()).isDeepEqualTo(expected);
      try (NativeBuffer values = DirectionEntries.of(context, update.within(corner))) {
        double entry = at(memory, after, 0, 0) - at(memory, before, 0, 0);
        assertThat(values.getDoubles(0, 6)).containsExactly(entry, 0, 0, 0, 0, 0);
      }
      assertThat(slopes.squares()).containsExactly(squares);
      for (int i = 0; i < outputs; i++) {
        for (int j = 0; j < inputs; j++) {
          double sum = 0;
          for (int t = 0; t < tokens; t++) {
            sum += expected[0][t] * at(memory, g, t, i) * at(memory, x, t, j);
          }
          assertThat(products[i * inputs + j]).isEqualTo(sum);
        }
      }
      double firsts = 0;
      for (int t = 0; t < tokens; t++) {
        firsts += at(memory, x, t, 0) * at(memory, x, t, 1);
      }
      assertThat(factor[1]).isEqualTo(firsts).isEqualTo(factor[inputs]);
      assertThat(other[1]).isEqualTo(other[2]);
      memory.putDouble(800, Double.NaN);
      assertThatThrownBy(() -> samples.slopes(context, List.of(update), control))
          .isInstanceOf(KernelException.class)
          .hasMessageContaining("samples.gradient has an entry that is not finite, in row 0");
      assertThatThrownBy(() -> new LayerSamples(x, right)).hasMessage("1 gradients for 5 inputs");
    }
  }

  @Test
  default void finiteDifferencesCross() {
    try (Context context = Context.open(DEVICE, 2);
        NativeBuffer memory = context.allocate(4 * 4 * 3)) {
      float[] numbers = {1, 2, 3, 4, 8, 16, 1, 0, -1};
      for (int i = 0; i < numbers.length; i++) {
        memory.putFloat(4L * i, numbers[i]);
      }
      Matrix first = Matrix.of(memory, Dtype.F32, 1, 3);
      Matrix second = Matrix.of(memory, Dtype.F32, 3, 1).at(12);
      Matrix third = Matrix.of(memory, Dtype.F32, 1, 3).at(24);
      Matrix out = Matrix.of(memory, Dtype.F32, 1, 3).at(36);
      assertThat(
              FiniteDifferences.displace(
                  context, new FiniteDifferences.Displacement(first, second, 0.5), out))
          .isZero();
      assertThat(memory.getFloat(36 + 8)).isEqualTo(11);
      // The sums of 1, 2 and 3 with 2⁻³⁰ times 4, 8 and 16 round to 1, 2 and 3.
      assertThat(
              FiniteDifferences.displace(
                  context, new FiniteDifferences.Displacement(first, second, 0x1p-30), out))
          .isEqualTo(0x1p-60 * (16 + 64 + 256));
      FiniteDifferences.Sums sums =
          FiniteDifferences.difference(
              context, FiniteDifferences.Gradients.of(second, first, third, 0.25), out);
      assertThat(sums).isEqualTo(new FiniteDifferences.Sums(336, 14, 0, 6 - 26));
      assertThat(memory.getFloat(36 + 8)).isEqualTo(26);
      sums =
          FiniteDifferences.difference(
              context,
              FiniteDifferences.Gradients.of(second, first, third, 0.25).extrapolating(first),
              out);
      assertThat(sums.change()).isCloseTo((5 * 5 + 10 * 10 + 23 * 23) / 9.0, within(1e-12));
      assertThat(memory.getFloat(36)).isEqualTo((float) (6 + 5 / 3.0));
      Matrix shorter = Matrix.of(memory, Dtype.F32, 1, 2);
      assertThatThrownBy(
              () ->
                  FiniteDifferences.displace(
                      context, new FiniteDifferences.Displacement(first, shorter, 1), out))
          .hasMessage("a vector of 2 F32 beside one of 3 F32");
      Matrix gaps = new Matrix(memory, 0, Dtype.F32, 3, 1, 2);
      assertThatThrownBy(
              () ->
                  FiniteDifferences.displace(
                      context, new FiniteDifferences.Displacement(gaps, first, 1), out))
          .hasMessage("a vector must be contiguous");
      assertThatThrownBy(
              () ->
                  FiniteDifferences.displace(
                      context, new FiniteDifferences.Displacement(first, third, 0), out))
          .isInstanceOf(KernelException.class)
          .hasMessageContaining("step is 0.000000; it must be finite and not 0");
    }
  }

  private static double at(NativeBuffer memory, Matrix matrix, int row, int column) {
    return memory.getDouble(matrix.offset() + 8L * (row * matrix.rowStride() + column));
  }
}
