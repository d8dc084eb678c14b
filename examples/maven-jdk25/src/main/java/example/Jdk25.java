package example;

import org.threegate.buffer.NativeBuffer;
import org.threegate.dtype.Dtype;
import org.threegate.kernel.Bf16Diff;
import org.threegate.kernel.Context;
import org.threegate.kernel.Matrix;
import org.threegate.kernel.Operand;

/** Compares two matrices of three entries. */
public final class Jdk25 {
  private Jdk25() {}

  public static void main(String[] arguments) {
    try (Context context = Context.open();
        NativeBuffer base = context.allocate(6);
        NativeBuffer tuned = context.allocate(6)) {
      base.putShorts(0, new short[] {0x3f80, 0x3f80, 0x4000});
      tuned.putShorts(0, new short[] {0x3f80, 0x3f81, 0x4000});
      Bf16Diff.Result diff =
          Bf16Diff.compare(
              context,
              Operand.of(Matrix.of(base, Dtype.BF16, 1, 3)),
              Operand.of(Matrix.of(tuned, Dtype.BF16, 1, 3)));
      System.out.println(
          context.bindingName() + ": " + diff.changed() + " of " + diff.total() + " changed");
    }
  }
}
