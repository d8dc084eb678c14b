package org.threegate.analysis.calibration;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;
import org.threegate.analysis.statistics.Proportion;
import org.threegate.checkpoint.Checkpoint;
import org.threegate.checkpoint.SafetensorsWriter;
import org.threegate.checkpoint.TensorType;
import org.threegate.kernel.Context;
import org.threegate.kernel.Control;
import org.threegate.run.CancelledException;
import org.threegate.run.InvalidInputException;
import org.threegate.run.Progress;
import org.threegate.testing.NativeLeaks;

/**
 * Tests that verdicts are right on updates whose truth is known. {@code
 * -Dthreegate.test.calibration=N} uses larger matrices and N seeds.
 */
@ExtendWith(NativeLeaks.class)
class CalibrationTest {
  private static final int SEEDS = Integer.getInteger("threegate.test.calibration", 0);

  /** Share of false verdicts that the false discovery rate allows. */
  private static final double MOST_FALSE = 0.05;

  /** Kinds that gave false verdicts before null models knew rows, columns and rescalings. */
  private static final Set<String> ONCE_FALSE =
      Set.of(
          "gaussian",
          "signs",
          "t5",
          "t3",
          "rank-1",
          "rank-8",
          "rank-32",
          "magnitude",
          "small-rows",
          "small-columns",
          "decay",
          "row-scale",
          "column-scale",
          "f32-bf16",
          "f32-f16",
          "runs-weak-profile",
          "runs-strong-profile");

  @TempDir Path directory;

  /**
   * Returns a matrix with a gap after a tenth of its directions, and rows and columns that differ.
   */
  static Weights matrix(int rows, int columns, SplittableRandom random) {
    int rank = Math.max(1, Math.min(rows, columns) / 10);
    Weights leading =
        Weights.product(
                Weights.gaussian(rows, rank, random), Weights.gaussian(columns, rank, random))
            .scaledTo(0.02);
    double[] ofRows = new double[rows];
    double[] ofColumns = new double[columns];
    java.util.Arrays.setAll(ofRows, i -> Math.exp(0.25 * Weights.gaussian(random)));
    java.util.Arrays.setAll(ofColumns, i -> Math.exp(0.25 * Weights.gaussian(random)));
    return leading.like(
        (i, j) -> ofRows[i] * ofColumns[j] * (leading.at(i, j) + 0.02 * Weights.gaussian(random)));
  }

  private static byte[] bf16(Weights weights) {
    ByteBuffer bytes =
        ByteBuffer.allocate(2 * weights.entries().length).order(ByteOrder.LITTLE_ENDIAN);
    for (double entry : weights.entries()) {
      int bits = Float.floatToRawIntBits((float) entry);
      bytes.putShort((short) (bits + 0x7fff + (bits >>> 16 & 1) >>> 16));
    }
    return bytes.array();
  }

  private Path base(int layers, Map<String, int[]> shapes) throws IOException {
    SplittableRandom random = new SplittableRandom(1);
    SafetensorsWriter writer = new SafetensorsWriter();
    for (int layer = 0; layer < layers; layer++) {
      for (Map.Entry<String, int[]> entry : shapes.entrySet()) {
        int[] shape = entry.getValue();
        writer.tensor(
            "model.layers." + layer + "." + entry.getKey() + ".weight",
            TensorType.BF16,
            List.of((long) shape[0], (long) shape[1]),
            bf16(matrix(shape[0], shape[1], random)));
      }
    }
    Path path = directory.resolve("model.safetensors");
    writer.write(path);
    return path;
  }

  private static CalibrationOptions options(int layers, int side, int seeds) {
    return new CalibrationOptions(
        layers,
        side,
        seeds,
        CalibrationOptions.DEFAULT.geometry(),
        CalibrationOptions.DEFAULT.smallest());
  }

  private static CalibrationResult calibrate(Path path, CalibrationOptions options, int threads) {
    try (Context context = Context.open(Context.Device.CPU, threads);
        Control control = Control.open(context);
        Checkpoint base = Checkpoint.open(context, path)) {
      return Calibration.of(context, base, name -> true, options, Progress.NONE, control);
    }
  }

  private static Map<String, int[]> shapes() {
    Map<String, int[]> shapes = new LinkedHashMap<>();
    if (SEEDS > 0) {
      shapes.put("self_attn.q_proj", new int[] {1024, 1024});
      shapes.put("mlp.up_proj", new int[] {4096, 1024});
    } else {
      shapes.put("self_attn.q_proj", new int[] {128, 128});
      shapes.put("mlp.up_proj", new int[] {192, 128});
    }
    return shapes;
  }

  @Test
  void verdictsOnKnownUpdatesAreRight() throws IOException {
    Path path = base(3, shapes());
    CalibrationResult result = calibrate(path, options(3, 4096, Math.max(1, SEEDS)), 2);
    System.out.println("calibration: " + result.falseVerdicts() + " " + result.found());
    assertThat(result.layers()).isEqualTo(3);
    assertThat(result.matrices()).isEqualTo(3 * shapes().size());
    assertThat(result.rows().stream().filter(row -> row.truth().isNothing()).count())
        .isGreaterThanOrEqualTo(30);
    Proportion wrong = result.falseVerdicts();
    assertThat(wrong.trials()).isGreaterThan(200);
    assertThat(wrong.value()).as(falseKinds(result)).isLessThanOrEqualTo(MOST_FALSE);
    for (CalibrationResult.Row row : result.rows()) {
      if (ONCE_FALSE.contains(row.update())) {
        assertThat(row.falseVerdicts().count()).as(row.toString()).isZero();
      }
      row.verdicts()
          .forEach(
              (claim, counts) ->
                  assertThat(counts.values().stream().mapToInt(Integer::intValue).sum())
                      .as(claim)
                      .isEqualTo(result.seeds()));
      if (!row.truth().isNothing()) {
        assertThat(row.found().trials())
            .isEqualTo((long) result.seeds() * row.truth().planted().size());
        assertThat(row.found().count()).as(row.toString()).isEqualTo(row.found().trials());
      }
    }
    assertThat(causes(result, "decay")).containsKey("weight-decay");
    assertThat(causes(result, "decay-noise")).containsKey("weight-decay");
    assertThat(causes(result, "row-scale-noise")).containsKey("row-rescaling");
    assertThat(causes(result, "f32-bf16")).containsKey("dtype");
    assertThat(causes(result, "gaussian")).isEmpty();
    long byClaim =
        result.claims().stream().mapToLong(claim -> result.falseVerdicts(claim).trials()).sum();
    assertThat(byClaim).isEqualTo(wrong.trials());
  }

  private static String falseKinds(CalibrationResult result) {
    return result.rows().stream()
        .filter(row -> row.falseVerdicts().count() > 0)
        .toList()
        .toString();
  }

  private static Map<String, Integer> causes(CalibrationResult result, String update) {
    return result.rows().stream()
        .filter(row -> row.update().equals(update))
        .findFirst()
        .orElseThrow()
        .causes();
  }

  @Test
  void theNumberOfThreadsDoesNotChangeTheResult() throws IOException {
    Path path = base(1, Map.of("self_attn.q_proj", new int[] {40, 24}));
    CalibrationResult one = calibrate(path, options(1, 32, 1), 1);
    assertThat(one).isEqualTo(calibrate(path, options(1, 32, 1), 3));
    assertThat(one.matrices()).isEqualTo(1);
  }

  @Test
  void aMatrixWithoutFiniteEntriesIsNamed() throws IOException {
    Weights good = matrix(32, 32, new SplittableRandom(3));
    Path path = directory.resolve("nan.safetensors");
    new SafetensorsWriter()
        .tensor(
            "model.layers.0.self_attn.q_proj.weight",
            TensorType.BF16,
            List.of(32L, 32L),
            bf16(good))
        .tensor(
            "model.layers.0.self_attn.k_proj.weight",
            TensorType.BF16,
            List.of(32L, 32L),
            bf16(good.like((i, j) -> i == 3 && j == 4 ? Double.NaN : good.at(i, j))))
        .tensor(
            "model.layers.0.self_attn.v_proj.weight",
            TensorType.BF16,
            List.of(32L, 32L),
            new byte[2048])
        .write(path);
    CalibrationResult result = calibrate(path, options(1, 32, 1), 2);
    assertThat(result.matrices()).isEqualTo(1);
    assertThat(result.skipped())
        .containsOnlyKeys(
            "model.layers.0.self_attn.k_proj.weight", "model.layers.0.self_attn.v_proj.weight");
  }

  @Test
  void aBaseWithoutMatricesIsRefused() throws IOException {
    Path path = base(1, Map.of("self_attn.q_proj", new int[] {8, 400}));
    assertThatThrownBy(() -> calibrate(path, options(1, 32, 1), 1))
        .isInstanceOf(InvalidInputException.class)
        .hasMessageContaining("model.safetensors")
        .hasMessageContaining("16 x 16");
    assertThatThrownBy(() -> options(0, 32, 1)).isInstanceOf(IllegalArgumentException.class);
    assertThatThrownBy(() -> options(1, 15, 1)).isInstanceOf(IllegalArgumentException.class);
  }

  @Test
  void aCancelledCalibrationEnds() throws IOException {
    Path path = base(1, Map.of("self_attn.q_proj", new int[] {64, 64}));
    try (Context context = Context.open(Context.Device.CPU, 2);
        Control control = Control.open(context);
        Checkpoint base = Checkpoint.open(context, path)) {
      Progress cancelling =
          (what, done, total) -> {
            if (done >= 2) {
              control.cancel();
            }
          };
      assertThatThrownBy(
              () ->
                  Calibration.of(
                      context, base, name -> true, options(1, 64, 1), cancelling, control))
          .isInstanceOfAny(CancelledException.class, org.threegate.kernel.KernelException.class);
    }
  }

  @Test
  void aProportionHasItsExactInterval() {
    // Clopper and Pearson: with no success of n, the upper end is 1 − (α/2)^(1/n).
    Proportion none = new Proportion(0, 20);
    assertThat(none.interval(0.95).low()).isZero();
    assertThat(none.interval(0.95).high())
        .isCloseTo(1 - Math.pow(0.025, 1 / 20.0), org.assertj.core.api.Assertions.within(1e-9));
    assertThat(new Proportion(20, 20).interval(0.95).low())
        .isCloseTo(Math.pow(0.025, 1 / 20.0), org.assertj.core.api.Assertions.within(1e-9));
    assertThat(new Proportion(0, 0).interval(0.95).high()).isEqualTo(1);
    assertThat(new Proportion(0, 0).interval(0.95).low()).isZero();
    assertThat(new Proportion(1, 4).value()).isEqualTo(0.25);
  }
}
