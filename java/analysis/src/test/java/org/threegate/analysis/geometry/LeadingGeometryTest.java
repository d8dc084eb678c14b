package org.threegate.analysis.geometry;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import java.util.List;
import java.util.Optional;
import java.util.Random;
import org.assertj.core.data.Offset;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.threegate.analysis.nullmodel.NullDraws;
import org.threegate.analysis.nullmodel.NullModel;
import org.threegate.analysis.statistics.NullEstimate;
import org.threegate.buffer.NativeBuffer;
import org.threegate.dtype.Dtype;
import org.threegate.kernel.Context;
import org.threegate.kernel.Control;
import org.threegate.kernel.Matrix;
import org.threegate.kernel.Operand;
import org.threegate.kernel.TruncatedSvd;
import org.threegate.testing.NativeLeaks;
import org.threegate.testing.Seeds;

/** The geometry from leading triplets alone, which matrices with a long short side have. */
@ExtendWith(NativeLeaks.class)
@Tag("binding")
class LeadingGeometryTest {
  private static final int ROWS = 300;
  private static final int COLUMNS = 280;
  private static final int RANK = 6;
  private static final double TOLERANCE = 1e-10;

  /** The spacing of the leading values is above 1e-3 of σ_1, so that angles have this error. */
  private static final Offset<Double> ANGLE = within(1e-6);

  private static final GeometryOptions OPTIONS =
      new GeometryOptions(
          List.of(RANK), List.of(), List.of(0.1), List.of(NullModel.values()), 8, TOLERANCE, 0);

  private static void fill(NativeBuffer entries) {
    Random random = Seeds.random("agreesWithTheWholeGeometry");
    double[][] spikes = new double[2][RANK * (ROWS + COLUMNS)];
    for (double[] spike : spikes) {
      for (int i = 0; i < spike.length; i++) {
        spike[i] = random.nextGaussian();
      }
    }
    for (int i = 0; i < ROWS * COLUMNS; i++) {
      double entry = 0.1 * random.nextGaussian();
      for (int k = 0; k < RANK; k++) {
        int at = k * (ROWS + COLUMNS);
        entry += 0.1 * (k + 2) * spikes[0][at + i / COLUMNS] * spikes[0][at + ROWS + i % COLUMNS];
      }
      entries.putFloat(4L * i, (float) entry);
      entries.putFloat(4L * (ROWS * COLUMNS + i), (float) (entry + 0.003 * random.nextGaussian()));
    }
  }

  @Test
  void agreesWithTheWholeGeometry() {
    try (Context context = Context.open();
        Control control = Control.open(context);
        NativeBuffer entries = context.allocate(8L * ROWS * COLUMNS)) {
      fill(entries);
      Matrix matrix = Matrix.of(entries, Dtype.F32, ROWS, COLUMNS);
      Operand base = Operand.of(matrix);
      Operand tuned = Operand.of(matrix.at(4L * ROWS * COLUMNS));
      TensorGeometry whole =
          GeometryMeasurement.of(context, "w", base, tuned, OPTIONS, control, Optional.empty());
      TensorGeometry leading;
      try (TruncatedSvd.Result known =
          Geometry.leading(
              context, base, GeometryMeasurement.triplets(COLUMNS, OPTIONS), TOLERANCE, control)) {
        leading =
            GeometryMeasurement.of(context, "w", base, tuned, OPTIONS, control, Optional.of(known));
      }
      assertThat(whole.wholeSpectrumOmitted()).isEmpty();
      assertThat(leading.wholeSpectrumOmitted())
          .hasValueSatisfying(
              reason -> assertThat(reason).startsWith("its short side is longer than 16384"));
      assertThat(leading.masks()).usingRecursiveComparison().isEqualTo(whole.masks());
      SpectrumMeasure expected = whole.spectra().get(0);
      SpectrumMeasure actual = leading.spectra().get(0);
      agree(expected.geometry(), actual.geometry());
      assertThat(actual.nulls())
          .extracting(NullDraws::model)
          .containsExactly(
              NullModel.NORM_MATCHED, NullModel.PERMUTED_UPDATE, NullModel.SIGN_FLIPPED);
      for (NullDraws draws : actual.nulls()) {
        NullDraws others = expected.draws(draws.model()).orElseThrow();
        assertThat(draws.nss()).containsOnly(Double.NaN);
        agree(others.estimate(others.angleU()), draws.estimate(draws.angleU()));
        agree(others.estimate(others.leftEnergy()), draws.estimate(draws.leftEnergy()));
      }
    }
  }

  private static void agree(Geometry expected, Geometry actual) {
    assertThat(actual.isLeading()).isTrue();
    assertThat(actual.nss()).isNaN();
    assertThat(actual.rSpec()).isNaN();
    assertThat(actual.effectiveRank()).isNaN();
    assertThat(actual.converged()).isTrue();
    assertThat(actual.angleU()).containsExactly(expected.angleU(), ANGLE);
    assertThat(actual.angleV()).containsExactly(expected.angleV(), ANGLE);
    assertThat(actual.gap()).isCloseTo(expected.gap(), ANGLE);
    assertThat(actual.wedinGap()).isCloseTo(expected.wedinGap(), ANGLE);
    assertThat(actual.kyFanTuned()).isCloseTo(expected.kyFanTuned(), ANGLE);
    assertThat(actual.deltaSpectralNorm()).isCloseTo(expected.deltaSpectralNorm(), ANGLE);
    assertThat(actual.stableRank()).isCloseTo(expected.stableRank(), within(1e-4));
    assertThat(actual.principalEnergy()).isCloseTo(expected.principalEnergy(), ANGLE);
  }

  /** Means of independent draws differ by a few of their standard errors. */
  private static void agree(NullEstimate expected, NullEstimate actual) {
    double error = Math.hypot(expected.sd(), actual.sd()) / Math.sqrt(actual.draws());
    assertThat(actual.mean()).isCloseTo(expected.mean(), within(6 * error));
  }
}
