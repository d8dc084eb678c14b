package org.threegate.kernel;

import java.util.Optional;
import org.threegate.buffer.NativeBuffer;
import org.threegate.spi.KernelBinding;
import org.threegate.spi.Structs;

/**
 * The energy of a matrix, or of a difference of two, in given subspaces ({@code
 * tg_projected_energy}; arXiv 2511.08567, section 4.2). On average, an isotropic m x n matrix has
 * k/m of its energy in k left directions, k/n in k right directions, and k²/(mn) in both.
 *
 * <pre>{@code
 * Operand before = Operand.of(Matrix.of(buffer, Dtype.F32, 64, 64));
 * Operand after = Operand.of(Matrix.of(buffer, Dtype.F32, 64, 64).at(16384));
 * try (TruncatedSvd.Result svd = TruncatedSvd.of(context, TruncatedSvd.Request.of(before, 8, 1e-9))) {
 *   ProjectedEnergy.Result energy =
 *       ProjectedEnergy.ofDifference(context, after, before, new ProjectedEnergy.Bases(svd.left().orElseThrow(), svd.right().orElseThrow()));
 *   System.out.println(energy.both() / energy.total() + ", chance gives " + 64.0 / 4096);
 * }
 * }</pre>
 */
public final class ProjectedEnergy {
  private ProjectedEnergy() {}

  /**
   * Squared Frobenius norms.
   *
   * @param total squared norm of D, the matrix or the difference
   * @param left squared norm of U D
   * @param right squared norm of D Vᵀ
   * @param both squared norm of U D Vᵀ
   * @param fourth sum of the fourth powers of D's entries
   */
  public record Result(double total, double left, double right, double both, double fourth) {}

  /**
   * Bases of a left and a right subspace.
   *
   * @param left U, k x rows, float64 or float32, with orthonormal rows
   * @param right V, k x columns, float64 or float32, with orthonormal rows
   */
  public record Bases(Matrix left, Matrix right) {}

  /**
   * Singular values of a matrix, and its leading singular vectors.
   *
   * @param values all singular values, descending
   * @param left leading left singular vectors, k x rows, float64 or float32
   * @param right leading right singular vectors, k x columns, float64 or float32
   */
  public record SingularBases(double[] values, Matrix left, Matrix right) {
    /** Copies the values. */
    public SingularBases {
      values = values.clone();
    }

    /** {@return a copy of the array} */
    @Override
    public double[] values() {
      return values.clone();
    }
  }

  /**
   * Measures the energies of a matrix.
   *
   * @param context context that runs the kernel
   * @param matrix matrix to read
   * @param bases bases of the subspaces
   * @return the energies
   */
  public static Result of(Context context, Operand matrix, Bases bases) {
    return of(context, Direction.of(matrix), bases);
  }

  /**
   * Measures the energies of the difference of two matrices.
   *
   * @param context context that runs the kernel
   * @param matrix matrix to read
   * @param subtracted matrix to subtract, of the same shape
   * @param bases bases of the subspaces
   * @return the energies
   */
  public static Result ofDifference(
      Context context, Operand matrix, Operand subtracted, Bases bases) {
    return of(context, Direction.update(subtracted, matrix), bases);
  }

  private static Result of(Context context, Direction.Entries difference, Bases bases) {
    Operand matrix = difference.matrix();
    Optional<Operand> subtracted = difference.subtracted();
    Matrix left = bases.left();
    Matrix right = bases.right();
    long subtractedAt = matrix.structBytes();
    long leftAt = subtractedAt + subtracted.map(Operand::structBytes).orElse(0L);
    long rightAt = leftAt + Structs.MATRIX_SIZEOF;
    long resultAt = rightAt + Structs.MATRIX_SIZEOF;
    long workspaceAt = resultAt + Structs.PROJECTED_ENERGY_RESULT_SIZEOF;
    KernelBinding binding = context.binding();
    try (Context.Call call = context.begin();
        NativeBuffer structs = context.allocate(workspaceAt + Workspace.STRUCT_BYTES);
        Operand.Leases leases = Operand.Leases.onProcessor(context)) {
      long address = leases.take(structs);
      matrix.write(structs, address, 0, leases);
      subtracted.ifPresent(other -> other.write(structs, address, subtractedAt, leases));
      long other = subtracted.isPresent() ? address + subtractedAt : 0;
      left.write(structs, leftAt, leases.take(left.buffer()));
      right.write(structs, rightAt, leases.take(right.buffer()));
      structs.putLong(
          resultAt + Structs.PROJECTED_ENERGY_RESULT_SIZE, Structs.PROJECTED_ENERGY_RESULT_SIZEOF);
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
          structs.getDouble(resultAt + Structs.PROJECTED_ENERGY_RESULT_TOTAL),
          structs.getDouble(resultAt + Structs.PROJECTED_ENERGY_RESULT_LEFT),
          structs.getDouble(resultAt + Structs.PROJECTED_ENERGY_RESULT_RIGHT),
          structs.getDouble(resultAt + Structs.PROJECTED_ENERGY_RESULT_BOTH),
          structs.getDouble(resultAt + Structs.PROJECTED_ENERGY_RESULT_FOURTH));
    }
  }

  /**
   * Returns the variances of an update with independent entries, in the singular bases of a matrix
   * ({@code tg_projected_variances}). Element (i, j) is the variance of the entry between direction
   * i of the left basis and j of the right one, for the k leading directions. The last two rows and
   * columns describe the other directions: their mean, and the slope with which they depart from
   * it, in proportion to their squared singular values.
   *
   * @param context context that runs the kernel
   * @param matrix plain BF16 values
   * @param table variance of an entry for each of the 32768 bf16 magnitude codes
   * @param bases singular values and vectors of the matrix
   * @return (k + 2) x (k + 2), row by row
   */
  public static double[] variances(
      Context context, Operand matrix, double[] table, SingularBases bases) {
    double[] values = bases.values();
    Matrix left = bases.left();
    Matrix right = bases.right();
    if (values.length != Math.min(matrix.rows(), matrix.columns())) {
      throw new IllegalArgumentException(
          values.length + " singular values of " + matrix.rows() + " x " + matrix.columns());
    }
    if (table.length != MagnitudeHistogram.CODES) {
      throw new IllegalArgumentException(
          "a table of " + table.length + " codes; there are " + MagnitudeHistogram.CODES);
    }
    int count = Sizes.length(Sizes.product(left.rows() + 2, right.rows() + 2));
    long leftAt = matrix.structBytes();
    long rightAt = leftAt + Structs.MATRIX_SIZEOF;
    long workspaceAt = rightAt + Structs.MATRIX_SIZEOF;
    long tableAt = workspaceAt + Workspace.STRUCT_BYTES;
    long valuesAt = tableAt + 8L * table.length;
    long variancesAt = valuesAt + 8L * values.length;
    KernelBinding binding = context.binding();
    try (Context.Call call = context.begin();
        NativeBuffer structs = context.allocate(variancesAt + 8L * count);
        Operand.Leases leases = Operand.Leases.onProcessor(context)) {
      long address = leases.take(structs);
      matrix.write(structs, address, 0, leases);
      left.write(structs, leftAt, leases.take(left.buffer()));
      right.write(structs, rightAt, leases.take(right.buffer()));
      structs.putDoubles(tableAt, table).putDoubles(valuesAt, values);
      Workspace.use(
          context,
          call,
          structs,
          workspaceAt,
          size ->
              binding.projectedVariancesWorkspace(
                  context.handle(), address, address + leftAt, address + rightAt, size),
          workspace ->
              binding.projectedVariances(
                  context.handle(),
                  address,
                  address + tableAt,
                  address + valuesAt,
                  address + leftAt,
                  address + rightAt,
                  workspace,
                  address + variancesAt));
      return structs.getDoubles(variancesAt, count);
    }
  }
}
