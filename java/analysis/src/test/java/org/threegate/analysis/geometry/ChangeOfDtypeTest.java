package org.threegate.analysis.geometry;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.Optional;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.threegate.buffer.NativeBuffer;
import org.threegate.dtype.Dtype;
import org.threegate.kernel.Context;
import org.threegate.kernel.Control;
import org.threegate.kernel.Matrix;
import org.threegate.kernel.Operand;
import org.threegate.testing.NativeLeaks;
import org.threegate.testing.Seeds;

/** Tests that roundings of the same weights to different dtypes are no update. */
@ExtendWith(NativeLeaks.class)
class ChangeOfDtypeTest {
  private static final int SIDE = 64;
  private static final double RMS = 0.02;

  /** An update that bf16 hides in nearly all entries. */
  private static final double HIDDEN = 1e-3;

  private static final double VISIBLE = 1e-2;

  private static float bf16(double value) {
    int bits = Float.floatToRawIntBits((float) value);
    return Float.intBitsToFloat(bits + 0x7fff + (bits >>> 16 & 1) & 0xffff0000);
  }

  private static float float16(double value) {
    double spacing = Math.scalb(1.0, Math.max(Math.getExponent(value), -14) - 10);
    return (float) (Math.rint(value / spacing) * spacing);
  }

  /** Returns entries of which some are so small that float16 is the coarser dtype. */
  private static double[] weights(Random random) {
    double[] weights = new double[SIDE * SIDE];
    for (int i = 0; i < weights.length; i++) {
      weights[i] = random.nextGaussian() * (i % 50 == 0 ? 3e-6 : RMS);
    }
    weights[0] = 0;
    return weights;
  }

  /** Adds noise to every entry but the first, in proportion to it. */
  private static double[] noisy(double[] weights, double size, Random random) {
    double[] noisy = weights.clone();
    for (int i = 0; i < noisy.length; i++) {
      noisy[i] *= 1 + size * random.nextGaussian();
    }
    return noisy;
  }

  /** Returns the cause of the difference between two matrices, of which one is stored as bf16. */
  private static Optional<TrivialCause> cause(double[] bf16, double[] float16, boolean reversed) {
    try (Context context = Context.open(Context.Device.CPU, 1);
        Control control = Control.open(context);
        NativeBuffer one = context.allocate(Short.BYTES * (long) bf16.length);
        NativeBuffer other = context.allocate(Float.BYTES * (long) float16.length)) {
      for (int i = 0; i < bf16.length; i++) {
        int bits = Float.floatToRawIntBits(bf16(bf16[i]));
        one.putShort(2L * i, (short) (bits >>> 16));
        other.putFloat(4L * i, float16(float16[i])); // float16 as trainers load it
      }
      Operand first = Operand.of(Matrix.of(one, Dtype.BF16, SIDE, SIDE));
      Operand second = Operand.of(Matrix.of(other, Dtype.F32, SIDE, SIDE));
      return GeometryMeasurement.of(
              context,
              "w",
              reversed ? second : first,
              reversed ? first : second,
              GeometryOptions.DEFAULT,
              control)
          .causes()
          .whole();
    }
  }

  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void twoRoundingsOfTheSameWeightsAreNoUpdate(boolean reversed) {
    Random random = Seeds.random("twoRoundingsOfTheSameWeightsAreNoUpdate");
    double[] weights = weights(random);
    assertThat(cause(weights, weights, reversed)).contains(TrivialCause.DTYPE);
  }

  @Test
  void anUpdateThatIsStoredInAnotherDtypeIsOne() {
    Random random = Seeds.random("anUpdateThatIsStoredInAnotherDtypeIsOne");
    double[] weights = weights(random);
    for (double size : new double[] {HIDDEN, VISIBLE}) {
      assertThat(cause(weights, noisy(weights, size, random), false)).as("" + size).isEmpty();
      assertThat(cause(noisy(weights, size, random), weights, true)).as("" + size).isEmpty();
    }
  }
}
