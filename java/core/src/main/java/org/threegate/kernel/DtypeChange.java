package org.threegate.kernel;

import org.threegate.buffer.NativeBuffer;
import org.threegate.dtype.Dtype;
import org.threegate.spi.Structs;

/**
 * Counts the entries that contradict an update that only changes the dtype ({@code
 * tg_dtype_change}).
 *
 * <pre>{@code
 * Operand before = Operand.of(Matrix.of(buffer, Dtype.F32, 64, 64));
 * Operand after = Operand.of(Matrix.of(buffer, Dtype.BF16, 64, 64).at(16384));
 * System.out.println(DtypeChange.of(context, before, after, Dtype.BF16).explainsAll());
 * }</pre>
 */
public final class DtypeChange {
  private DtypeChange() {}

  /**
   * Counts of entries.
   *
   * @param entries entries that are finite on both sides, of which the others are counted
   * @param beyondHalf entries whose difference is above half a spacing of the dtype
   * @param tunedDiffers entries whose tuned value is not the base value rounded to the dtype
   * @param baseDiffers entries whose base value is not the tuned value rounded to the dtype
   */
  public record Result(long entries, long beyondHalf, long tunedDiffers, long baseDiffers) {
    /**
     * {@return whether rounding from one side to the other explains every entry} The difference is
     * then at most half a spacing everywhere.
     */
    public boolean explainsAll() {
      return beyondHalf == 0 && (tunedDiffers == 0 || baseDiffers == 0);
    }
  }

  /**
   * Counts entries.
   *
   * @param context context that runs the kernel
   * @param base weights before the update
   * @param tuned weights after the update, of the same shape
   * @param dtype the coarser dtype, any but F64
   * @return the counts
   */
  public static Result of(Context context, Operand base, Operand tuned, Dtype dtype) {
    long tunedAt = base.structBytes();
    long resultAt = tunedAt + tuned.structBytes();
    try (Context.Call call = context.begin();
        NativeBuffer structs = context.allocate(resultAt + Structs.DTYPE_CHANGE_RESULT_SIZEOF);
        Operand.Leases leases = Operand.Leases.onProcessor(context)) {
      long address = leases.take(structs);
      base.write(structs, address, 0, leases);
      tuned.write(structs, address, tunedAt, leases);
      structs.putLong(
          resultAt + Structs.DTYPE_CHANGE_RESULT_SIZE, Structs.DTYPE_CHANGE_RESULT_SIZEOF);
      call.run(
          unused ->
              context
                  .binding()
                  .dtypeChange(
                      context.handle(),
                      address,
                      address + tunedAt,
                      dtype.code(),
                      address + resultAt));
      return new Result(
          structs.getLong(resultAt + Structs.DTYPE_CHANGE_RESULT_ENTRIES),
          structs.getLong(resultAt + Structs.DTYPE_CHANGE_RESULT_BEYOND_HALF),
          structs.getLong(resultAt + Structs.DTYPE_CHANGE_RESULT_TUNED_DIFFERS),
          structs.getLong(resultAt + Structs.DTYPE_CHANGE_RESULT_BASE_DIFFERS));
    }
  }
}
