package org.threegate.analysis.patch;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Path;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;
import org.threegate.checkpoint.Checkpoint;
import org.threegate.checkpoint.SafetensorsWriter;
import org.threegate.checkpoint.TensorType;
import org.threegate.kernel.Context;
import org.threegate.patch.PatchCreator;
import org.threegate.patch.PatchFormat;
import org.threegate.patch.PatchOptions;
import org.threegate.patch.WeightPatch;
import org.threegate.run.Progress;
import org.threegate.testing.NativeLeaks;
import org.threegate.testing.Seeds;

/** Tests that the measures of a patch are those of the step that it stores. */
@ExtendWith(NativeLeaks.class)
class PatchGeometryTest {
  private static final int ROWS = 60;
  private static final int COLUMNS = 90;

  @TempDir Path directory;

  private static void write(Path path, TensorType type, List<Long> shape, byte[] weights)
      throws IOException {
    new SafetensorsWriter().tensor("w", type, shape, weights).write(path);
  }

  private PatchGeometry measure(
      Context context,
      PatchFormat format,
      TensorType type,
      List<Long> shape,
      byte[] from,
      byte[] to)
      throws IOException {
    Path base = directory.resolve("base-" + format.label());
    Path tuned = directory.resolve("tuned-" + format.label());
    write(base, type, shape, from);
    write(tuned, type, shape, to);
    Path out = directory.resolve("patch-" + format.label());
    try (Checkpoint before = Checkpoint.open(context, base);
        Checkpoint after = Checkpoint.open(context, tuned)) {
      new PatchCreator(context, PatchOptions.of(format)).create(before, after, out, Progress.NONE);
      try (WeightPatch patch = WeightPatch.open(context, out)) {
        return PatchGeometry.of(patch, before.tensors().get("w"), 1);
      }
    }
  }

  private static byte[] floats(float[] numbers) {
    ByteBuffer bytes = ByteBuffer.allocate(4 * numbers.length).order(ByteOrder.LITTLE_ENDIAN);
    for (float number : numbers) {
      bytes.putFloat(number);
    }
    return bytes.array();
  }

  private static final List<Long> SHAPE = List.of((long) ROWS, (long) COLUMNS);

  /** Measures a step with known singular values: 3 and 2 along two pairs of sparse directions. */
  @Test
  void aStepIsMeasuredFromWhatChanges() throws IOException {
    Random random = Seeds.random("aStepIsMeasuredFromWhatChanges");
    float[] before = new float[ROWS * COLUMNS];
    for (int i = 0; i < before.length; i++) {
      before[i] = random.nextInt(1 << 10); // small integers, so that steps are exact
    }
    float[] after = before.clone();
    long changed = 0;
    for (int row = 0; row < 32; row++) {
      for (int column = 0; column < 32; column++) {
        // There are two 16 x 16 blocks of equal numbers. Each has rank one and norm 16 |entry|.
        boolean first = row < 16 && column < 16;
        boolean second = row >= 16 && column >= 16;
        if (first || second) {
          after[row * COLUMNS + column] += first ? 3f / 16 : 2f / 16;
          changed++;
        }
      }
    }
    try (Context context = Context.open()) {
      for (PatchFormat format : PatchFormat.values()) {
        PatchGeometry geometry =
            measure(context, format, TensorType.F32, SHAPE, floats(before), floats(after));
        assertThat(geometry.changed()).isEqualTo(changed);
        assertThat(geometry.elements()).isEqualTo((long) ROWS * COLUMNS);
        assertThat(geometry.notFinite()).isZero();
        // 32 rows have 16 changes each, and 28 rows have none.
        assertThat(geometry.rowDispersion()).isGreaterThan(30);
        PatchGeometry.Size size = geometry.size().orElseThrow();
        assertThat(size.frobenius()).isCloseTo(Math.sqrt(13), within(1e-12));
        PatchGeometry.Spectrum spectrum = size.spectrum().orElseThrow();
        assertThat(spectrum.norm()).isCloseTo(3, within(spectrum.normError() + 1e-9));
        assertThat(spectrum.normError()).isLessThan(0.02);
        assertThat(spectrum.stableRank()).isCloseTo(13.0 / 9, within(0.02));
        // With random signs the norm is far smaller: about |entry| (√16 + √16).
        assertThat(spectrum.randomSigns().mean()).isBetween(1.0, 2.0);
        assertThat(spectrum.randomSigns().pValue(spectrum.norm())).isLessThan(0.01);
      }
    }
  }

  /** The null models match a step with random places and signs. */
  @Test
  void aStepWithoutStructureIsTheNullModels() throws IOException {
    Random random = Seeds.random("aStepWithoutStructureIsTheNullModels");
    double rows = 0;
    double columns = 0;
    double squares = 0;
    int trials = 40;
    int extreme = 0;
    try (Context context = Context.open()) {
      for (int trial = 0; trial < trials; trial++) {
        float[] before = new float[ROWS * COLUMNS];
        float[] after = before.clone();
        for (int i = 0; i < before.length; i++) {
          if (random.nextDouble() < 0.2) {
            after[i] = random.nextBoolean() ? 1 : -1;
          }
        }
        PatchGeometry geometry =
            measure(
                context, PatchFormat.SPARSE, TensorType.F32, SHAPE, floats(before), floats(after));
        rows += geometry.rowDispersion();
        columns += geometry.columnDispersion();
        squares += Math.pow(geometry.rowDispersion(), 2);
        PatchGeometry.Spectrum spectrum =
            geometry.size().flatMap(PatchGeometry.Size::spectrum).orElseThrow();
        extreme += spectrum.randomSigns().pValue(spectrum.norm()) < 0.05 ? 1 : 0;
      }
    }
    // Bounds for the mean of 40 standard normal numbers and for the mean of their squares.
    assertThat(rows / trials).isBetween(-0.7, 0.7);
    assertThat(columns / trials).isBetween(-0.7, 0.7);
    assertThat(squares / trials).isBetween(0.3, 2.2);
    // Two of 40 are expected. Ten or more occur once in 10^4 runs.
    assertThat(extreme).isLessThan(10);
  }

  @Test
  void whatIsNoNumberIsCounted() throws IOException {
    float[] before = new float[ROWS * COLUMNS];
    float[] after = before.clone();
    after[5] = Float.NaN;
    after[6] = 2;
    after[7] = -0f;
    try (Context context = Context.open()) {
      PatchGeometry geometry =
          measure(
              context, PatchFormat.PLANAR, TensorType.F32, SHAPE, floats(before), floats(after));
      assertThat(geometry.changed()).isEqualTo(3);
      assertThat(geometry.notFinite()).isEqualTo(1);
      assertThat(geometry.size().orElseThrow().frobenius()).isEqualTo(2);
      // Measures a vector of a type without numbers.
      byte[] bytes = new byte[12];
      byte[] other = bytes.clone();
      other[3] = 1;
      PatchGeometry of =
          measure(context, PatchFormat.SPARSE, TensorType.BOOL, List.of(12L), bytes, other);
      assertThat(of.changed()).isEqualTo(1);
      assertThat(of.size()).isEmpty();
      PatchGeometry vector =
          measure(
              context, PatchFormat.DISK_DELTA_OVERWRITE, TensorType.F32, List.of(3L), bytes, other);
      assertThat(vector.size().orElseThrow().spectrum()).isEmpty();
      try (Checkpoint model = Checkpoint.open(context, directory.resolve("base-planar"));
          WeightPatch patch = WeightPatch.open(context, directory.resolve("patch-sparse"))) {
        // The patch is for a tensor of another shape.
        assertThatThrownBy(() -> PatchGeometry.of(patch, model.tensors().get("w"), 1))
            .hasMessageContaining("patch-sparse");
      }
    }
  }
}
