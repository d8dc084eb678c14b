package org.threegate.testing;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.threegate.testing.TestDevice.DEVICE;

import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.threegate.buffer.NativeBuffer;
import org.threegate.dtype.Dtype;
import org.threegate.kernel.Context;
import org.threegate.kernel.Control;
import org.threegate.kernel.MagnitudeHistogram;
import org.threegate.kernel.MagnitudeOverlaps;
import org.threegate.kernel.Mask;
import org.threegate.kernel.MaskSelection;
import org.threegate.kernel.MaskSets;
import org.threegate.kernel.Matrix;
import org.threegate.kernel.Operand;
import org.threegate.kernel.TruncatedSvd;

/** Tests the selection of entries, set algebra of masks and magnitude histograms. */
interface MaskContract {
  @Test
  default void masksCross() {
    int rows = 3;
    int columns = 70;
    try (Context context = Context.open(DEVICE, 2);
        NativeBuffer memory = context.allocate(8L * rows * columns);
        Control control = Control.open(context)) {
      for (int i = 0; i < rows * columns; i++) {
        memory.putDouble(8L * i, (i % 2 == 0 ? 1 : -1) * (double) (i + 1));
      }
      Operand matrix = Operand.of(Matrix.of(memory, Dtype.F64, rows, columns));
      Mask low = MaskSelection.smallest(context, matrix, 75, control);
      Mask high = MaskSelection.largest(context, matrix, 136, control);
      assertThat(low.count()).isEqualTo(75);
      assertThat(low.contains(0, 69)).isTrue();
      assertThat(low.contains(1, 4)).isTrue();
      assertThat(low.contains(1, 5)).isFalse();
      assertThat(MaskSets.combine(context, MaskSets.Operation.COMPLEMENT, low, high).count())
          .isZero();
      assertThat(MaskSets.combine(context, MaskSets.Operation.DIFFERENCE, low, high).count())
          .isEqualTo(74);
      assertThat(
              MaskSets.combine(context, MaskSets.Operation.INTERSECTION, low, high).contains(1, 4))
          .isTrue();
      assertThat(
              MaskSets.combine(context, MaskSets.Operation.SYMMETRIC_DIFFERENCE, low, high).count())
          .isEqualTo(209);
      assertThat(MaskSets.combine(context, MaskSets.Operation.UNION, low, high).words())
          .isEqualTo(MaskSets.combine(context, MaskSets.Operation.COMPLEMENT, empty(low)).words());
      MaskSets.Overlaps overlaps = MaskSets.overlaps(context, List.of(low, high, low));
      assertThat(overlaps.pairs()).containsExactly(75, 1, 75, 1, 136, 1, 75, 1, 75);
      assertThat(overlaps.memberships()).containsExactly(0, 135, 74, 1);
      assertThatThrownBy(
              () ->
                  MaskSets.combine(
                      context, MaskSets.Operation.UNION, low, new Mask(1, 1, new long[1])))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessage("1 x 1 entries; this mask has 3 x 70");
      assertThatThrownBy(() -> MaskSets.overlaps(context, List.of()))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessage("no masks");
      try (TruncatedSvd.Result svd =
          TruncatedSvd.of(context, TruncatedSvd.Request.of(matrix, rows, 1e-13))) {
        // With all triplets, the reconstruction is the matrix itself up to rounding.
        Mask principal = MaskSelection.principal(context, svd, 136, control);
        assertThat(principal.words()).isEqualTo(high.words());
      }
      MagnitudeHistogram.Result counts = MagnitudeHistogram.of(context, matrix, low, high);
      assertThat(Arrays.stream(counts.all()).sum()).isEqualTo(rows * columns);
      assertThat(Arrays.stream(counts.first()).sum()).isEqualTo(75);
      assertThat(Arrays.stream(counts.second()).sum()).isEqualTo(136);
      assertThat(Arrays.stream(counts.both()).sum()).isEqualTo(1);
      assertThat(counts.all()[0x3f80]).isEqualTo(1);
      double[] table = Arrays.stream(counts.all()).asDoubleStream().toArray();
      MagnitudeHistogram.Profile profile = MagnitudeHistogram.profile(context, matrix, table);
      double squares = Arrays.stream(table).map(value -> value * value).sum();
      assertThat(Arrays.stream(profile.rows()).sum()).isEqualTo(squares);
      assertThat(Arrays.stream(profile.columns()).sum()).isEqualTo(squares);
      assertThat(profile.rows()).hasSize(rows);
      MagnitudeOverlaps.Result own = MagnitudeOverlaps.of(context, matrix, List.of(low, high));
      int[] codes = own.codes();
      assertThat(codes).isSorted().doesNotHaveDuplicates();
      assertThat(own.all()).containsExactly(at(counts.all(), codes));
      assertThat(own.common(0, 0)).containsExactly(at(counts.first(), codes));
      assertThat(own.common(1, 1)).containsExactly(at(counts.second(), codes));
      assertThat(own.common(1, 0)).containsExactly(at(counts.both(), codes));
      assertThat(Arrays.stream(own.all()).sum()).isEqualTo(rows * columns);
      assertThat(MagnitudeOverlaps.of(context, matrix, List.of()).all()).isEqualTo(own.all());
      assertThatThrownBy(() -> own.common(0, 2)).isInstanceOf(IndexOutOfBoundsException.class);
      double[] values = Arrays.stream(codes).mapToDouble(code -> table[code]).toArray();
      List<MagnitudeHistogram.Profile> profiles =
          MagnitudeHistogram.profiles(
              context, matrix, codes, List.of(new double[codes.length], values));
      assertThat(profiles.get(0).rows()).containsOnly(0).hasSize(rows);
      assertThat(profiles.get(1).rows()).isEqualTo(profile.rows());
      assertThat(profiles.get(1).columns()).isEqualTo(profile.columns());
      assertThatThrownBy(
              () -> MagnitudeHistogram.profiles(context, matrix, codes, List.of(new double[1])))
          .hasMessage("1 numbers for " + codes.length + " codes");
      assertThatThrownBy(() -> MaskSelection.largest(context, matrix, 211, control))
          .hasMessage("options.count is 211; allowed are 0 to 210");
    }
  }

  private static long[] at(long[] counts, int[] codes) {
    return Arrays.stream(codes).mapToLong(code -> counts[code]).toArray();
  }

  private static Mask empty(Mask like) {
    return new Mask(like.rows(), like.columns(), new long[like.words().length]);
  }
}
