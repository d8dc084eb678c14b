package org.threegate.kernel;

import java.util.Optional;
import org.threegate.buffer.NativeBuffer;
import org.threegate.dtype.Dtype;
import org.threegate.spi.Constants;
import org.threegate.spi.Structs;

/**
 * Draws random updates for null models ({@code tg_perturb}, {@code tg_rotate_update}, {@code
 * tg_normal_update}). A result is the updated matrix, or the update in the singular bases of W0.
 * Draws with one seed are independent. The same seed and draw give the same matrix on every
 * machine. The caller must close the buffer of the result.
 *
 * <pre>{@code
 * Operand before = Operand.of(Matrix.of(buffer, Dtype.BF16, 64, 64));
 * Matrix after = NullUpdate.gaussian(context, new NullUpdate.Noise(before, 1e-4, Dtype.BF16), new NullUpdate.Draw(7, 0), control);
 * try (NativeBuffer noise = after.buffer()) {
 *   System.out.println(noise.bytes() + " bytes of a matrix with noise");
 * }
 * }</pre>
 */
public final class NullUpdate {
  private NullUpdate() {}

  /**
   * Which of the independent draws to make.
   *
   * @param seed seed of the generator
   * @param number number of the draw, 0 to 2^32 - 1
   */
  public record Draw(long seed, long number) {}

  /**
   * Independent normal numbers that are added to a matrix.
   *
   * @param base the matrix
   * @param deviation standard deviation of each number
   * @param dtype dtype to which the sum is rounded: F32 or BF16
   */
  public record Noise(Operand base, double deviation, Dtype dtype) {}

  /**
   * A matrix before and after an update.
   *
   * @param base the matrix before
   * @param tuned the matrix after, of the same shape
   */
  public record Pair(Operand base, Operand tuned) {}

  /**
   * Singular values, and the length of the long side of W0.
   *
   * @param values r singular values, descending
   * @param longSide length of the long side of W0, at least r
   */
  public record Spectrum(double[] values, long longSide) {
    /** Copies the values. */
    public Spectrum {
      values = values.clone();
    }

    /** {@return a copy of the array} */
    @Override
    public double[] values() {
      return values.clone();
    }
  }

  /**
   * Adds independent normal numbers to a matrix.
   *
   * @param context context that runs the kernel
   * @param noise matrix and noise
   * @param draw which of the independent draws to make
   * @param control cancels the call and reports its progress
   * @return the sum; the caller closes its buffer
   */
  public static Matrix gaussian(Context context, Noise noise, Draw draw, Control control) {
    return perturb(context, new Perturbation(Optional.empty(), noise), draw, control);
  }

  /**
   * Adds the entries of tuned - base at random positions. The result is float32.
   *
   * @param context context that runs the kernel
   * @param pair the matrix before and after the update
   * @param draw which of the independent draws to make
   * @param control cancels the call and reports its progress
   * @return the sum; the caller closes its buffer
   */
  public static Matrix permuted(Context context, Pair pair, Draw draw, Control control) {
    Noise none = new Noise(pair.base(), 0, Dtype.F32);
    return perturb(context, new Perturbation(Optional.of(pair.tuned()), none), draw, control);
  }

  /** A {@code tg_perturb}: of the entries of an update if there is one, or else of noise. */
  private record Perturbation(Optional<Operand> tuned, Noise noise) {
    int kind() {
      return tuned.isPresent() ? Constants.PERTURB_PERMUTED : Constants.PERTURB_GAUSSIAN;
    }
  }

  private static Matrix perturb(
      Context context, Perturbation perturbation, Draw draw, Control control) {
    Operand base = perturbation.noise().base();
    Dtype dtype = perturbation.noise().dtype();
    Optional<Operand> tuned = perturbation.tuned();
    long entries = Sizes.product(base.rows(), base.columns());
    long tunedAt = base.structBytes();
    long optionsAt = tunedAt + tuned.map(Operand::structBytes).orElse(0L);
    NativeBuffer result = context.allocate(Sizes.product(entries, dtype == Dtype.BF16 ? 2 : 4));
    try (Context.Call call = control.begin(context);
        NativeBuffer structs = context.allocate(optionsAt + Structs.PERTURB_OPTIONS_SIZEOF);
        Operand.Leases leases = Operand.Leases.onProcessor(context)) {
      long address = leases.take(structs);
      base.write(structs, address, 0, leases);
      tuned.ifPresent(other -> other.write(structs, address, tunedAt, leases));
      structs
          .putLong(optionsAt + Structs.PERTURB_OPTIONS_SIZE, Structs.PERTURB_OPTIONS_SIZEOF)
          .putInt(optionsAt + Structs.PERTURB_OPTIONS_KIND, perturbation.kind())
          .putInt(optionsAt + Structs.PERTURB_OPTIONS_DTYPE, dtype.code())
          .putLong(optionsAt + Structs.PERTURB_OPTIONS_SEED, draw.seed())
          .putLong(optionsAt + Structs.PERTURB_OPTIONS_DRAW, draw.number())
          .putDouble(
              optionsAt + Structs.PERTURB_OPTIONS_DEVIATION, perturbation.noise().deviation());
      long other = tuned.isPresent() ? address + tunedAt : 0;
      long out = leases.takeOutput(result);
      call.run(
          unused ->
              context
                  .binding()
                  .perturb(
                      context.handle(), address, other, address + optionsAt, call.control(), out));
      return Matrix.of(result, dtype, base.rows(), base.columns());
    } catch (RuntimeException | Error e) {
      result.close();
      throw e;
    }
  }

  /**
   * Draws an update with given singular values in Haar-distributed directions. The result is its
   * core in the singular bases of W0, where W0 is diagonal: (r + min(r, longSide − r)) x r,
   * float32. See {@link SpectrumPerturbation}.
   *
   * @param context context that runs the kernel
   * @param spectrum singular values of the update
   * @param draw which of the independent draws to make
   * @return the core; the caller closes its buffer
   */
  public static Matrix rotated(Context context, Spectrum spectrum, Draw draw) {
    double[] values = spectrum.values();
    long longSide = spectrum.longSide();
    int count = values.length;
    long valuesAt = Structs.ROTATION_OPTIONS_SIZEOF;
    long workspaceAt = valuesAt + 8L * count;
    return core(
        context,
        count,
        longSide,
        workspaceAt + Workspace.STRUCT_BYTES,
        (call, structs, address, out) -> {
          structs
              .putDoubles(valuesAt, values)
              .putLong(Structs.ROTATION_OPTIONS_SIZE, Structs.ROTATION_OPTIONS_SIZEOF)
              .putLong(Structs.ROTATION_OPTIONS_COUNT, count)
              .putLong(Structs.ROTATION_OPTIONS_LONG_SIDE, longSide)
              .putLong(Structs.ROTATION_OPTIONS_SEED, draw.seed())
              .putLong(Structs.ROTATION_OPTIONS_DRAW, draw.number())
              .putLong(Structs.ROTATION_OPTIONS_UPDATE_VALUES, address + valuesAt);
          Workspace.use(
              context,
              call,
              structs,
              workspaceAt,
              size -> context.binding().rotateUpdateWorkspace(context.handle(), address, size),
              workspace ->
                  context.binding().rotateUpdate(context.handle(), address, workspace, out));
        });
  }

  /**
   * Makes another draw from a result of {@link #rotated} at the cost of a copy. It permutes the
   * first r rows and the columns, under which the Haar measure is invariant.
   *
   * @param context context that runs the kernel
   * @param core the core to permute
   * @param draw which of the independent draws to make
   * @return another core; the caller closes its buffer
   */
  public static Matrix shuffled(Context context, Matrix core, Draw draw) {
    requireCore(core);
    return core(
        context,
        Sizes.length(core.columns()),
        core.rows(),
        Structs.SHUFFLE_OPTIONS_SIZEOF,
        (call, structs, address, out) -> {
          structs
              .putLong(Structs.SHUFFLE_OPTIONS_SIZE, Structs.SHUFFLE_OPTIONS_SIZEOF)
              .putLong(Structs.SHUFFLE_OPTIONS_COUNT, core.columns())
              .putLong(Structs.SHUFFLE_OPTIONS_CORE_ROWS, core.rows())
              .putLong(Structs.SHUFFLE_OPTIONS_SEED, draw.seed())
              .putLong(Structs.SHUFFLE_OPTIONS_DRAW, draw.number());
          try (NativeBuffer.Lease lease = core.buffer().lease()) {
            long from = lease.address() + core.offset();
            call.run(
                unused -> context.binding().shuffleUpdate(context.handle(), address, from, out));
          }
        });
  }

  /**
   * Draws an update whose entries in the singular bases of W0 are independent and normal. By the
   * central limit theorem, this holds for updates with many independent or permuted entries. The
   * result is a core as that of {@link #rotated}.
   *
   * @param context context that runs the kernel
   * @param spectrum singular values of W0
   * @param variances (k + 2) x (k + 2), row by row: directions of the long side by those of the
   *     short side, as {@link ProjectedEnergy#variances} returns them; {v, 0, 0, 0} is v everywhere
   * @param draw which of the independent draws to make
   * @return the core; the caller closes its buffer
   */
  public static Matrix normal(Context context, Spectrum spectrum, double[] variances, Draw draw) {
    double[] values = spectrum.values();
    long longSide = spectrum.longSide();
    int classes = (int) Math.sqrt(variances.length);
    if (classes < 2 || classes * classes != variances.length) {
      throw new IllegalArgumentException(
          variances.length + " variances; their number must be a square");
    }
    long valuesAt = Structs.NORMAL_OPTIONS_SIZEOF;
    long variancesAt = valuesAt + 8L * values.length;
    return core(
        context,
        values.length,
        longSide,
        variancesAt + 8L * variances.length,
        (call, structs, address, out) -> {
          structs
              .putDoubles(valuesAt, values)
              .putDoubles(variancesAt, variances)
              .putLong(Structs.NORMAL_OPTIONS_SIZE, Structs.NORMAL_OPTIONS_SIZEOF)
              .putLong(Structs.NORMAL_OPTIONS_COUNT, values.length)
              .putLong(Structs.NORMAL_OPTIONS_LONG_SIDE, longSide)
              .putLong(Structs.NORMAL_OPTIONS_LEADING, classes - 2)
              .putLong(Structs.NORMAL_OPTIONS_SEED, draw.seed())
              .putLong(Structs.NORMAL_OPTIONS_DRAW, draw.number())
              .putLong(Structs.NORMAL_OPTIONS_VALUES, address + valuesAt)
              .putLong(Structs.NORMAL_OPTIONS_VARIANCES, address + variancesAt);
          call.run(unused -> context.binding().normalUpdate(context.handle(), address, out));
        });
  }

  /** Checks the layout of a core, because it is passed by address. */
  static void requireCore(Matrix core) {
    if (core.dtype() != Dtype.F32 || core.hasGaps()) {
      throw new IllegalArgumentException(
          "the core is " + core.dtype() + "; it must be F32 and contiguous");
    }
  }

  @FunctionalInterface
  private interface CoreKernel {
    void into(Context.Call call, NativeBuffer structs, long address, long core);
  }

  private static Matrix core(
      Context context, int count, long longSide, long structBytes, CoreKernel kernel) {
    long rows = count + Math.min(count, longSide - count);
    NativeBuffer result = context.allocate(Sizes.product(4L * Math.max(rows, 0), count));
    try (Context.Call call = context.begin();
        NativeBuffer structs = context.allocate(structBytes);
        Operand.Leases leases = Operand.Leases.onProcessor(context)) {
      kernel.into(call, structs, leases.take(structs), leases.takeOutput(result));
      return Matrix.of(result, Dtype.F32, rows, count);
    } catch (RuntimeException | Error e) {
      result.close();
      throw e;
    }
  }
}
