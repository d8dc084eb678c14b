package example;

import java.util.SplittableRandom;
import org.threegate.buffer.NativeBuffer;
import org.threegate.dtype.Dtype;
import org.threegate.kernel.Bf16Diff;
import org.threegate.kernel.Context;
import org.threegate.kernel.Matrix;
import org.threegate.kernel.Operand;

/** Counts what a small update changes of a bf16 matrix, and what the rounding to bf16 hides. */
public final class EmbedDiff {
  private static final int ROWS = 512;
  private static final int COLUMNS = 1024;
  /** Standard deviation of the update. That of the weights is 0.02. */
  private static final double STEP = 3e-5;

  private EmbedDiff() {}

  public static void main(String[] arguments) {
    SplittableRandom random = new SplittableRandom(1);
    float[] before = new float[ROWS * COLUMNS];
    float[] after = new float[ROWS * COLUMNS];
    for (int i = 0; i < before.length; i++) {
      before[i] = (float) (0.02 * random.nextGaussian());
      after[i] = (float) (before[i] + STEP * random.nextGaussian());
    }

    try (Context context = Context.open();
        NativeBuffer base = context.allocate(4L * before.length);
        NativeBuffer tuned = context.allocate(4L * after.length)) {
      base.putFloats(0, before);
      tuned.putFloats(0, after);
      Bf16Diff.Result diff =
          Bf16Diff.compare(
              context,
              Operand.of(Matrix.of(base, Dtype.F32, ROWS, COLUMNS)),
              Operand.of(Matrix.of(tuned, Dtype.F32, ROWS, COLUMNS)));
      System.out.printf(
          "%d of %d entries changed in bf16; rounding hides %d changes%n",
          diff.changed(), diff.total(), diff.hidden());
    }
  }
}
