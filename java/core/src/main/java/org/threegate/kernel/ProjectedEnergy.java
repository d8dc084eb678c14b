package org.threegate.kernel;

import java.util.Optional;
import org.threegate.buffer.NativeBuffer;
import org.threegate.spi.KernelBinding;

/**
 * How much of a matrix, or of a difference of two, lies in given subspaces ({@code
 * tg_projected_energy}; arXiv 2511.08567, section 4.2). An isotropic matrix of m x n has, in the
 * mean, k/m of its energy in k left directions, k/n in k right ones, and k²/(mn) in both.
 *
 * <pre>{@code
 * Operand before = Operand.of(Matrix.of(buffer, Dtype.F32, 64, 64));
 * Operand after = Operand.of(Matrix.of(buffer, 16384, Dtype.F32, 64, 64));
 * try (TruncatedSvd.Result svd = TruncatedSvd.of(context, TruncatedSvd.Request.of(before, 8, 1e-9))) {
 *   ProjectedEnergy.Result energy =
 *       ProjectedEnergy.of(
 *           context, after, Optional.of(before), svd.left().orElseThrow(), svd.right().orElseThrow());
 *   System.out.println(energy.both() / energy.total() + ", chance gives " + 64.0 / 4096);
 * }
 * }</pre>
 */
public final class ProjectedEnergy {
  private ProjectedEnergy() {}

  /**
   * Squared Frobenius norms.
   *
   * @param total of the matrix or difference D
   * @param left of U D
   * @param right of D Vᵀ
   * @param both of U D Vᵀ
   */
  public record Result(double total, double left, double right, double both) {}

  /**
   * @param left U, k x rows, float64 or float32, with orthonormal rows
   * @param right V, k x columns, the same
   */
  public static Result of(
      Context context, Operand matrix, Optional<Operand> subtracted, Matrix left, Matrix right) {
    long subtractedAt = matrix.structBytes();
    long leftAt = subtractedAt + subtracted.map(Operand::structBytes).orElse(0L);
    long rightAt = leftAt + Struct.MATRIX;
    long resultAt = rightAt + Struct.MATRIX;
    long workspaceAt = resultAt + Struct.PROJECTED_ENERGY_RESULT;
    KernelBinding binding = context.binding();
    try (Context.Call call = context.begin();
        NativeBuffer structs = context.allocate(workspaceAt + Workspace.STRUCT_BYTES);
        Operand.Leases leases = new Operand.Leases()) {
      long address = leases.take(structs);
      matrix.write(structs, address, 0, leases);
      subtracted.ifPresent(other -> other.write(structs, address, subtractedAt, leases));
      long other = subtracted.isPresent() ? address + subtractedAt : 0;
      left.write(structs, leftAt, leases.take(left.buffer()));
      right.write(structs, rightAt, leases.take(right.buffer()));
      structs.putLong(
          resultAt + Struct.PROJECTED_ENERGY_RESULT_SIZE, Struct.PROJECTED_ENERGY_RESULT);
      Workspace.use(
          context,
          call,
          structs,
          workspaceAt,
          size ->
              binding.projectedEnergyWorkspace(
                  context.handle(), address, other, address + leftAt, address + rightAt, size),
          workspace ->
              binding.projectedEnergy(
                  context.handle(),
                  address,
                  other,
                  address + leftAt,
                  address + rightAt,
                  workspace,
                  address + resultAt));
      return new Result(
          structs.getDouble(resultAt + Struct.PROJECTED_ENERGY_RESULT_TOTAL),
          structs.getDouble(resultAt + Struct.PROJECTED_ENERGY_RESULT_LEFT),
          structs.getDouble(resultAt + Struct.PROJECTED_ENERGY_RESULT_RIGHT),
          structs.getDouble(resultAt + Struct.PROJECTED_ENERGY_RESULT_BOTH));
    }
  }
}
