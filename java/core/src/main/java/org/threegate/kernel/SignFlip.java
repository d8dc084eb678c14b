package org.threegate.kernel;

import java.util.ArrayList;
import java.util.List;
import org.threegate.buffer.NativeBuffer;
import org.threegate.dtype.Dtype;
import org.threegate.spi.Structs;

/**
 * The sign-flip null of an update: every entry of the residual gets an independent random sign. The
 * magnitudes stay where they are, and the directions go. The moments of the energy are closed forms
 * ({@code tg_sign_flip_energy}). Draws serve other measures ({@code tg_sign_flip}).
 *
 * <pre>{@code
 * Operand before = Operand.of(Matrix.of(buffer, Dtype.F32, 64, 64));
 * Operand after = Operand.of(Matrix.of(buffer, Dtype.F32, 64, 64).at(16384));
 * Residual update = Residual.of(before, after);
 * try (TruncatedSvd.Result svd = TruncatedSvd.of(context, TruncatedSvd.Request.of(before, 8, 1e-9))) {
 *   ProjectedEnergy.Bases bases =
 *       new ProjectedEnergy.Bases(svd.left().orElseThrow(), svd.right().orElseThrow());
 *   for (SignFlip.Moments moments : SignFlip.energy(context, update, bases, SignFlip.Options.of(4, 8))) {
 *     System.out.println(moments.ratio() + " times chance, z = " + moments.z());
 *   }
 * }
 * }</pre>
 */
public final class SignFlip {
  private SignFlip() {}

  /**
   * Which energies to compute, and how accurately.
   *
   * @param ranks numbers k, each 1 to the rows of both bases
   * @param tolerance largest standard error of a variance, relative to it; 0 for variances without
   *     such an error, which take longer
   * @param seed seed of the probes that estimate a part of the variances
   */
  public record Options(List<Integer> ranks, double tolerance, long seed) {
    /** A standard error of the standard deviation of 1 %. */
    private static final double DEFAULT_TOLERANCE = 0.02;

    /** Copies the ranks. */
    public Options {
      ranks = List.copyOf(ranks);
    }

    /**
     * {@return options with a tolerance of 2 %}
     *
     * @param ranks numbers k, each 1 to the rows of both bases
     */
    public static Options of(Integer... ranks) {
      return new Options(List.of(ranks), DEFAULT_TOLERANCE, 0);
    }
  }

  /**
   * The energy of a residual in k leading left and right directions, and its moments.
   *
   * @param energy E = |U_k R V_kᵀ|²
   * @param mean mean of E over all patterns of signs
   * @param variance variance of E over all patterns of signs
   * @param varianceError standard error of the variance if probes estimate a part of it, or 0
   */
  public record Moments(double energy, double mean, double variance, double varianceError) {
    /** {@return the standard deviations by which E exceeds its mean; 0 without variance} */
    public double z() {
      return variance > 0 ? (energy - mean) / Math.sqrt(variance) : 0;
    }

    /** {@return E relative to its mean; NaN if the mean is 0} */
    public double ratio() {
      return mean > 0 ? energy / mean : Double.NaN;
    }
  }

  /**
   * Computes energies and their moments.
   *
   * @param context context that runs the kernel
   * @param residual the residual R
   * @param bases singular bases U and V of the base, from which the first k rows are taken
   * @param options which energies to compute, and how accurately
   * @return the moments for each rank
   */
  public static List<Moments> energy(
      Context context, Residual residual, ProjectedEnergy.Bases bases, Options options) {
    long[] ranks = options.ranks().stream().mapToLong(Integer::longValue).toArray();
    long leftAt = residual.structBytes();
    long rightAt = leftAt + Structs.MATRIX_SIZEOF;
    long workspaceAt = rightAt + Structs.MATRIX_SIZEOF;
    long optionsAt = workspaceAt + Workspace.STRUCT_BYTES;
    long ranksAt = optionsAt + Structs.SIGN_FLIP_ENERGY_OPTIONS_SIZEOF;
    long momentsAt = ranksAt + 8L * ranks.length;
    long bytes = momentsAt + (long) Structs.SIGN_FLIP_MOMENTS_SIZEOF * ranks.length;
    try (Context.Call call = context.begin();
        NativeBuffer structs = context.allocate(bytes);
        Operand.Leases leases = Operand.Leases.onProcessor(context)) {
      long address = leases.take(structs);
      residual.write(structs, address, leases);
      Operand.writeMatrix(bases.left(), structs, leftAt, leases);
      Operand.writeMatrix(bases.right(), structs, rightAt, leases);
      structs
          .putLongs(ranksAt, ranks)
          .putLong(
              optionsAt + Structs.SIGN_FLIP_ENERGY_OPTIONS_SIZE,
              Structs.SIGN_FLIP_ENERGY_OPTIONS_SIZEOF)
          .putLong(optionsAt + Structs.SIGN_FLIP_ENERGY_OPTIONS_RANKS, address + ranksAt)
          .putLong(optionsAt + Structs.SIGN_FLIP_ENERGY_OPTIONS_RANK_COUNT, ranks.length)
          .putDouble(optionsAt + Structs.SIGN_FLIP_ENERGY_OPTIONS_TOLERANCE, options.tolerance())
          .putLong(optionsAt + Structs.SIGN_FLIP_ENERGY_OPTIONS_SEED, options.seed());
      Workspace.use(
          context,
          call,
          structs,
          workspaceAt,
          size ->
              context
                  .binding()
                  .signFlipEnergyWorkspace(
                      context.handle(),
                      address,
                      address + leftAt,
                      address + rightAt,
                      address + optionsAt,
                      size),
          workspace ->
              context
                  .binding()
                  .signFlipEnergy(
                      context.handle(),
                      address,
                      address + leftAt,
                      address + rightAt,
                      address + optionsAt,
                      workspace,
                      address + momentsAt));
      List<Moments> moments = new ArrayList<>();
      for (int i = 0; i < ranks.length; i++) {
        long at = momentsAt + (long) Structs.SIGN_FLIP_MOMENTS_SIZEOF * i;
        moments.add(
            new Moments(
                structs.getDouble(at + Structs.SIGN_FLIP_MOMENTS_ENERGY),
                structs.getDouble(at + Structs.SIGN_FLIP_MOMENTS_MEAN),
                structs.getDouble(at + Structs.SIGN_FLIP_MOMENTS_VARIANCE),
                structs.getDouble(at + Structs.SIGN_FLIP_MOMENTS_VARIANCE_ERROR)));
      }
      return List.copyOf(moments);
    }
  }

  /**
   * Returns the variances of the residual with random signs in the singular bases of the base
   * ({@code tg_sign_flip_variances}), as {@link ProjectedEnergy#variances} does.
   *
   * @param context context that runs the kernel
   * @param residual the residual R
   * @param bases singular values and vectors of the base
   * @return (k + 2) x (k + 2), row by row
   */
  public static double[] variances(
      Context context, Residual residual, ProjectedEnergy.SingularBases bases) {
    double[] values = bases.values();
    Operand base = residual.base();
    if (values.length != Math.min(base.rows(), base.columns())) {
      throw new IllegalArgumentException(
          values.length + " singular values of " + base.rows() + " x " + base.columns());
    }
    int count = Sizes.length(Sizes.product(bases.left().rows() + 2, bases.right().rows() + 2));
    long leftAt = residual.structBytes();
    long rightAt = leftAt + Structs.MATRIX_SIZEOF;
    long workspaceAt = rightAt + Structs.MATRIX_SIZEOF;
    long valuesAt = workspaceAt + Workspace.STRUCT_BYTES;
    long variancesAt = valuesAt + 8L * values.length;
    try (Context.Call call = context.begin();
        NativeBuffer structs = context.allocate(variancesAt + 8L * count);
        Operand.Leases leases = Operand.Leases.onProcessor(context)) {
      long address = leases.take(structs);
      residual.write(structs, address, leases);
      Operand.writeMatrix(bases.left(), structs, leftAt, leases);
      Operand.writeMatrix(bases.right(), structs, rightAt, leases);
      structs.putDoubles(valuesAt, values);
      Workspace.use(
          context,
          call,
          structs,
          workspaceAt,
          size ->
              context
                  .binding()
                  .signFlipVariancesWorkspace(
                      context.handle(), address, address + leftAt, address + rightAt, size),
          workspace ->
              context
                  .binding()
                  .signFlipVariances(
                      context.handle(),
                      address,
                      address + valuesAt,
                      address + leftAt,
                      address + rightAt,
                      workspace,
                      address + variancesAt));
      return structs.getDoubles(variancesAt, count);
    }
  }

  /**
   * Draws base + S∘R, where S has independent random signs.
   *
   * @param context context that runs the kernel
   * @param residual the residual R
   * @param draw which of the independent draws to make
   * @param dtype dtype to which the sum is rounded: F32 or BF16
   * @return the sum; the caller closes its buffer
   */
  public static Matrix draw(Context context, Residual residual, NullUpdate.Draw draw, Dtype dtype) {
    return sum(context, residual, new Signs(draw, true), dtype);
  }

  /**
   * Computes base + R, with which the draws are compared.
   *
   * @param context context that runs the kernel
   * @param residual the residual R
   * @param dtype dtype to which the sum is rounded: F32 or BF16
   * @return the sum; the caller closes its buffer
   */
  public static Matrix kept(Context context, Residual residual, Dtype dtype) {
    return sum(context, residual, new Signs(new NullUpdate.Draw(0, 0), false), dtype);
  }

  private record Signs(NullUpdate.Draw draw, boolean flips) {}

  private static Matrix sum(Context context, Residual residual, Signs signs, Dtype dtype) {
    long rows = residual.base().rows();
    long columns = residual.base().columns();
    long optionsAt = residual.structBytes();
    long entries = Sizes.product(rows, columns);
    NativeBuffer result = context.allocate(Sizes.product(entries, dtype == Dtype.BF16 ? 2 : 4));
    try (Context.Call call = context.begin();
        NativeBuffer structs = context.allocate(optionsAt + Structs.SIGN_FLIP_OPTIONS_SIZEOF);
        Operand.Leases leases = Operand.Leases.onProcessor(context)) {
      long address = leases.take(structs);
      residual.write(structs, address, leases);
      structs
          .putLong(optionsAt + Structs.SIGN_FLIP_OPTIONS_SIZE, Structs.SIGN_FLIP_OPTIONS_SIZEOF)
          .putLong(optionsAt + Structs.SIGN_FLIP_OPTIONS_SEED, signs.draw().seed())
          .putLong(optionsAt + Structs.SIGN_FLIP_OPTIONS_DRAW, signs.draw().number())
          .putInt(optionsAt + Structs.SIGN_FLIP_OPTIONS_DTYPE, dtype.code())
          .putInt(optionsAt + Structs.SIGN_FLIP_OPTIONS_FLIPS, signs.flips() ? 1 : 0);
      long out = leases.takeOutput(result);
      call.run(
          unused ->
              context.binding().signFlip(context.handle(), address, address + optionsAt, out));
      return Matrix.of(result, dtype, rows, columns);
    } catch (RuntimeException | Error e) {
      result.close();
      throw e;
    }
  }
}
