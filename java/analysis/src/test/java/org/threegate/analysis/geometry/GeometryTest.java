package org.threegate.analysis.geometry;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.util.Arrays;
import java.util.Random;
import org.assertj.core.data.Offset;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.threegate.analysis.statistics.Spectra;
import org.threegate.buffer.NativeBuffer;
import org.threegate.checkpoint.Checkpoint;
import org.threegate.dtype.Dtype;
import org.threegate.kernel.Bf16Diff;
import org.threegate.kernel.Context;
import org.threegate.kernel.Control;
import org.threegate.kernel.Mask;
import org.threegate.kernel.MaskSelection;
import org.threegate.kernel.MaskSets;
import org.threegate.kernel.Matrix;
import org.threegate.kernel.Operand;
import org.threegate.kernel.TruncatedSvd;
import org.threegate.testing.NativeLeaks;
import org.threegate.testing.Seeds;
import org.threegate.testing.SharedData;

@ExtendWith(NativeLeaks.class)
@Tag("binding")
class GeometryTest {
  private static final double TOLERANCE = 1e-10;

  private static Offset<Double> relative(double value, double tolerance) {
    return within(tolerance * Math.abs(value) + 1e-300);
  }

  /**
   * Compares with float64 values from LAPACK. The gaps of the matrices are about 1e-3 of σ_1.
   * Vectors with residuals of 1e-15, the rounding error, therefore give angles and energies with
   * relative errors of about 1e-9 or less.
   */
  @ParameterizedTest
  @ValueSource(strings = {"rlvr-add-seed1", "rlvr-add-seed1-float32", "sft-scratchpad-lr1e-4"})
  void realCheckpointsAgreeWithTheReference(String run) throws IOException {
    JsonNode reference =
        new ObjectMapper().readTree(SharedData.require("reference.json").toFile()).path(run);
    assumeTrue(reference.isObject(), "no reference for " + run);
    int compared = 0;
    try (Context context = Context.open();
        Control control = Control.open(context);
        Checkpoint base = Checkpoint.open(context, SharedData.require("base"));
        Checkpoint tuned = Checkpoint.open(context, SharedData.require(run))) {
      for (var entry : reference.properties()) {
        JsonNode expected = entry.getValue().path("spectrum");
        if (!expected.isObject()) {
          continue;
        }
        Operand before = Operand.of(base.tensors().get(entry.getKey()).matrix());
        Operand after = Operand.of(tuned.tensors().get(entry.getKey()).matrix());
        int rank = entry.getValue().path("k").asInt();
        Geometry actual = Geometry.of(context, before, after, rank, TOLERANCE, control);
        assertThat(actual.converged()).as(entry.getKey()).isTrue();
        agree(expected, "nss", actual.nss(), 1e-8);
        agree(expected, "gap", actual.gap(), 1e-9);
        agree(expected, "deltaSpectralNorm", actual.deltaSpectralNorm(), 1e-9);
        agree(expected, "kyFanBase", actual.kyFanBase(), 1e-11);
        agree(expected, "kyFanTuned", actual.kyFanTuned(), 1e-11);
        agree(expected, "stableRank", Spectra.stableRank(actual.update()), 1e-9);
        agree(expected, "effectiveRank", Spectra.effectiveRank(actual.update()), 1e-8);
        agree(expected, "principalEnergy", actual.principalEnergy(), 1e-8);
        agree(expected, "angleUMax", Geometry.max(actual.angleU()), 1e-7);
        agree(expected, "angleUMean", Geometry.mean(actual.angleU()), 1e-7);
        agree(expected, "angleVMax", Geometry.max(actual.angleV()), 1e-7);
        agree(expected, "angleVMean", Geometry.mean(actual.angleV()), 1e-7);
        for (int i = 0; i < rank; i++) {
          double sigma = expected.path("sigmaTuned").get(i).asDouble();
          assertThat(actual.tuned()[i]).isCloseTo(sigma, relative(sigma, 1e-11));
        }
        compared++;
      }
    }
    assertThat(compared).isGreaterThan(20);
  }

  /**
   * Selections are exact. Overlaps must therefore agree to the last entry, unless two scores of the
   * reconstruction are equal up to rounding.
   */
  @ParameterizedTest
  @ValueSource(strings = {"rlvr-add-seed1", "sft-scratchpad-lr1e-4"})
  void masksOfRealCheckpointsAgreeWithTheReference(String run) throws IOException {
    JsonNode reference =
        new ObjectMapper().readTree(SharedData.require("reference.json").toFile()).path(run);
    assumeTrue(reference.isObject(), "no reference for " + run);
    try (Context context = Context.open();
        Control control = Control.open(context);
        Checkpoint base = Checkpoint.open(context, SharedData.require("base"));
        Checkpoint tuned = Checkpoint.open(context, SharedData.require(run))) {
      for (var entry : reference.properties()) {
        JsonNode expected = entry.getValue().path("masks");
        if (!expected.isObject()) {
          continue;
        }
        Operand before = Operand.of(base.tensors().get(entry.getKey()).matrix());
        Operand after = Operand.of(tuned.tensors().get(entry.getKey()).matrix());
        Bf16Diff.Result diff =
            Bf16Diff.compare(
                context, new Bf16Diff.Pair(before, after, Bf16Diff.Profiles.MASK), control);
        Mask update = diff.mask().orElseThrow();
        long count = (before.rows() * before.columns() + 1) / 2;
        TruncatedSvd.Request request =
            TruncatedSvd.Request.of(before, entry.getValue().path("k").asInt(), TOLERANCE);
        try (TruncatedSvd.Result svd = TruncatedSvd.of(context, request)) {
          Mask principal = MaskSelection.principal(context, svd, count, control);
          Mask low = MaskSelection.smallest(context, before, count, control);
          assertThat(principal.count()).isEqualTo(count);
          assertThat(low.count()).isEqualTo(count);
          agree(expected, "princ", Overlap.of(context, before, update, principal));
          agree(expected, "low", Overlap.of(context, before, update, low));
          agree(
              expected,
              "princNotLow",
              Overlap.of(
                  context,
                  before,
                  update,
                  MaskSets.combine(context, MaskSets.Operation.DIFFERENCE, principal, low)));
        }
      }
    }
  }

  private static short bf16(double value) {
    int bits = Float.floatToRawIntBits((float) value);
    return (short) (bits + 0x7fff + (bits >>> 16 & 1) >>> 16);
  }

  /**
   * Noise on a random matrix, stored in bf16, reproduces the published figures: the update avoids
   * principal entries and prefers small ones. Magnitude explains all of it: z is standard normal
   * over seeds, within five standard errors.
   */
  @Test
  void noiseIsExplainedByMagnitude() {
    Random random = Seeds.random("noiseIsExplainedByMagnitude");
    int size = 128;
    int seeds = 40;
    double[] principalZ = new double[seeds];
    double[] lowZ = new double[seeds];
    double overlaps = 0;
    try (Context context = Context.open(Context.Device.CPU, 1);
        Control control = Control.open(context);
        NativeBuffer before = context.allocate(2L * size * size);
        NativeBuffer after = context.allocate(2L * size * size)) {
      for (int seed = 0; seed < seeds; seed++) {
        for (int i = 0; i < size * size; i++) {
          short weight = bf16(0.05 * random.nextGaussian());
          before.putShort(2L * i, weight);
          after.putShort(
              2L * i, bf16(Float.intBitsToFloat(weight << 16) + 1e-4 * random.nextGaussian()));
        }
        Operand base = Operand.of(Matrix.of(before, Dtype.BF16, size, size));
        Operand tuned = Operand.of(Matrix.of(after, Dtype.BF16, size, size));
        Bf16Diff.Result diff =
            Bf16Diff.compare(
                context, new Bf16Diff.Pair(base, tuned, Bf16Diff.Profiles.MASK), control);
        Mask update = diff.mask().orElseThrow();
        long half = (long) size * size / 2;
        try (TruncatedSvd.Result svd =
            TruncatedSvd.of(context, TruncatedSvd.Request.of(base, 13, TOLERANCE))) {
          Overlap principal =
              Overlap.of(
                  context, base, update, MaskSelection.principal(context, svd, half, control));
          Overlap low =
              Overlap.of(
                  context, base, update, MaskSelection.smallest(context, base, half, control));
          overlaps += principal.overlap() / seeds;
          assertThat(low.overlap()).isGreaterThan(0.75);
          principalZ[seed] = principal.magnitudeZ();
          lowZ[seed] = low.magnitudeZ();
        }
      }
    }
    assertThat(overlaps).as("overlap that looks like avoidance").isBetween(0.42, 0.46);
    for (double[] z : new double[][] {principalZ, lowZ}) {
      double mean = Arrays.stream(z).average().orElseThrow();
      double squares = Arrays.stream(z).map(value -> value * value).average().orElseThrow();
      assertThat(mean).isCloseTo(0, within(5 / Math.sqrt(seeds)));
      assertThat(squares).isBetween(0.0, 1 + 5 * Math.sqrt(2.0 / seeds));
    }
  }

  private static void agree(JsonNode expected, String name, Overlap actual) {
    double tolerance = 1e-12;
    assertThat(actual.overlap())
        .as(name)
        .isCloseTo(expected.path(name).asDouble(), within(tolerance));
    assertThat(actual.density())
        .isCloseTo(expected.path(name + "Density").asDouble(), within(tolerance));
    JsonNode matched = expected.path(name + "Matched");
    assertThat(actual.magnitudeBaseline())
        .as(name)
        .isCloseTo(matched.get(0).asDouble(), within(tolerance));
    assertThat(actual.magnitudeZ()).as(name).isCloseTo(matched.get(1).asDouble(), within(1e-9));
  }

  private static void agree(JsonNode expected, String name, double actual, double tolerance) {
    double value = expected.path(name).asDouble(Double.NaN);
    assertThat(actual).as(name).isCloseTo(value, relative(value, tolerance));
  }

  private static void fill(NativeBuffer buffer, double[] values) {
    for (int i = 0; i < values.length; i++) {
      buffer.putDouble(8L * i, values[i]);
    }
  }

  /** Checks the bounds that hold for every matrix: Weyl, Mirsky, Ky Fan, Wedin. */
  @Test
  void boundsHoldOnEveryMatrix() {
    Random random = Seeds.random("boundsHoldOnEveryMatrix");
    try (Context context = Context.open(Context.Device.CPU, 1);
        Control control = Control.open(context)) {
      for (int round = 0; round < 3000; round++) {
        int rows = 2 + random.nextInt(20);
        int columns = 2 + random.nextInt(20);
        int shorter = Math.min(rows, columns);
        int rank = 1 + random.nextInt(shorter);
        double size = Math.pow(10, -random.nextInt(8));
        double[] base = random.doubles((long) rows * columns, -1, 1).toArray();
        double[] tuned =
            Arrays.stream(base).map(value -> value + size * random.nextGaussian()).toArray();
        try (NativeBuffer before = context.allocate(8L * base.length);
            NativeBuffer after = context.allocate(8L * base.length)) {
          fill(before, base);
          fill(after, tuned);
          Geometry geometry =
              Geometry.of(
                  context,
                  Operand.of(Matrix.of(before, Dtype.F64, rows, columns)),
                  Operand.of(Matrix.of(after, Dtype.F64, rows, columns)),
                  rank,
                  1e-12,
                  control);
          double rounding = 1e-13 * geometry.base()[0];
          double norm = geometry.deltaSpectralNorm();
          for (int i = 0; i < shorter; i++) {
            assertThat(Math.abs(geometry.tuned()[i] - geometry.base()[i]))
                .isLessThanOrEqualTo(norm + rounding);
          }
          assertThat(Spectra.distance(geometry.base(), geometry.tuned()))
              .isLessThanOrEqualTo(Spectra.norm(geometry.update()) + rounding);
          assertThat(Math.abs(geometry.kyFanTuned() - geometry.kyFanBase()))
              .isLessThanOrEqualTo(rank * norm + rank * rounding);
          if (geometry.wedinGap() > 0 && rank < shorter) {
            double bound = (norm + rounding) / geometry.wedinGap();
            assertThat(Math.sin(Geometry.max(geometry.angleU()))).isLessThan(bound + 1e-12);
            assertThat(Math.sin(Geometry.max(geometry.angleV()))).isLessThan(bound + 1e-12);
          }
          assertThat(geometry.energy().both())
              .isLessThanOrEqualTo(
                  Math.min(geometry.energy().left(), geometry.energy().right()) * (1 + 1e-12));
          assertThat(geometry.energy().total())
              .isCloseTo(
                  Math.pow(Spectra.norm(geometry.update()), 2),
                  relative(geometry.energy().total(), 1e-9));
        }
      }
    }
  }

  /** Rotates two singular directions by a small angle, and expects to measure that angle. */
  @Test
  void aRotationByAKnownAngleIsFound() {
    double angle = 1e-8;
    int size = 6;
    try (Context context = Context.open(Context.Device.CPU, 1);
        Control control = Control.open(context);
        NativeBuffer before = context.allocate(8L * size * size);
        NativeBuffer after = context.allocate(8L * size * size)) {
      // The base is diag(6, 5, 4, ...). Rows 2 and 3 (σ = 5 and 4) are rotated into each other.
      double[] base = new double[size * size];
      double[] tuned = new double[size * size];
      for (int i = 0; i < size; i++) {
        base[i * size + i] = size - i;
        tuned[i * size + i] = size - i;
      }
      tuned[size + 1] = 5 * Math.cos(angle);
      tuned[size + 2] = -4 * Math.sin(angle);
      tuned[2 * size + 1] = 5 * Math.sin(angle);
      tuned[2 * size + 2] = 4 * Math.cos(angle);
      fill(before, base);
      fill(after, tuned);
      Geometry geometry =
          Geometry.of(
              context,
              Operand.of(Matrix.of(before, Dtype.F64, size, size)),
              Operand.of(Matrix.of(after, Dtype.F64, size, size)),
              2,
              1e-13,
              control);
      assertThat(Geometry.max(geometry.angleU())).isCloseTo(angle, within(1e-10 * 0.01 + 1e-14));
      assertThat(Geometry.max(geometry.angleV())).isLessThan(1e-14);
      assertThat(geometry.gap()).isCloseTo(1, within(1e-13));
      assertThat(geometry.isGapLimited()).isFalse();
      assertThat(geometry.nss()).isLessThan(1e-15);
      assertThat(geometry.converged()).isTrue();
    }
  }
}
