package org.threegate.kernel;

import java.util.Optional;
import org.threegate.buffer.NativeBuffer;
import org.threegate.dtype.Dtype;

/**
 * Random updates to hold a true one against ({@code tg_perturb}, {@code tg_rotate_update}): each
 * method writes what the tuned matrix would be. Draws of one seed are independent, and the same
 * seed and draw give the same matrix everywhere. The caller closes the buffer of the result.
 *
 * <pre>{@code
 * Operand before = Operand.of(Matrix.of(buffer, Dtype.BF16, 64, 64));
 * Matrix after = NullUpdate.gaussian(context, before, 1e-4, Dtype.BF16, 7, 0, control);
 * try (NativeBuffer noise = after.buffer()) {
 *   System.out.println(noise.bytes() + " bytes of a matrix with noise");
 * }
 * }</pre>
 */
public final class NullUpdate {
  private static final int GAUSSIAN = 1;
  private static final int PERMUTED = 2;

  private NullUpdate() {}

  /**
   * Independent normal entries are added.
   *
   * @param deviation standard deviation of an entry
   * @param dtype what the sum is rounded to: F32 or BF16
   * @param draw 0 to 2^32 - 1
   */
  public static Matrix gaussian(
      Context context,
      Operand base,
      double deviation,
      Dtype dtype,
      long seed,
      long draw,
      Control control) {
    return perturb(
        context, base, Optional.empty(), GAUSSIAN, deviation, dtype, seed, draw, control);
  }

  /** The entries of tuned - base are added at random positions; the result is float32. */
  public static Matrix permuted(
      Context context, Operand base, Operand tuned, long seed, long draw, Control control) {
    return perturb(context, base, Optional.of(tuned), PERMUTED, 0, Dtype.F32, seed, draw, control);
  }

  private static Matrix perturb(
      Context context,
      Operand base,
      Optional<Operand> tuned,
      int kind,
      double deviation,
      Dtype dtype,
      long seed,
      long draw,
      Control control) {
    long entries = Math.multiplyExact(base.rows(), base.columns());
    long tunedAt = base.structBytes();
    long optionsAt = tunedAt + tuned.map(Operand::structBytes).orElse(0L);
    NativeBuffer result =
        context.allocate(Math.multiplyExact(entries, dtype == Dtype.BF16 ? 2 : 4));
    try (Context.Call call = context.begin();
        NativeBuffer structs = context.allocate(optionsAt + Struct.PERTURB_OPTIONS);
        Operand.Leases leases = new Operand.Leases();
        NativeBuffer.Lease controlLease = control.lease()) {
      long address = leases.take(structs);
      base.write(structs, address, 0, leases);
      tuned.ifPresent(other -> other.write(structs, address, tunedAt, leases));
      structs
          .putLong(optionsAt + Struct.PERTURB_OPTIONS_SIZE, Struct.PERTURB_OPTIONS)
          .putInt(optionsAt + Struct.PERTURB_OPTIONS_KIND, kind)
          .putInt(optionsAt + Struct.PERTURB_OPTIONS_DTYPE, dtype.code())
          .putLong(optionsAt + Struct.PERTURB_OPTIONS_SEED, seed)
          .putLong(optionsAt + Struct.PERTURB_OPTIONS_DRAW, draw)
          .putDouble(optionsAt + Struct.PERTURB_OPTIONS_DEVIATION, deviation);
      long other = tuned.isPresent() ? address + tunedAt : 0;
      long out = leases.take(result);
      call.run(
          unused ->
              context
                  .binding()
                  .perturb(
                      context.handle(),
                      address,
                      other,
                      address + optionsAt,
                      controlLease.address(),
                      out));
      return Matrix.of(result, dtype, base.rows(), base.columns());
    } catch (RuntimeException e) {
      result.close();
      throw e;
    }
  }

  /**
   * The update's singular values in Haar-distributed directions, as the core of the sum in the
   * singular bases of W0: its singular values are those of W0 + PSQᵀ, and W0's singular vectors are
   * the unit vectors in its coordinates. float32, (r + min(r, longSide − r)) x r.
   *
   * @param baseValues the r singular values of W0
   * @param updateValues those of the update
   */
  public static Matrix rotated(
      Context context,
      double[] baseValues,
      double[] updateValues,
      long longSide,
      long seed,
      long draw) {
    if (baseValues.length != updateValues.length) {
      throw new IllegalArgumentException(
          baseValues.length + " and " + updateValues.length + " singular values");
    }
    int count = baseValues.length;
    long rows = count + Math.min(count, longSide - count);
    long valuesAt = Struct.ROTATION_OPTIONS;
    long workspaceAt = valuesAt + 16L * count;
    NativeBuffer result = context.allocate(4L * Math.max(rows, 0) * count);
    try (Context.Call call = context.begin();
        NativeBuffer structs = context.allocate(workspaceAt + Workspace.STRUCT_BYTES);
        Operand.Leases leases = new Operand.Leases()) {
      long address = leases.take(structs);
      for (int i = 0; i < count; i++) {
        structs
            .putDouble(valuesAt + 8L * i, baseValues[i])
            .putDouble(valuesAt + 8L * (count + i), updateValues[i]);
      }
      structs
          .putLong(Struct.ROTATION_OPTIONS_SIZE, Struct.ROTATION_OPTIONS)
          .putLong(Struct.ROTATION_OPTIONS_COUNT, count)
          .putLong(Struct.ROTATION_OPTIONS_LONG_SIDE, longSide)
          .putLong(Struct.ROTATION_OPTIONS_SEED, seed)
          .putLong(Struct.ROTATION_OPTIONS_DRAW, draw)
          .putLong(Struct.ROTATION_OPTIONS_BASE_VALUES, address + valuesAt)
          .putLong(Struct.ROTATION_OPTIONS_UPDATE_VALUES, address + valuesAt + 8L * count);
      long out = leases.take(result);
      Workspace.use(
          context,
          call,
          structs,
          workspaceAt,
          size -> context.binding().rotateUpdateWorkspace(context.handle(), address, size),
          workspace -> context.binding().rotateUpdate(context.handle(), address, workspace, out));
      return Matrix.of(result, Dtype.F32, rows, count);
    } catch (RuntimeException e) {
      result.close();
      throw e;
    }
  }
}
