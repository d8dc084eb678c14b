package example;

import java.util.SplittableRandom;
import org.threegate.buffer.NativeBuffer;
import org.threegate.dtype.Dtype;
import org.threegate.kernel.Context;
import org.threegate.kernel.Matrix;
import org.threegate.kernel.Operand;
import org.threegate.kernel.TruncatedSvd;

/** Computes the leading singular values of a matrix, with a bound on their error. */
public final class CertifiedSvd {
  private static final int ROWS = 1024;
  private static final int COLUMNS = 512;
  private static final int RANK = 8;
  private static final double TOLERANCE = 1e-6; // relative to the largest singular value

  private CertifiedSvd() {}

  public static void main(String[] arguments) {
    SplittableRandom random = new SplittableRandom(2);
    float[] values = new float[ROWS * COLUMNS];
    for (int i = 0; i < values.length; i++) {
      // Columns of falling size give a spectrum that falls.
      values[i] = (float) (random.nextGaussian() / (1 + i % COLUMNS));
    }

    try (Context context = Context.open();
        NativeBuffer buffer = context.allocate(4L * values.length)) {
      buffer.putFloats(0, values);
      Operand matrix = Operand.of(Matrix.of(buffer, Dtype.F32, ROWS, COLUMNS));
      TruncatedSvd.Request request = TruncatedSvd.Request.of(matrix, RANK, TOLERANCE);
      try (TruncatedSvd.Result svd = TruncatedSvd.of(context, request)) {
        for (double value : svd.values()) {
          System.out.printf("%10.4f%n", value);
        }
        System.out.printf("certified residual: %.1e%n", svd.residual());
      }
    }
  }
}
