package org.threegate.testing;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.threegate.testing.TestDevice.DEVICE;

import java.util.Arrays;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.threegate.buffer.NativeBuffer;
import org.threegate.dtype.Dtype;
import org.threegate.kernel.Bf16Diff;
import org.threegate.kernel.Context;
import org.threegate.kernel.Control;
import org.threegate.kernel.KernelException;
import org.threegate.kernel.Matrix;
import org.threegate.kernel.Operand;
import org.threegate.kernel.Status;

/** Tests matrices and the comparison of two of them. */
interface DiffContract {
  @Test
  default void theDiffCountsWhatJavaCounts() {
    Random random = Seeds.random("theDiffCountsWhatJavaCounts");
    int rows = 37;
    int columns = 101;
    try (Context context = Context.open(DEVICE, 2);
        NativeBuffer base = context.allocate(2L * rows * columns + 1);
        NativeBuffer tuned = context.allocate(4L * rows * columns);
        NativeBuffer rounded = context.allocate(2L * rows * columns)) {
      long changed = 0;
      long stored = 0;
      long[] rowChanged = new long[rows];
      double squares = 0;
      for (int i = 0; i < rows * columns; i++) {
        float weight =
            Float.intBitsToFloat(
                Float.floatToRawIntBits((float) random.nextGaussian()) & 0xffff0000);
        float step = random.nextInt(3) == 0 ? 0 : weight * (random.nextBoolean() ? 1e-3f : 2e-2f);
        base.putShort(2L * i + 1, (short) (Float.floatToRawIntBits(weight) >>> 16));
        tuned.putFloat(4L * i, weight + step);
        double delta = (double) (weight + step) - weight;
        int bits = Float.floatToRawIntBits(weight + step);
        int code = (bits + 0x7fff + (bits >>> 16 & 1)) >>> 16;
        rounded.putShort(2L * i, (short) code);
        boolean moved = code != Float.floatToRawIntBits(weight) >>> 16;
        changed += moved ? 1 : 0;
        stored += delta != 0 ? 1 : 0;
        rowChanged[i / columns] += moved ? 1 : 0;
        squares += delta * delta;
      }
      Matrix w0 = Matrix.of(base, Dtype.BF16, rows, columns).at(1);
      Matrix w1 = Matrix.of(tuned, Dtype.F32, rows, columns);
      try (Control control = Control.open(context)) {
        Bf16Diff.Result result =
            Bf16Diff.compare(
                context,
                new Bf16Diff.Pair(
                    Operand.of(w0), Operand.of(w1), new Bf16Diff.Profiles(true, true, true, 5, 7)),
                control);
        assertThat(result.total()).isEqualTo((long) rows * columns);
        assertThat(result.changed()).isEqualTo(changed);
        assertThat(result.changedStored()).isEqualTo(stored);
        assertThat(result.hidden()).isEqualTo(stored - changed);
        assertThat(result.rowChanged().orElseThrow()).isEqualTo(rowChanged);
        assertThat(Arrays.stream(result.columnChanged().orElseThrow()).sum()).isEqualTo(changed);
        assertThat(Arrays.stream(result.map().orElseThrow()).sum()).isEqualTo(changed);
        assertThat(result.mask().orElseThrow().count()).isEqualTo(changed);
        assertThat(Arrays.stream(result.ulpHistogram()).sum()).isEqualTo(result.total());
        assertThat(result.deltaSquares())
            .isCloseTo(squares, org.assertj.core.data.Percentage.withPercentage(1e-9));
        assertThat(control.done()).isEqualTo(result.total());
        Bf16Diff.Result ofRounded =
            Bf16Diff.compare(
                context,
                new Bf16Diff.Pair(
                    Operand.of(w0),
                    Operand.of(Matrix.of(rounded, Dtype.BF16, rows, columns)),
                    new Bf16Diff.Profiles(true, true, true, 5, 7)),
                control);
        assertThat(ofRounded.changed()).isEqualTo(changed);
        assertThat(ofRounded.changedStored()).isEqualTo(changed);
        assertThat(ofRounded.rowChanged().orElseThrow()).isEqualTo(rowChanged);
        assertThat(ofRounded.columnChanged().orElseThrow())
            .isEqualTo(result.columnChanged().orElseThrow());
        assertThat(ofRounded.mask().orElseThrow()).isEqualTo(result.mask().orElseThrow());
        control.cancel();
        assertThatThrownBy(
                () ->
                    Bf16Diff.compare(
                        context,
                        new Bf16Diff.Pair(Operand.of(w0), Operand.of(w1), Bf16Diff.Profiles.NONE),
                        control))
            .isInstanceOfSatisfying(
                KernelException.class, e -> assertThat(e.status()).isEqualTo(Status.CANCELLED));
      }
    }
  }

  @Test
  default void operandsWithLowRankTermsAndScalesCross() {
    try (Context context = Context.open(DEVICE, 0);
        NativeBuffer memory = context.allocate(64)) {
      memory
          .putFloat(0, 1)
          .putFloat(4, 2)
          .putFloat(8, 3)
          .putFloat(12, 10)
          .putByte(16, (byte) 0x38)
          .putByte(17, (byte) 0xb8);
      memory.putFloat(20, 1).putFloat(24, 2);
      Matrix values = Matrix.of(memory, Dtype.F32, 1, 2);
      Matrix left = Matrix.of(memory, Dtype.F32, 1, 1).at(8);
      Matrix right = Matrix.of(memory, Dtype.F32, 1, 2).at(20);
      Operand tuned = Operand.adapted(values, List.of(new Operand.LowRank(left, right, 0.5)));
      assertThat(Bf16Diff.compare(context, Operand.of(values), tuned).deltaSquares())
          .isEqualTo(1.5 * 1.5 + 3 * 3);
      Matrix f8 = Matrix.of(memory, Dtype.F8_E4M3, 1, 2).at(16);
      Operand scaled =
          Operand.scaled(
              f8, new Operand.BlockScale(Matrix.of(memory, Dtype.F32, 1, 1).at(12), 128, 128));
      assertThat(Bf16Diff.compare(context, scaled, Operand.of(values)).baseSquares())
          .isEqualTo(200);
    }
  }

  @Test
  default void matricesMustLieInTheirBuffer() {
    try (Context context = Context.open(DEVICE, 0);
        NativeBuffer memory = context.allocate(64)) {
      assertThatThrownBy(() -> Matrix.of(memory, Dtype.F32, 4, 4).at(1))
          .isInstanceOf(IndexOutOfBoundsException.class);
      assertThatThrownBy(() -> Matrix.of(memory, Dtype.F32, Long.MAX_VALUE, 4))
          .isInstanceOf(IllegalArgumentException.class);
      Matrix small = Matrix.of(memory, Dtype.F32, 2, 2);
      Matrix other = Matrix.of(memory, Dtype.F32, 2, 3);
      assertThatThrownBy(() -> Bf16Diff.compare(context, Operand.of(small), Operand.of(other)))
          .hasMessage("tuned is 2 x 3; base is 2 x 2");
    }
  }

  /** Runs the example of the class documentation of {@link Bf16Diff}. */
  @Test
  default void theDocumentedExampleRuns() {
    try (Context context = Context.open(DEVICE, 0);
        NativeBuffer base = context.allocate(2 * 3 * 4);
        NativeBuffer tuned = context.allocate(2 * 3 * 4)) {
      for (int i = 0; i < 12; i++) {
        base.putShort(2 * i, (short) 0x3f80);
        tuned.putShort(2 * i, (short) (i == 5 ? 0x3f81 : 0x3f80));
      }
      Matrix w0 = Matrix.of(base, Dtype.BF16, 3, 4);
      Matrix w1 = Matrix.of(tuned, Dtype.BF16, 3, 4);
      Bf16Diff.Result result = Bf16Diff.compare(context, Operand.of(w0), Operand.of(w1));
      assertThat(result.changed() + " of " + result.total() + " changed")
          .isEqualTo("1 of 12 changed");
    }
  }
}
