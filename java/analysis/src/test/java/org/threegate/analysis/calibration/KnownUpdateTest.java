package org.threegate.analysis.calibration;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.SplittableRandom;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.threegate.buffer.NativeBuffer;
import org.threegate.dtype.Dtype;
import org.threegate.kernel.Bf16Diff;
import org.threegate.kernel.Context;
import org.threegate.kernel.Control;
import org.threegate.kernel.Matrix;
import org.threegate.kernel.NullUpdate;
import org.threegate.kernel.Operand;
import org.threegate.testing.NativeLeaks;

/** Tests that planted effects are what they claim to be. */
@ExtendWith(NativeLeaks.class)
class KnownUpdateTest {
  private static final int ROWS = 96;
  private static final int COLUMNS = 64;
  private static final int RANK = 6;

  private final SplittableRandom random = new SplittableRandom(5);
  private Context context;
  private Control control;
  private Principal principal;

  @BeforeEach
  void open() {
    context = Context.open(Context.Device.CPU, 1);
    control = Control.open(context);
    Weights weights = CalibrationTest.matrix(ROWS, COLUMNS, random);
    try (NativeBuffer memory = context.allocate(4L * ROWS * COLUMNS)) {
      Weights stored = new Stored(Dtype.F32).write(weights, memory);
      principal =
          Principal.of(
              context, stored, Operand.of(Matrix.of(memory, Dtype.F32, ROWS, COLUMNS)), control);
    }
  }

  @AfterEach
  void close() {
    control.close();
    context.close();
  }

  private static KnownUpdate update(String name) {
    return KnownUpdate.all().stream()
        .filter(one -> one.name().equals(name))
        .findFirst()
        .orElseThrow();
  }

  private Weights make(String name) {
    return update(name).maker().of(principal, new SplittableRandom(11));
  }

  /** Returns the energy of an update in the leading directions of both sides. */
  private double energy(Weights update) {
    double sum = 0;
    for (double[] left : principal.left()) {
      for (double[] right : principal.right()) {
        double product = 0;
        for (int i = 0; i < ROWS; i++) {
          for (int j = 0; j < COLUMNS; j++) {
            product += left[i] * update.at(i, j) * right[j];
          }
        }
        sum += product * product;
      }
    }
    return sum;
  }

  private static double squares(Weights weights) {
    return weights.rms() * weights.rms() * weights.entries().length;
  }

  @Test
  void theLeadingDirectionsAreOrthonormal() {
    assertThat(principal.left().length).isEqualTo(RANK);
    for (double[][] side : List.of(principal.left(), principal.right())) {
      for (double[] one : side) {
        for (double[] other : side) {
          double product = 0;
          for (int i = 0; i < one.length; i++) {
            product += one[i] * other[i];
          }
          assertThat(product).isCloseTo(one == other ? 1 : 0, within(1e-6));
        }
      }
    }
  }

  @Test
  void theEnergyInLeadingDirectionsIsScaled() {
    // Both kinds change the same noise, so that their energies have the ratio of their factors.
    double half = energy(make("avoid-directions"));
    double twice = energy(make("prefer-directions"));
    assertThat(twice / half).isCloseTo(4, within(1e-6));
    Weights noise = KnownUpdate.noise(principal.weights(), new SplittableRandom(11));
    assertThat(half / energy(noise)).isCloseTo(0.5, within(1e-6));
    assertThat(squares(make("avoid-directions")))
        .isCloseTo(squares(noise) - energy(noise) / 2, within(1e-6 * squares(noise)));
  }

  @Test
  void theRotationTurnsByItsAngleAndKeepsTheSpectrum() {
    Weights turned = principal.weights().plus(make("rotation"));
    // An orthogonal map from the left keeps every product of columns.
    for (int a = 0; a < COLUMNS; a += 7) {
      for (int b = 0; b < COLUMNS; b += 5) {
        double before = 0;
        double after = 0;
        double size = 0;
        for (int i = 0; i < ROWS; i++) {
          before += principal.weights().at(i, a) * principal.weights().at(i, b);
          after += turned.at(i, a) * turned.at(i, b);
          size += Math.abs(turned.at(i, a) * turned.at(i, b));
        }
        assertThat(after).isCloseTo(before, within(1e-9 * size));
      }
    }
    // The new left vectors are the turned old ones, so that all k angles are one degree.
    try (NativeBuffer memory = context.allocate(4L * ROWS * COLUMNS)) {
      Weights stored = new Stored(Dtype.F32).write(turned, memory);
      Principal after =
          Principal.of(
              context, stored, Operand.of(Matrix.of(memory, Dtype.F32, ROWS, COLUMNS)), control);
      double squaredSines = RANK;
      for (double[] old : principal.left()) {
        for (double[] now : after.left()) {
          double product = 0;
          for (int i = 0; i < ROWS; i++) {
            product += old[i] * now[i];
          }
          squaredSines -= product * product;
        }
      }
      double angle = Math.asin(Math.sqrt(squaredSines / RANK));
      assertThat(Math.toDegrees(angle)).isCloseTo(1, within(1e-3));
    }
  }

  /** Returns the share of entries left alone among the principal ones, or among the others. */
  private double leftAlone(Weights update, boolean own) {
    int zero = 0;
    int all = 0;
    for (int i = 0; i < ROWS; i++) {
      for (int j = 0; j < COLUMNS; j++) {
        if (principal.isPrincipal(i, j) == own) {
          all++;
          zero += update.at(i, j) == 0 ? 1 : 0;
        }
      }
    }
    assertThat(all).isEqualTo(ROWS * COLUMNS / 2);
    return zero / (double) all;
  }

  @Test
  void theSharesThatAreLeftAloneAreAsPlanted() {
    double sd = Math.sqrt(0.25 / (ROWS * COLUMNS / 2.0));
    Weights avoiding = make("avoid-weights");
    assertThat(leftAlone(avoiding, true)).isCloseTo(0.2, within(4 * sd));
    assertThat(leftAlone(avoiding, false)).isZero();
    Weights preferring = make("prefer-weights");
    assertThat(leftAlone(preferring, false)).isCloseTo(0.5, within(4 * sd));
    assertThat(leftAlone(preferring, true)).isZero();
  }

  @Test
  void runsShareOnlyWhatTheyShould() {
    for (KnownRuns runs : KnownRuns.all()) {
      Weights one = runs.maker().of(principal, new SplittableRandom(1), new SplittableRandom(2));
      Weights other = runs.maker().of(principal, new SplittableRandom(1), new SplittableRandom(3));
      int common = 0;
      double products = 0;
      for (int i = 0; i < one.entries().length; i++) {
        common += one.entries()[i] == 0 && other.entries()[i] == 0 ? 1 : 0;
        products += one.entries()[i] * other.entries()[i];
      }
      double share = common / (double) one.entries().length;
      assertThat(share)
          .as(runs.name())
          .isCloseTo(runs.truth().isNothing() ? 0 : KnownRuns.LEFT_ALONE, within(0.03));
      double cosine = products / Math.sqrt(squares(one) * squares(other));
      // Heavy rows and columns leave fewer than half of the entries effective.
      assertThat(cosine).as(runs.name()).isCloseTo(0, within(0.1));
    }
  }

  @Test
  void everyKindHasItsNameAndMakesFiniteUpdates() {
    Set<String> names = new HashSet<>();
    Stream.<Known>concat(KnownUpdate.all().stream(), KnownRuns.all().stream())
        .forEach(kind -> assertThat(names.add(kind.name())).as(kind.name()).isTrue());
    for (KnownUpdate kind : KnownUpdate.all()) {
      Weights made = kind.maker().of(principal, new SplittableRandom(2));
      assertThat(made.rms()).as(kind.name()).isFinite();
      assertThat(kind.maker().of(principal, new SplittableRandom(2)).entries())
          .as(kind.name())
          .isEqualTo(made.entries());
    }
  }

  /** Rounds values, and returns whether the kernels find the same bf16 codes in both dtypes. */
  @Test
  void roundingIsThatOfTheKernels() {
    Weights values = Weights.of(64, 64, (i, j) -> Math.pow(2, 24 * random.nextDouble() - 20));
    Weights signed =
        values.like((i, j) -> random.nextBoolean() ? values.at(i, j) : -values.at(i, j));
    try (NativeBuffer exact = context.allocate(4L * 64 * 64);
        NativeBuffer half = context.allocate(2L * 64 * 64);
        NativeBuffer brain = context.allocate(2L * 64 * 64)) {
      new Stored(Dtype.F32).write(signed, exact);
      Weights halves = new Stored(Dtype.F16).write(signed, half);
      new Stored(Dtype.BF16).write(signed, brain);
      Operand single = Operand.of(Matrix.of(exact, Dtype.F32, 64, 64));
      Matrix rounded =
          NullUpdate.gaussian(
              context,
              new NullUpdate.Noise(single, 0, Dtype.BF16),
              new NullUpdate.Draw(0, 0),
              control);
      Matrix read =
          NullUpdate.gaussian(
              context,
              new NullUpdate.Noise(Operand.of(Matrix.of(half, Dtype.F16, 64, 64)), 0, Dtype.F32),
              new NullUpdate.Draw(0, 0),
              control);
      try {
        assertThat(brain.getShorts(0, 64 * 64)).isEqualTo(rounded.buffer().getShorts(0, 64 * 64));
        for (int i = 0; i < 64 * 64; i++) {
          float value = read.buffer().getFloat(4L * i);
          assertThat((double) value).isEqualTo(halves.entries()[i]);
          // No float16 is closer: half a spacing, which is 2⁻²⁴ below 2⁻¹⁴.
          double spacing = Math.scalb(1.0, Math.max(Math.getExponent(value), -14) - 10);
          assertThat(Math.abs(value - (float) signed.entries()[i]))
              .isLessThanOrEqualTo((float) (spacing / 2));
        }
        Bf16Diff.Result diff =
            Bf16Diff.compare(context, single, Operand.of(Matrix.of(brain, Dtype.BF16, 64, 64)));
        assertThat(diff.changed()).isZero();
      } finally {
        rounded.buffer().close();
        read.buffer().close();
      }
    }
  }

  @Test
  void float16BreaksTiesToEvenAndStaysFinite() {
    double[] values = {1 + 0x1p-11, 1 + 3 * 0x1p-11, 1e6, -1e6, 0x1p-24, 0x1p-25, -0.0, 65504};
    double[] expected = {1, 1 + 0x1p-9, 65504, -65504, 0x1p-24, 0, -0.0, 65504};
    try (NativeBuffer memory = context.allocate(2L * values.length)) {
      Weights stored = new Stored(Dtype.F16).write(new Weights(1, values.length, values), memory);
      assertThat(stored.entries()).containsExactly(expected);
    }
  }
}
