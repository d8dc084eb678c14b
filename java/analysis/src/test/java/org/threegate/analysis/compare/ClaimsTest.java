package org.threegate.analysis.compare;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.OptionalInt;
import java.util.Random;
import java.util.function.IntToDoubleFunction;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.threegate.analysis.diff.TensorDiff;
import org.threegate.analysis.geometry.GeometryMeasurement;
import org.threegate.analysis.geometry.GeometryOptions;
import org.threegate.analysis.geometry.TensorGeometry;
import org.threegate.analysis.nullmodel.NullModel;
import org.threegate.analysis.statistics.Finding;
import org.threegate.analysis.statistics.Totals;
import org.threegate.analysis.statistics.Verdict;
import org.threegate.buffer.NativeBuffer;
import org.threegate.dtype.Dtype;
import org.threegate.kernel.Bf16Diff;
import org.threegate.kernel.Context;
import org.threegate.kernel.Control;
import org.threegate.kernel.Mask;
import org.threegate.kernel.MaskSelection;
import org.threegate.kernel.Matrix;
import org.threegate.kernel.NullUpdate;
import org.threegate.kernel.Operand;
import org.threegate.kernel.TruncatedSvd;
import org.threegate.testing.NativeLeaks;
import org.threegate.testing.Seeds;

/** Tests that null models explain noise and that planted effects are found. */
@ExtendWith(NativeLeaks.class)
class ClaimsTest {
  /** Returns a random bf16 matrix with a few spikes. */
  private static Matrix weights(
      Context context, NativeBuffer memory, int rows, int columns, double spikes, long seed) {
    Control control = Control.open(context);
    try (control;
        NativeBuffer zero = context.allocate(4L * rows * columns)) {
      for (long i = 0; i < (long) rows * columns; i++) {
        zero.putFloat(4 * i, 0);
      }
      Matrix gaussian =
          NullUpdate.gaussian(
              context,
              new NullUpdate.Noise(
                  Operand.of(Matrix.of(zero, Dtype.F32, rows, columns)), 0.05, Dtype.BF16),
              new NullUpdate.Draw(seed, 0),
              control);
      Random random = new Random(seed);
      double[] left = random.doubles(rows, -1, 1).toArray();
      double[] right = random.doubles(columns, -1, 1).toArray();
      try (NativeBuffer entries = gaussian.buffer()) {
        for (int i = 0; i < rows; i++) {
          for (int j = 0; j < columns; j++) {
            long at = (long) i * columns + j;
            double entry = real(entries.getShort(2 * at)) + spikes * left[i] * right[j];
            memory.putShort(2 * at, bf16(entry));
          }
        }
      }
    }
    return Matrix.of(memory, Dtype.BF16, rows, columns);
  }

  private static short bf16(double value) {
    int bits = Float.floatToRawIntBits((float) value);
    return (short) (bits + 0x7fff + (bits >>> 16 & 1) >>> 16);
  }

  private static double real(short code) {
    return Float.intBitsToFloat(code << 16);
  }

  private static Map<String, Finding> judge(
      Context context, Control control, Matrix before, Matrix after, GeometryOptions options) {
    Operand base = Operand.of(before);
    Operand tuned = Operand.of(after);
    Bf16Diff.Result diff = Bf16Diff.compare(context, base, tuned);
    TensorDiff tensor =
        new TensorDiff(
            "w",
            OptionalInt.empty(),
            "other",
            new TensorDiff.Stored(
                "BF16", after.dtype().name(), List.of(before.rows(), before.columns()), false),
            new Totals(
                new Totals.Counts(
                    diff.total(),
                    diff.changed(),
                    diff.changedBits(),
                    diff.changedStored(),
                    diff.hidden(),
                    diff.nonFinite(),
                    diff.signFlips()),
                new Totals.Sums(
                    diff.baseSquares(),
                    diff.deltaSquares(),
                    diff.deltaDotBase(),
                    diff.maxAbsDelta())),
            diff.ulpHistogram(),
            TensorDiff.Places.NONE,
            0);
    TensorGeometry geometry = GeometryMeasurement.of(context, "w", base, tuned, options, control);
    return Claims.judge(List.of(tensor), Map.of("w", geometry)).stream()
        .collect(Collectors.toMap(Finding::id, finding -> finding));
  }

  /**
   * Isotropic noise on a random matrix, stored in bf16, seems to "avoid principal weights". The
   * null models explain all of it. {@code -Dthreegate.test.noise=N} tests N seeds of each shape.
   */
  @ParameterizedTest
  @CsvSource({"128, 128, 40", "1024, 1024, 5", "4096, 1024, 3"})
  void noiseIsExplained(int rows, int columns, int fewest) {
    int seeds = Integer.getInteger("threegate.test.noise", fewest);
    int naive = 0;
    Map<Verdict, Integer> verdicts = new EnumMap<>(Verdict.class);
    List<String> wrong = new ArrayList<>();
    try (Context context = Context.open(Context.Device.CPU, 1);
        Control control = Control.open(context);
        NativeBuffer memory = context.allocate(2L * rows * columns)) {
      for (int seed = 0; seed < seeds; seed++) {
        Matrix before = weights(context, memory, rows, columns, 0, seed);
        Matrix after =
            NullUpdate.gaussian(
                context,
                new NullUpdate.Noise(Operand.of(before), 1e-4, Dtype.BF16),
                new NullUpdate.Draw(1000 + seed, 0),
                control);
        try {
          Map<String, Finding> findings =
              judge(context, control, before, after, GeometryOptions.DEFAULT);
          boolean said = false;
          for (Finding finding : findings.values()) {
            verdicts.merge(finding.verdict(), 1, Integer::sum);
            if (finding.verdict() == Verdict.SUPPORTED
                || finding.verdict() == Verdict.CONTRADICTED) {
              said = true;
            }
          }
          if (said) {
            wrong.add(seed + ": " + findings);
          }
          Finding principal = findings.get("avoids-principal-weights");
          naive +=
              principal.evidence().naive().orElseThrow().effect().interval(0.95).high() < 0 ? 1 : 0;
          assertThat(principal.evidence().means().observed()).isBetween(0.40, 0.47);
        } finally {
          after.buffer().close();
        }
      }
    }
    assertThat(naive).as("without null models each seed would be a finding").isEqualTo(seeds);
    assertThat(wrong)
        .as("false discoveries in %s seeds", seeds)
        .hasSizeLessThanOrEqualTo((int) (0.05 * seeds));
    int explained = verdicts.getOrDefault(Verdict.EXPLAINED_BY_NULL, 0);
    int chance = verdicts.getOrDefault(Verdict.CONSISTENT_WITH_CHANCE, 0);
    assertThat(explained).as("%s", verdicts).isGreaterThanOrEqualTo(seeds);
    assertThat(explained + chance).as("%s", verdicts).isGreaterThan(3 * seeds);
  }

  /** The update changes principal entries half as often as other entries of their magnitude. */
  @Test
  void anUpdateThatAvoidsPrincipalEntriesIsFound() {
    int size = 256;
    Random random = Seeds.random("anUpdateThatAvoidsPrincipalEntriesIsFound");
    try (Context context = Context.open(Context.Device.CPU, 1);
        Control control = Control.open(context);
        NativeBuffer memory = context.allocate(2L * size * size);
        NativeBuffer tuned = context.allocate(2L * size * size)) {
      Matrix before = weights(context, memory, size, size, 0.3, 1);
      try (TruncatedSvd.Result svd =
          TruncatedSvd.of(context, TruncatedSvd.Request.of(Operand.of(before), 26, 1e-6))) {
        Mask principal = MaskSelection.principal(context, svd, (long) size * size / 2, control);
        for (int i = 0; i < size * size; i++) {
          double chance = principal.contains(i / size, i % size) ? 0.1 : 0.2;
          short code = memory.getShort(2L * i);
          // The entry moves by one unit in the last place, up or down.
          boolean moves = random.nextDouble() < chance && (code & 0x7fff) > 0x80;
          tuned.putShort(2L * i, moves ? (short) (code + (random.nextBoolean() ? 1 : -1)) : code);
        }
      }
      Finding finding =
          judge(
                  context,
                  control,
                  before,
                  Matrix.of(tuned, Dtype.BF16, size, size),
                  GeometryOptions.DEFAULT)
              .get("avoids-principal-weights");
      assertThat(finding.verdict()).as(finding.text()).isEqualTo(Verdict.SUPPORTED);
      // Half of the entries change with probability 0.1 and the others with 0.2. A third of the
      // changes is therefore principal, where chance would give a half.
      assertThat(finding.evidence().means().observed()).isCloseTo(1.0 / 3, within(0.02));
      // The odds of a change are 1 : 9 and 1 : 4, so their ratio is 0.44. A score test gives it to
      // first order.
      assertThat(finding.evidence().nulls())
          .hasSize(3)
          .allSatisfy(beyond -> assertThat(beyond.pooled().effect().ratio()).isBetween(0.3, 0.6));
    }
  }

  /** Judges an update that is given in the singular bases of the base. These bases are random. */
  private static Map<String, Finding> judgeUpdate(
      int size, double[] values, IntToDoubleFunction update) {
    return judgeUpdate(size, values, update, List.of(NullModel.values()));
  }

  private static Map<String, Finding> judgeUpdate(
      int size, double[] values, IntToDoubleFunction update, List<NullModel> nulls) {
    double[][] left = orthonormal(size, 5);
    double[][] right = orthonormal(size, 6);
    double[][] before = new double[size][size];
    double[][] after = new double[size][size];
    for (int i = 0; i < size; i++) {
      for (int j = 0; j < size; j++) {
        double change = update.applyAsDouble(i * size + j);
        double entry = i == j ? values[i] : 0;
        for (int k = 0; k < size && (entry != 0 || change != 0); k++) {
          for (int l = 0; l < size; l++) {
            before[k][l] += left[i][k] * entry * right[j][l];
            after[k][l] += left[i][k] * (entry + change) * right[j][l];
          }
        }
      }
    }
    try (Context context = Context.open(Context.Device.CPU, 1);
        Control control = Control.open(context);
        NativeBuffer base = context.allocate(8L * size * size);
        NativeBuffer tuned = context.allocate(8L * size * size)) {
      for (int i = 0; i < size * size; i++) {
        base.putDouble(8L * i, before[i / size][i % size]);
        tuned.putDouble(8L * i, after[i / size][i % size]);
      }
      GeometryOptions options =
          new GeometryOptions(List.of(8), List.of(), List.of(0.5), nulls, 0, 1e-9, 3);
      return judge(
          context,
          control,
          Matrix.of(base, Dtype.F64, size, size),
          Matrix.of(tuned, Dtype.F64, size, size),
          options);
    }
  }

  private static double[][] orthonormal(int size, long seed) {
    Random random = new Random(seed);
    double[][] rows = new double[size][];
    for (int i = 0; i < size; i++) {
      double[] row = new double[size];
      Arrays.setAll(row, k -> random.nextGaussian());
      for (int pass = 0; pass < 2; pass++) {
        for (int j = 0; j < i; j++) {
          double product = 0;
          for (int k = 0; k < size; k++) {
            product += row[k] * rows[j][k];
          }
          for (int k = 0; k < size; k++) {
            row[k] -= product * rows[j][k];
          }
        }
      }
      double norm = Math.sqrt(Arrays.stream(row).map(value -> value * value).sum());
      rows[i] = Arrays.stream(row).map(value -> value / norm).toArray();
    }
    return rows;
  }

  /** Returns eight large singular values above a bulk. */
  private static double[] values(int size) {
    double[] values = new double[size];
    for (int i = 0; i < size; i++) {
      values[i] = i < 8 ? 20 - i : 1 + (size - i) / (double) size;
    }
    return values;
  }

  @Test
  void anUpdateOutsideTheLeadingSubspacesIsFound() {
    int size = 96;
    Random random = Seeds.random("anUpdateOutsideTheLeadingSubspacesIsFound");
    Map<String, Finding> findings =
        judgeUpdate(
            size,
            values(size),
            i -> i / size < 8 || i % size < 8 ? 0 : 1e-3 * random.nextGaussian());
    Finding energy = findings.get("avoids-principal-directions");
    assertThat(energy.verdict()).as(energy.text()).isEqualTo(Verdict.SUPPORTED);
    assertThat(energy.evidence().means().observed()).isLessThan(1e-9);
    assertThat(findings.get("preserves-subspaces").verdict()).isEqualTo(Verdict.SUPPORTED);
  }

  /** The same update, without one of the null models that the claims need. */
  @Test
  void aMissingNullModelWithholdsTheVerdict() {
    int size = 96;
    Random random = Seeds.random("aMissingNullModelWithholdsTheVerdict");
    Map<String, Finding> findings =
        judgeUpdate(
            size,
            values(size),
            i -> i / size < 8 || i % size < 8 ? 0 : 1e-3 * random.nextGaussian(),
            List.of(NullModel.NORM_MATCHED, NullModel.SPECTRUM_PRESERVING, NullModel.SIGN_FLIPPED));
    for (String claim :
        List.of("avoids-principal-directions", "preserves-spectrum", "preserves-subspaces")) {
      Finding finding = findings.get(claim);
      assertThat(finding.verdict())
          .as(finding.text())
          .isNotIn(Verdict.SUPPORTED, Verdict.CONTRADICTED);
      assertThat(finding.text()).contains("that were not drawn: permuted-update");
    }
    // The energy under random signs has a closed form, and needs no draws.
    Map<String, Finding> closed =
        judgeUpdate(
            size,
            values(size),
            i -> i / size < 8 || i % size < 8 ? 0 : 1e-3 * random.nextGaussian(),
            List.of(
                NullModel.NORM_MATCHED, NullModel.SPECTRUM_PRESERVING, NullModel.PERMUTED_UPDATE));
    assertThat(closed.get("avoids-principal-directions").verdict()).isEqualTo(Verdict.SUPPORTED);
    assertThat(closed.get("preserves-subspaces").verdict()).isEqualTo(Verdict.UNDETERMINED);
  }

  /** The update increases each of the eight largest singular values by 0.001. */
  @Test
  void anUpdateInsideTheLeadingSubspaceContradicts() {
    int size = 96;
    Map<String, Finding> findings =
        judgeUpdate(size, values(size), i -> i / size < 8 && i / size == i % size ? 1e-3 : 0);
    Finding energy = findings.get("avoids-principal-directions");
    assertThat(energy.verdict()).as(energy.text()).isEqualTo(Verdict.CONTRADICTED);
    // The base has nearly all of its energy there, too, so a rescaling explains most of the update.
    assertThat(energy.evidence().means().observed()).isBetween(0.1, 0.5);
    assertThat(energy.evidence().means().nullMean()).isLessThan(0.05);
    assertThat(energy.text()).contains("judged on what rescalings leave");
    Finding drift = findings.get("preserves-spectrum");
    assertThat(drift.verdict()).as(drift.text()).isEqualTo(Verdict.CONTRADICTED);
  }

  /**
   * The update rotates left directions 0 and 40 by 0.01, which is far more than chance would give.
   */
  @Test
  void aKnownRotationIsFoundWithItsAngle() {
    int size = 96;
    double angle = 0.01;
    double[] values = values(size);
    Map<String, Finding> findings =
        judgeUpdate(
            size,
            values,
            i -> {
              int row = i / size;
              int column = i % size;
              boolean pair = (row == 0 || row == 40) && (column == 0 || column == 40);
              if (!pair) {
                return 0;
              }
              double turned =
                  row == column
                      ? Math.cos(angle) * values[column]
                      : (row == 40 ? 1 : -1) * Math.sin(angle) * values[column];
              return turned - (row == column ? values[column] : 0);
            });
    Finding angles = findings.get("preserves-subspaces");
    assertThat(angles.verdict()).as(angles.text()).isEqualTo(Verdict.CONTRADICTED);
    // A small part of the rotation looks like a rescaling, which is taken out.
    assertThat(angles.evidence().means().observed()).isBetween(0.8 * angle, angle);
  }
}
