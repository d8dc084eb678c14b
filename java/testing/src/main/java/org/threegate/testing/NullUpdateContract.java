package org.threegate.testing;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;
import static org.threegate.testing.TestDevice.DEVICE;

import java.util.Arrays;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.threegate.buffer.NativeBuffer;
import org.threegate.dtype.Dtype;
import org.threegate.kernel.Context;
import org.threegate.kernel.Control;
import org.threegate.kernel.Matrix;
import org.threegate.kernel.NullUpdate;
import org.threegate.kernel.Operand;
import org.threegate.kernel.TruncatedSvd;

/** Tests random updates. */
interface NullUpdateContract {
  @Test
  default void nullUpdatesAreWhatTheySay() {
    int rows = 20;
    int columns = 300;
    try (Context context = Context.open(DEVICE, 2);
        Control control = Control.open(context);
        NativeBuffer before = context.allocate(4L * rows * columns);
        NativeBuffer after = context.allocate(4L * rows * columns)) {
      for (int i = 0; i < rows * columns; i++) {
        before.putFloat(4L * i, 1);
        after.putFloat(4L * i, 1 + i);
      }
      Operand base = Operand.of(Matrix.of(before, Dtype.F32, rows, columns));
      Operand tuned = Operand.of(Matrix.of(after, Dtype.F32, rows, columns));
      Matrix noisy =
          NullUpdate.gaussian(
              context,
              new NullUpdate.Noise(base, 0.5, Dtype.F32),
              new NullUpdate.Draw(3, 1),
              control);
      try (NativeBuffer noise = noisy.buffer()) {
        double squares = 0;
        for (int i = 0; i < rows * columns; i++) {
          squares += Math.pow(noise.getFloat(4L * i) - 1, 2) / (rows * columns);
        }
        assertThat(squares).isBetween(0.23, 0.27);
        // Philox4x32-10 with the key (3, 0) gives the same bits in every binding at every level.
        assertThat(noise.getFloat(0)).isEqualTo(1.51510739f);
      }
      Matrix permuted =
          NullUpdate.permuted(
              context, new NullUpdate.Pair(base, tuned), new NullUpdate.Draw(3, 1), control);
      try (NativeBuffer moved = permuted.buffer()) {
        double[] entries = new double[rows * columns];
        int stayed = 0;
        for (int i = 0; i < entries.length; i++) {
          entries[i] = moved.getFloat(4L * i) - 1;
          stayed += entries[i] == i ? 1 : 0;
        }
        assertThat(stayed).isLessThan(10);
        Arrays.sort(entries);
        for (int i = 0; i < entries.length; i++) {
          assertThat(entries[i]).isEqualTo(i);
        }
      }
      Matrix core =
          NullUpdate.rotated(
              context,
              new NullUpdate.Spectrum(new double[] {3, 2, 1}, 50),
              new NullUpdate.Draw(3, 1));
      try {
        assertThat(core.rows()).isEqualTo(6);
        double[] sigma =
            TruncatedSvd.of(context, TruncatedSvd.Request.spectrum(Operand.of(core), 1e-9))
                .values();
        assertThat(sigma).containsExactly(new double[] {3, 2, 1}, within(1e-6));
        Matrix shuffled = NullUpdate.shuffled(context, core, new NullUpdate.Draw(3, 1));
        try (NativeBuffer moved = shuffled.buffer()) {
          for (int i = 0; i < 18; i++) {
            float entry = core.buffer().getFloat(4L * i);
            assertThat(IntStream.range(0, 18).filter(j -> moved.getFloat(4L * j) == entry))
                .isNotEmpty();
          }
        }
      } finally {
        core.buffer().close();
      }
      control.cancel();
      assertThatThrownBy(
              () ->
                  NullUpdate.permuted(
                      context,
                      new NullUpdate.Pair(base, tuned),
                      new NullUpdate.Draw(3, 1),
                      control))
          .hasMessage("cancelled");
    }
  }

  @Test
  default void normalUpdatesCross() {
    int count = 40;
    try (Context context = Context.open(DEVICE, 0)) {
      Matrix core =
          NullUpdate.normal(
              context,
              new NullUpdate.Spectrum(new double[count], 1000),
              new double[] {4, 0, 0, 0},
              new NullUpdate.Draw(3, 1));
      try (NativeBuffer entries = core.buffer()) {
        assertThat(core.rows()).isEqualTo(2 * count);
        double above = 0;
        double below = 0;
        for (int i = 0; i < 2 * count * count; i++) {
          double square = Math.pow(entries.getFloat(4L * i), 2);
          above += i < count * count ? square : 0;
          below += i < count * count ? 0 : square;
        }
        assertThat(above).isCloseTo(4.0 * count * count, within(1000.0));
        assertThat(below).isCloseTo(4.0 * count * (1000 - count), within(5000.0));
        // The bits are the same in every binding at every level.
        assertThat(entries.getFloat(0)).isEqualTo(1.1120815f);
      }
      assertThatThrownBy(
              () ->
                  NullUpdate.normal(
                      context,
                      new NullUpdate.Spectrum(new double[3], 3),
                      new double[5],
                      new NullUpdate.Draw(3, 1)))
          .hasMessage("5 variances; their number must be a square");
    }
  }
}
