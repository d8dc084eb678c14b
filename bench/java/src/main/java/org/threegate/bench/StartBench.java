package org.threegate.bench;

import java.time.Duration;
import java.time.Instant;
import java.util.Locale;
import org.threegate.buffer.NativeBuffer;
import org.threegate.dtype.Dtype;
import org.threegate.kernel.Bf16Diff;
import org.threegate.kernel.Context;
import org.threegate.kernel.Matrix;
import org.threegate.kernel.Operand;

/**
 * Measures the first call of a program: it compares two small matrices. Prints the milliseconds
 * from the start of {@code main} and from the start of the process to the end of the call.
 */
public final class StartBench {
  private StartBench() {}

  /**
   * Runs the program.
   *
   * @param arguments the time at which the process was started, in seconds since 1970
   */
  public static void main(String[] arguments) {
    long begin = System.nanoTime();
    try (Context context = Context.open();
        NativeBuffer base = context.allocate(12);
        NativeBuffer tuned = context.allocate(12)) {
      base.putShorts(0, new short[] {0x3f80, 0x3f80, 0x3f80, 0x4000, 0x4000, 0x4000});
      tuned.putShorts(0, new short[] {0x3f80, 0x3f81, 0x3f80, 0x4000, (short) 0xc000, 0x4000});
      Operand w0 = Operand.of(Matrix.of(base, Dtype.BF16, 2, 3));
      Operand w1 = Operand.of(Matrix.of(tuned, Dtype.BF16, 2, 3));
      long changed = Bf16Diff.compare(context, w0, w1).changed();
      double first = (System.nanoTime() - begin) * 1e-6;
      Duration sinceStart = Duration.between(started(arguments[0]), Instant.now());
      if (changed != 2) {
        throw new IllegalStateException(changed + " elements changed, not 2");
      }
      System.out.printf(Locale.ROOT, "%.1f\t%.1f%n", first, sinceStart.toNanos() * 1e-6);
    }
  }

  private static Instant started(String seconds) {
    String[] parts = seconds.split("\\.");
    return Instant.ofEpochSecond(Long.parseLong(parts[0]), 1000 * Long.parseLong(parts[1]));
  }
}
