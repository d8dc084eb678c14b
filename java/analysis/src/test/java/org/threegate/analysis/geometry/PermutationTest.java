package org.threegate.analysis.geometry;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.threegate.buffer.NativeBuffer;
import org.threegate.dtype.Dtype;
import org.threegate.kernel.Context;
import org.threegate.kernel.Control;
import org.threegate.kernel.Matrix;
import org.threegate.kernel.Operand;
import org.threegate.testing.NativeLeaks;
import org.threegate.testing.Seeds;

/** Tests that rows and columns in another order are named, and nothing else is. */
@ExtendWith(NativeLeaks.class)
class PermutationTest {
  private static final int ROWS = 48;
  private static final int COLUMNS = 32;

  private final Random random = Seeds.random("PermutationTest");

  private static int[] order(int count) {
    return IntStream.range(0, count).toArray();
  }

  private int[] shuffled(int count) {
    List<Integer> order = IntStream.range(0, count).boxed().collect(Collectors.toList());
    Collections.shuffle(order, random);
    return order.stream().mapToInt(Integer::intValue).toArray();
  }

  private float[] weights() {
    float[] weights = new float[ROWS * COLUMNS];
    for (int i = 0; i < weights.length; i++) {
      weights[i] = (float) random.nextGaussian();
    }
    return weights;
  }

  private static float[] permuted(float[] weights, int[] rows, int[] columns) {
    float[] permuted = new float[weights.length];
    for (int i = 0; i < ROWS; i++) {
      for (int j = 0; j < COLUMNS; j++) {
        permuted[i * COLUMNS + j] = weights[rows[i] * COLUMNS + columns[j]];
      }
    }
    return permuted;
  }

  private static Optional<TrivialCause> cause(float[] before, float[] after) {
    try (Context context = Context.open(Context.Device.CPU, 1);
        Control control = Control.open(context);
        NativeBuffer one = context.allocate(Float.BYTES * (long) before.length);
        NativeBuffer other = context.allocate(Float.BYTES * (long) after.length)) {
      return GeometryMeasurement.of(
              context,
              "w",
              Operand.of(Matrix.of(one.putFloats(0, before), Dtype.F32, ROWS, COLUMNS)),
              Operand.of(Matrix.of(other.putFloats(0, after), Dtype.F32, ROWS, COLUMNS)),
              GeometryOptions.DEFAULT,
              control)
          .causes()
          .whole();
    }
  }

  @Test
  void anotherOrderOfRowsOrColumnsIsNamed() {
    float[] weights = weights();
    int[] swapped = order(ROWS);
    swapped[3] = 7;
    swapped[7] = 3;
    int[] rows = shuffled(ROWS);
    int[] columns = shuffled(COLUMNS);
    for (float[] after :
        new float[][] {
          permuted(weights, swapped, order(COLUMNS)),
          permuted(weights, rows, order(COLUMNS)),
          permuted(weights, order(ROWS), columns),
          permuted(weights, rows, columns)
        }) {
      assertThat(cause(weights, after)).contains(TrivialCause.PERMUTATION);
    }
  }

  @Test
  void anOrderOfEntriesThatIsNoneOfRowsOrColumnsIsAnUpdate() {
    float[] weights = weights();
    float[] sorted = permuted(weights, shuffled(ROWS), order(COLUMNS));
    Arrays.sort(sorted, 0, COLUMNS); // keeps the norm and each row's entries
    assertThat(cause(weights, sorted)).isEmpty();
    float[] negated = permuted(weights, shuffled(ROWS), order(COLUMNS));
    negated[5] = -negated[5]; // keeps the norm
    assertThat(cause(weights, negated)).isEmpty();
  }
}
