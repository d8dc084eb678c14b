package org.threegate.kernel;

import org.threegate.buffer.NativeBuffer;
import org.threegate.spi.KernelBinding;
import org.threegate.spi.Structs;

/**
 * Principal angles between subspaces ({@code tg_principal_angles}; arXiv 2511.08567, section 4.1).
 * Small angles are accurate, too.
 *
 * <pre>{@code
 * TruncatedSvd.Request before = TruncatedSvd.Request.of(Operand.of(Matrix.of(buffer, Dtype.F32, 64, 64)), 8, 1e-12);
 * TruncatedSvd.Request after = TruncatedSvd.Request.of(Operand.of(Matrix.of(buffer, Dtype.F32, 64, 64).at(16384)), 8, 1e-12);
 * try (TruncatedSvd.Result base = TruncatedSvd.of(context, before);
 *     TruncatedSvd.Result tuned = TruncatedSvd.of(context, after)) {
 *   double[] angles = PrincipalAngles.of(context, base.left().orElseThrow(), tuned.left().orElseThrow());
 *   System.out.println("largest: " + angles[angles.length - 1] + " rad");
 * }
 * }</pre>
 */
public final class PrincipalAngles {
  private PrincipalAngles() {}

  /**
   * {@return the k angles in radians, ascending}
   *
   * @param context context that runs the kernel
   * @param first k x n, float64 or float32, with orthonormal rows
   * @param second k x n, float64 or float32, with orthonormal rows
   */
  public static double[] of(Context context, Matrix first, Matrix second) {
    int rank = Sizes.length(first.rows());
    KernelBinding binding = context.binding();
    try (Context.Call call = context.begin();
        NativeBuffer structs =
            context.allocate(2 * Structs.MATRIX_SIZEOF + Workspace.STRUCT_BYTES);
        NativeBuffer angles = context.allocate(8L * rank);
        Operand.Leases leases = Operand.Leases.onProcessor(context)) {
      long address = leases.take(structs);
      long anglesAddress = leases.take(angles);
      first.write(structs, 0, leases.take(first.buffer()));
      second.write(structs, Structs.MATRIX_SIZEOF, leases.take(second.buffer()));
      Workspace.use(
          context,
          call,
          structs,
          2 * Structs.MATRIX_SIZEOF,
          size ->
              binding.principalAnglesWorkspace(
                  context.handle(), address, address + Structs.MATRIX_SIZEOF, size),
          workspace ->
              binding.principalAngles(
                  context.handle(),
                  address,
                  address + Structs.MATRIX_SIZEOF,
                  workspace,
                  anglesAddress));
      return angles.getDoubles(0, rank);
    }
  }
}
