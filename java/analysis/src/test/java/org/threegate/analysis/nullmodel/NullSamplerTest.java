package org.threegate.analysis.nullmodel;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.function.IntFunction;
import java.util.function.ToDoubleFunction;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.threegate.analysis.geometry.Geometry;
import org.threegate.analysis.geometry.GeometryMeasurement;
import org.threegate.analysis.geometry.GeometryOptions;
import org.threegate.analysis.geometry.SpectrumMeasure;
import org.threegate.analysis.statistics.NullEstimate;
import org.threegate.analysis.statistics.RoundTrip;
import org.threegate.analysis.statistics.Spectra;
import org.threegate.buffer.NativeBuffer;
import org.threegate.dtype.Dtype;
import org.threegate.kernel.Bf16Diff;
import org.threegate.kernel.Context;
import org.threegate.kernel.Control;
import org.threegate.kernel.MagnitudeHistogram;
import org.threegate.kernel.Mask;
import org.threegate.kernel.Matrix;
import org.threegate.kernel.NullUpdate;
import org.threegate.kernel.Operand;
import org.threegate.kernel.SpectrumPerturbation;
import org.threegate.testing.NativeLeaks;
import org.threegate.testing.Seeds;

/**
 * Tests that two ways to draw updates agree in distribution. One draws in the singular bases of W0
 * and measures by perturbation theory. The other draws entry by entry and measures by
 * decompositions.
 */
@ExtendWith(NativeLeaks.class)
class NullSamplerTest {
  private static final int DRAWS = 100;
  private static final int RANK = 20;

  private static short bf16(double value) {
    int bits = Float.floatToRawIntBits((float) value);
    return (short) (bits + 0x7fff + (bits >>> 16 & 1) >>> 16);
  }

  /**
   * Writes a base and a tuned matrix. Rows and columns have very different scales, a rank-one term
   * adds an outlying direction, and the update is sparse.
   */
  private static void fill(NativeBuffer memory, int rows, int columns, double step, Random random) {
    double[][] outer = new double[2][Math.max(rows, columns)];
    for (double[] vector : outer) {
      for (int i = 0; i < vector.length; i++) {
        vector[i] = random.nextGaussian();
      }
    }
    for (int i = 0; i < rows; i++) {
      for (int j = 0; j < columns; j++) {
        long at = 2L * (i * columns + j);
        double scale = 0.02 * (i % 7 == 0 ? 0.2 : 1) * (j % 5 == 0 ? 3 : 1);
        double entry = scale * random.nextGaussian() + 0.02 * outer[0][i] * outer[1][j];
        double update = random.nextInt(4) == 0 ? 2 * step * random.nextGaussian() : 0;
        double stored = Float.intBitsToFloat(bf16(entry) << 16);
        memory.putShort(at, bf16(entry));
        memory.putShort(at + 2L * rows * columns, bf16(stored + update));
      }
    }
  }

  @ParameterizedTest
  @CsvSource({"256, 300, 2e-5", "640, 256, 1e-4", "256, 256, 3e-4"})
  void drawsAreDistributedAsThoseEntryByEntry(int rows, int columns, double step) {
    // The seed is fixed, because among thousands of random matrices some would fail by chance.
    Random random = new Random(Long.getLong("threegate.test.seed", rows));
    try (Context context = Context.open();
        Control control = Control.open(context);
        NativeBuffer memory = context.allocate(4L * rows * columns)) {
      fill(memory, rows, columns, step, random);
      Operand before = Operand.of(Matrix.of(memory, Dtype.BF16, rows, columns));
      Operand after =
          Operand.of(Matrix.of(memory, Dtype.BF16, rows, columns).at(2L * rows * columns));
      GeometryOptions options =
          new GeometryOptions(
              List.of(RANK), List.of(), List.of(0.5), List.of(NullModel.values()), DRAWS, 1e-6, 1);
      SpectrumMeasure measured =
          GeometryMeasurement.of(context, "w", before, after, options, control).spectra().get(0);
      Bf16Diff.Result diff =
          Bf16Diff.compare(
              context, new Bf16Diff.Pair(before, after, Bf16Diff.Profiles.MASK), control);
      Mask update = diff.mask().orElseThrow();
      long[] codes = MagnitudeHistogram.of(context, before, update, update).all();
      double deviation = RoundTrip.deviation(codes, diff.deltaSquares());
      agree(
          measured.draws(NullModel.NORM_MATCHED).orElseThrow(),
          entryByEntry(
              context,
              before,
              control,
              draw ->
                  NullUpdate.gaussian(
                      context,
                      new NullUpdate.Noise(before, deviation, Dtype.BF16),
                      new NullUpdate.Draw(2, draw),
                      control)));
      agree(
          measured.draws(NullModel.PERMUTED_UPDATE).orElseThrow(),
          entryByEntry(
              context,
              before,
              control,
              draw ->
                  NullUpdate.permuted(
                      context,
                      new NullUpdate.Pair(before, after),
                      new NullUpdate.Draw(2, draw),
                      control)));
      agreeWithRotations(
          context,
          measured.draws(NullModel.SPECTRUM_PRESERVING).orElseThrow(),
          measured.geometry(),
          rows,
          columns);
    }
  }

  /** The energies of norm-matched draws depend on the random numbers only. */
  @Test
  void updatesShareTheirDrawsOnlyIfAsked() {
    int side = 40;
    Random random = Seeds.random("updates share their draws only if asked");
    GeometryOptions options =
        new GeometryOptions(
            List.of(4), List.of(), List.of(0.5), List.of(NullModel.NORM_MATCHED), 5, 1e-6, 1);
    try (Context context = Context.open(Context.Device.CPU, 1);
        Control control = Control.open(context);
        NativeBuffer memory = context.allocate(3 * 4L * side * side)) {
      for (int i = 0; i < side * side; i++) {
        float before = (float) random.nextGaussian();
        memory.putFloat(4L * i, before);
        for (int run = 1; run < 3; run++) {
          memory.putFloat(
              4L * (run * side * side + i), before + (float) (0.01 * random.nextGaussian()));
        }
      }
      double[][] own = new double[2][];
      double[][] shared = new double[2][];
      for (int run = 0; run < 2; run++) {
        long at = 4L * (run + 1) * side * side;
        own[run] = energies(context, memory, side, at, options, control);
        shared[run] = energies(context, memory, side, at, options.withSharedDraws(), control);
      }
      for (int draw = 0; draw < 5; draw++) {
        assertThat(shared[1][draw]).isCloseTo(shared[0][draw], within(1e-3 * shared[0][draw]));
        assertThat(own[1][draw]).isNotCloseTo(own[0][draw], within(1e-3 * own[0][draw]));
      }
    }
  }

  private static double[] energies(
      Context context,
      NativeBuffer memory,
      int side,
      long tuned,
      GeometryOptions options,
      Control control) {
    Matrix base = Matrix.of(memory, Dtype.F32, side, side);
    return GeometryMeasurement.of(
            context, "w", Operand.of(base), Operand.of(base.at(tuned)), options, control)
        .spectra()
        .get(0)
        .draws(NullModel.NORM_MATCHED)
        .orElseThrow()
        .principalEnergy();
  }

  /** Float64 matrices may be scaled far beyond the range of float32, in which updates are drawn. */
  @ParameterizedTest
  @CsvSource({"256, 260, 200", "260, 256, -200", "40, 50, 200", "50, 40, -200"})
  void theScaleDoesNotMatter(int rows, int columns, int exponent) {
    Random random = Seeds.random("the scale does not matter");
    GeometryOptions options =
        new GeometryOptions(
            List.of(5), List.of(), List.of(0.5), List.of(NullModel.values()), 8, 1e-9, 1);
    try (Context context = Context.open();
        Control control = Control.open(context);
        NativeBuffer memory = context.allocate(32L * rows * columns)) {
      long entries = (long) rows * columns;
      for (long i = 0; i < entries; i++) {
        double weight = 0.02 * random.nextGaussian();
        double tuned = weight + 1e-6 * random.nextGaussian();
        memory.putDouble(8 * i, weight).putDouble(8 * (entries + i), tuned);
        memory.putDouble(8 * (2 * entries + i), Math.scalb(weight, exponent));
        memory.putDouble(8 * (3 * entries + i), Math.scalb(tuned, exponent));
      }
      List<SpectrumMeasure> measured = new ArrayList<>();
      for (long pair = 0; pair < 2; pair++) {
        Operand before =
            Operand.of(Matrix.of(memory, Dtype.F64, rows, columns).at(16 * pair * entries));
        Operand after =
            Operand.of(
                Matrix.of(memory, Dtype.F64, rows, columns).at(16 * pair * entries + 8 * entries));
        measured.add(
            GeometryMeasurement.of(context, "w", before, after, options, control).spectra().get(0));
      }
      for (NullModel model : NullModel.values()) {
        NullDraws plain = measured.get(0).draws(model).orElseThrow();
        NullDraws scaled = measured.get(1).draws(model).orElseThrow();
        // Small matrices of ordinary scale get updates that are drawn entry by entry, so the draws
        // differ.
        double allowed = Math.min(rows, columns) < NullSampler.FEWEST_DIRECTIONS ? 0.8 : 1e-6;
        for (int i = 0; i < 8; i++) {
          assertThat(scaled.nss()[i])
              .as(model.label())
              .isCloseTo(plain.nss()[i], within(allowed * plain.nss()[i]));
          assertThat(scaled.leftEnergy()[i])
              .as(model.label())
              .isCloseTo(plain.leftEnergy()[i], within(allowed * plain.leftEnergy()[i]));
        }
      }
    }
  }

  /** Checks that draws from one rotation vary as independent rotations do. */
  private static void agreeWithRotations(
      Context context, NullDraws draws, Geometry observed, int rows, int columns) {
    double[] nss = new double[DRAWS];
    double[] both = new double[DRAWS];
    double[] angle = new double[DRAWS];
    double[] ofShort = new double[DRAWS];
    for (int draw = 0; draw < DRAWS; draw++) {
      Matrix core =
          NullUpdate.rotated(
              context,
              new NullUpdate.Spectrum(observed.update(), Math.max(rows, columns)),
              new NullUpdate.Draw(3, draw));
      try {
        SpectrumPerturbation after =
            SpectrumPerturbation.of(context, observed.base(), core, List.of(RANK));
        nss[draw] = Spectra.nss(observed.base(), after.values());
        both[draw] = after.bothEnergy()[0] / after.total();
        ofShort[draw] = after.shortEnergy()[0] / after.total();
        angle[draw] = Geometry.max(after.shortAngles().get(0));
      } finally {
        core.buffer().close();
      }
    }
    boolean tall = rows >= columns;
    agree("rotated nss", draws.nss(), nss);
    agree("rotated both", draws.principalEnergy(), both);
    agree("rotated short", tall ? draws.rightEnergy() : draws.leftEnergy(), ofShort);
    agree("rotated angle", tall ? draws.angleV() : draws.angleU(), angle);
  }

  private static List<Geometry> entryByEntry(
      Context context, Operand base, Control control, IntFunction<Matrix> next) {
    List<Geometry> all = new ArrayList<>();
    for (int draw = 0; draw < DRAWS; draw++) {
      Matrix matrix = next.apply(draw);
      try (NativeBuffer buffer = matrix.buffer()) {
        assertThat(buffer.bytes()).isPositive();
        all.add(Geometry.of(context, base, Operand.of(matrix), RANK, 1e-6, control));
      }
    }
    return all;
  }

  private static void agree(NullDraws draws, List<Geometry> expected) {
    agree("nss", draws.nss(), expected, Geometry::nss);
    agree("r_spec", draws.rSpec(), expected, Geometry::rSpec);
    agree("left", draws.angleU(), expected, one -> Geometry.max(one.angleU()));
    agree("right", draws.angleV(), expected, one -> Geometry.max(one.angleV()));
    agree("both", draws.principalEnergy(), expected, Geometry::principalEnergy);
    agree("of the left", draws.leftEnergy(), expected, one -> one.energy().leftEnergy());
    agree("of the right", draws.rightEnergy(), expected, one -> one.energy().rightEnergy());
    for (int i = 0; i < RANK; i += 3) {
      int at = i;
      double[] angles = expected.stream().mapToDouble(one -> one.angleV()[at]).toArray();
      NullEstimate estimate = NullEstimate.of("", angles);
      double error = estimate.sd() * Math.sqrt(2.0 / DRAWS);
      assertThat(draws.bandRight()[0][i])
          .as("angle " + i)
          .isCloseTo(estimate.mean(), within(5 * error));
    }
  }

  private static void agree(
      String what, double[] draws, List<Geometry> expected, ToDoubleFunction<Geometry> measure) {
    agree(what, draws, expected.stream().mapToDouble(measure).toArray());
  }

  private static void agree(String what, double[] draws, double[] expected) {
    assertThat(draws).as(what).hasSize(DRAWS);
    NullEstimate actual = NullEstimate.of("", draws);
    NullEstimate wanted = NullEstimate.of("", expected);
    double error = Math.hypot(actual.sd(), wanted.sd()) / Math.sqrt(DRAWS);
    assertThat(actual.mean()).as(what).isCloseTo(wanted.mean(), within(5 * error));
    // The standard deviation of a hundred normal draws is accurate to 7 %. That of skewed draws is
    // less accurate.
    assertThat(actual.sd()).as("sd of " + what).isBetween(wanted.sd() / 1.8, wanted.sd() * 1.8);
  }
}
