package org.threegate.testing;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;
import static org.threegate.testing.TestDevice.DEVICE;

import java.util.Arrays;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.threegate.buffer.NativeBuffer;
import org.threegate.dtype.Dtype;
import org.threegate.kernel.Context;
import org.threegate.kernel.Control;
import org.threegate.kernel.KernelException;
import org.threegate.kernel.Matrix;
import org.threegate.kernel.Operand;
import org.threegate.kernel.PrincipalAngles;
import org.threegate.kernel.ProjectedEnergy;
import org.threegate.kernel.SpectrumPerturbation;
import org.threegate.kernel.Status;
import org.threegate.kernel.TruncatedSvd;

/** Tests singular values and vectors, and measures in their bases. */
interface SvdContract {
  @Test
  default void singularTripletsAreThoseOfTheMatrix() {
    Random random = Seeds.random("singularTripletsAreThoseOfTheMatrix");
    int rows = 70;
    int columns = 90;
    int rank = 5;
    try (Context context = Context.open(DEVICE, 2);
        NativeBuffer buffer = context.allocate(8L * rows * columns);
        Control control = Control.open(context)) {
      double squares = 0;
      for (int i = 0; i < rows * columns; i++) {
        double entry = random.nextGaussian();
        buffer.putDouble(8L * i, entry);
        squares += entry * entry;
      }
      Operand matrix = Operand.of(Matrix.of(buffer, Dtype.F64, rows, columns));
      List<TruncatedSvd.Request> requests =
          List.of(
              TruncatedSvd.Request.of(matrix, rank, 1e-12),
              TruncatedSvd.Request.spectrum(matrix, 1e-10),
              TruncatedSvd.Request.of(matrix, 1, 1e-17));
      List<TruncatedSvd.Result> results = TruncatedSvd.of(context, requests, control);
      try (TruncatedSvd.Result triplets = results.get(0);
          TruncatedSvd.Result spectrum = results.get(1);
          TruncatedSvd.Result tooMuch = results.get(2)) {
        assertThat(triplets.status()).isEqualTo(Status.OK);
        assertThat(triplets.residual()).isLessThanOrEqualTo(1e-12);
        Matrix left = triplets.left().orElseThrow();
        Matrix right = triplets.right().orElseThrow();
        for (int k = 0; k < rank; k++) {
          for (int i = 0; i < rows; i++) {
            double product = 0;
            for (int j = 0; j < columns; j++) {
              product +=
                  buffer.getDouble(8L * (i * columns + j))
                      * right.buffer().getDouble(right.offset() + 8L * (k * columns + j));
            }
            double u = left.buffer().getDouble(left.offset() + 8L * (k * rows + i));
            assertThat(product).isCloseTo(triplets.values()[k] * u, within(1e-10));
          }
        }
        double[] all = spectrum.spectrum().orElseThrow();
        assertThat(all).hasSize(rows);
        assertThat(spectrum.left()).isEmpty();
        assertThat(Arrays.stream(all).map(sigma -> sigma * sigma).sum())
            .isCloseTo(squares, within(1e-8 * squares));
        assertThat(triplets.values()[4]).isCloseTo(all[4], within(1e-9));
        assertThat(tooMuch.status()).isEqualTo(Status.NOT_CONVERGED);
        assertThat(tooMuch.residual()).isLessThan(1e-13);
      }
      buffer.putDouble(8, Double.NaN);
      assertThatThrownBy(() -> TruncatedSvd.of(context, requests, control))
          .isInstanceOfSatisfying(
              KernelException.class, e -> assertThat(e.status()).isEqualTo(Status.INVALID_ARGUMENT))
          .hasMessage("matrices[0] has an entry that is not finite");
    }
  }

  @Test
  default void tripletsAreTracked() {
    Random random = Seeds.random("tripletsAreTracked");
    int rows = 120;
    int columns = 80;
    try (Context context = Context.open(DEVICE, 1);
        Control control = Control.open(context);
        NativeBuffer before = context.allocate(8L * rows * columns);
        NativeBuffer after = context.allocate(8L * rows * columns)) {
      for (int i = 0; i < rows * columns; i++) {
        double entry = random.nextGaussian();
        before.putDouble(8L * i, entry);
        after.putDouble(8L * i, entry + 1e-4 * random.nextGaussian());
      }
      Operand base = Operand.of(Matrix.of(before, Dtype.F64, rows, columns));
      Operand tuned = Operand.of(Matrix.of(after, Dtype.F64, rows, columns));
      TruncatedSvd.Request wanted = TruncatedSvd.Request.of(tuned, 6, 1e-6);
      try (TruncatedSvd.Result whole =
              TruncatedSvd.of(context, TruncatedSvd.Request.of(base, columns, 1e-9));
          TruncatedSvd.Result tracked =
              TruncatedSvd.track(context, wanted, TruncatedSvd.Start.of(whole), control);
          TruncatedSvd.Result cold = TruncatedSvd.of(context, wanted)) {
        assertThat(tracked.method()).isEqualTo(TruncatedSvd.Method.TRACKED);
        assertThat(tracked.isConverged()).isTrue();
        assertThat(tracked.values()).containsExactly(cold.values(), within(1e-5));
        double[] angles =
            PrincipalAngles.of(context, tracked.right().orElseThrow(), cold.right().orElseThrow());
        assertThat(angles[5]).isLessThan(1e-3);
        assertThatThrownBy(
                () ->
                    TruncatedSvd.track(
                        context,
                        wanted,
                        new TruncatedSvd.Start(whole.values(), whole.left().orElseThrow()),
                        control))
            .hasMessage("starts[0].basis is 80 x 120; it must be 80 x 80");
      }
    }
  }

  /**
   * Moves one entry in 600 of a bf16 matrix by one code. Only a solve without the base reads the
   * numbers that are hidden.
   */
  @Test
  default void tripletsAreTrackedFromTheChangedEntries() {
    Random random = Seeds.random("tripletsAreTrackedFromTheChangedEntries");
    int rows = 300;
    int columns = 240;
    int rank = 5;
    try (Context context = Context.open(Context.Device.CPU, 1);
        Control control = Control.open(context);
        NativeBuffer before = context.allocate(2L * rows * columns);
        NativeBuffer after = context.allocate(2L * rows * columns);
        NativeBuffer hidden = context.allocate(8L * columns * columns)) {
      for (int i = 0; i < rows * columns; i++) {
        short code = (short) (Float.floatToRawIntBits((float) random.nextGaussian()) >>> 16);
        before.putShort(2L * i, code);
        after.putShort(2L * i, random.nextInt(600) == 0 ? (short) (code + 1) : code);
      }
      Operand base = Operand.of(Matrix.of(before, Dtype.BF16, rows, columns));
      Operand tuned = Operand.of(Matrix.of(after, Dtype.BF16, rows, columns));
      TruncatedSvd.Request wanted = TruncatedSvd.Request.of(tuned, rank, 1e-4);
      try (TruncatedSvd.Result whole =
              TruncatedSvd.of(context, TruncatedSvd.Request.of(base, columns, 1e-9));
          TruncatedSvd.Result cold = TruncatedSvd.of(context, wanted)) {
        TruncatedSvd.Start start = TruncatedSvd.Start.of(base, whole);
        Matrix right = whole.rightVectors();
        for (long i = 0; i < (long) columns * columns; i++) {
          boolean read = i < (rank + 16L) * columns;
          hidden.putDouble(
              8 * i, read ? right.buffer().getDouble(right.offset() + 8 * i) : Double.NaN);
        }
        double[] values = whole.values();
        Arrays.fill(values, rank + 17, columns, Double.NaN);
        Matrix basis = Matrix.of(hidden, Dtype.F64, columns, columns);
        try (TruncatedSvd.Result tracked =
                TruncatedSvd.track(
                    context, wanted, new TruncatedSvd.Start(values, basis, start.base()), control);
            TruncatedSvd.Result alone =
                TruncatedSvd.track(
                    context, wanted, new TruncatedSvd.Start(values, basis), control)) {
          assertThat(tracked.method()).isEqualTo(TruncatedSvd.Method.TRACKED);
          assertThat(tracked.values()).containsExactly(cold.values(), within(1e-4));
          assertThat(alone.method()).isNotEqualTo(TruncatedSvd.Method.TRACKED);
        }
      }
    }
  }

  /**
   * Rotates the first two of three coordinates by an angle that is too small to be computed from
   * its cosine.
   */
  @Test
  default void smallAnglesAndEnergiesCross() {
    double angle = 3e-9;
    try (Context context = Context.open(DEVICE, 0);
        NativeBuffer memory = context.allocate(8 * 15)) {
      memory.putDouble(0, 1).putDouble(8, 0).putDouble(16, 0);
      memory.putDouble(24, Math.cos(angle)).putDouble(32, Math.sin(angle)).putDouble(40, 0);
      Matrix first = Matrix.of(memory, Dtype.F64, 1, 3);
      Matrix second = Matrix.of(memory, Dtype.F64, 1, 3).at(24);
      double[] angles = PrincipalAngles.of(context, first, second);
      assertThat(angles).hasSize(1);
      assertThat(angles[0]).isCloseTo(angle, within(1e-15));
      // The 2 x 3 matrices are W0 = 0 and W1 = (3 4 0; 0 0 12).
      for (int i = 0; i < 6; i++) {
        memory.putDouble(48 + 8 * i, i == 0 ? 3 : i == 1 ? 4 : i == 5 ? 12 : 0);
      }
      memory.putDouble(96, 1).putDouble(104, 0);
      Operand tuned = Operand.of(Matrix.of(memory, Dtype.F64, 2, 3).at(48));
      Matrix left = Matrix.of(memory, Dtype.F64, 1, 2).at(96);
      ProjectedEnergy.Result energy =
          ProjectedEnergy.of(context, tuned, new ProjectedEnergy.Bases(left, first));
      assertThat(energy).isEqualTo(new ProjectedEnergy.Result(169, 25, 9, 9, 81 + 256 + 20736));
      assertThat(
              ProjectedEnergy.ofDifference(
                      context, tuned, tuned, new ProjectedEnergy.Bases(left, first))
                  .total())
          .isZero();
      try (TruncatedSvd.Result none =
          TruncatedSvd.of(context, TruncatedSvd.Request.of(tuned, 1, 1e-9).minus(tuned))) {
        assertThat(none.values()[0]).isZero();
      }
      assertThatThrownBy(() -> PrincipalAngles.of(context, first, left))
          .hasMessage("second is 1 x 2; it must have the shape of first");
    }
  }

  /**
   * Two levels are rotated into each other by a quarter of a right angle. A third one is isolated.
   */
  @Test
  default void perturbedSpectraCross() {
    try (Context context = Context.open(DEVICE, 0);
        NativeBuffer memory = context.allocate(4 * 9)) {
      float[] core = {0, 1, 0, 1, 0, 0, 0, 0, 0.5f};
      for (int i = 0; i < core.length; i++) {
        memory.putFloat(4 * i, core[i]);
      }
      Matrix update = Matrix.of(memory, Dtype.F32, 3, 3);
      SpectrumPerturbation after =
          SpectrumPerturbation.of(context, new double[] {4, 2, 1}, update, List.of(1, 2));
      assertThat(after.values())
          .containsExactly(new double[] {3 + Math.sqrt(2), 3 - Math.sqrt(2), 1.5}, within(1e-6));
      assertThat(after.longAngles().get(0)[0]).isCloseTo(Math.PI / 8, within(1e-14));
      assertThat(after.shortAngles().get(0)[0]).isCloseTo(Math.PI / 8, within(1e-14));
      assertThat(after.longAngles().get(1)).containsExactly(0, 0);
      assertThat(after.total()).isEqualTo(2.25);
      assertThat(after.longEnergy()).containsExactly(1, 2);
      assertThat(after.shortEnergy()).containsExactly(1, 2);
      assertThat(after.bothEnergy()).containsExactly(0, 2);
      assertThat(after.mixing()).isZero();
      assertThat(after.boundaryMixing()).isZero();
      assertThatThrownBy(() -> SpectrumPerturbation.of(context, new double[2], update, List.of(1)))
          .hasMessage("2 singular values and a core of 3 columns");
      memory.putFloat(4, Float.NaN);
      assertThatThrownBy(() -> SpectrumPerturbation.of(context, new double[3], update, List.of(1)))
          .hasMessage("the base's singular values or the core are not finite");
    }
  }

  @Test
  default void projectedVariancesCross() {
    try (Context context = Context.open(DEVICE, 0);
        NativeBuffer memory = context.allocate(8 * 8)) {
      // The matrix is diag(2, 1) and a column of zeros. Entries of magnitude 2 have variance 5, and
      // those of magnitude 1 have variance 3.
      short[] codes = {0x4000, 0, 0, 0, (short) 0xbf80, 0};
      for (int i = 0; i < codes.length; i++) {
        memory.putShort(2 * i, codes[i]);
      }
      double[] table = new double[32768];
      table[0x4000] = 5;
      table[0x3f80] = 3;
      memory.putDoubles(16, new double[] {1, 0, 1, 0, 0});
      Operand matrix = Operand.of(Matrix.of(memory, Dtype.BF16, 2, 3));
      Matrix left = Matrix.of(memory, Dtype.F64, 1, 2).at(16);
      Matrix right = Matrix.of(memory, Dtype.F64, 1, 3).at(32);
      double[] values = {2, 1};
      // There is one other row, without a slope. There are two other columns, with the squared
      // values 1 and 0.
      assertThat(
              ProjectedEnergy.variances(
                  context, matrix, table, new ProjectedEnergy.SingularBases(values, left, right)))
          .containsExactly(new double[] {5, 0, 0, 0, 3 * 0.5, 3 * 0.5, 0, 0, 0}, within(1e-6));
      assertThatThrownBy(
              () ->
                  ProjectedEnergy.variances(
                      context,
                      matrix,
                      new double[3],
                      new ProjectedEnergy.SingularBases(values, left, right)))
          .hasMessage("a table of 3 codes; there are 32768");
    }
  }
}
