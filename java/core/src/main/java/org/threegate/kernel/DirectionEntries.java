package org.threegate.kernel;

import java.util.ArrayList;
import java.util.List;
import org.threegate.buffer.NativeBuffer;
import org.threegate.spi.Structs;

/**
 * Computes the entries of a direction ({@code tg_direction_entries}).
 *
 * <pre>{@code
 * Operand before = Operand.of(Matrix.of(buffer, Dtype.BF16, 64, 64));
 * Operand after = Operand.of(Matrix.of(buffer, Dtype.BF16, 64, 64).at(8192));
 * try (NativeBuffer values = DirectionEntries.of(context, Direction.update(before, after))) {
 *   System.out.println(values.getDouble(0));
 * }
 * }</pre>
 */
public final class DirectionEntries {
  private DirectionEntries() {}

  /**
   * Computes the entries.
   *
   * @param context context that runs the kernel
   * @param direction the direction
   * @return float64, row by row; the caller closes the buffer
   */
  public static NativeBuffer of(Context context, Direction.Entries direction) {
    List<NativeBuffer> masks = new ArrayList<>();
    NativeBuffer values =
        context.allocate(8 * Sizes.product(direction.rows(), direction.columns()));
    boolean done = false;
    try (Context.Call call = context.begin();
        NativeBuffer structs =
            context.allocate(Structs.DIRECTION_SIZEOF + DirectionStruct.detailBytes(direction));
        Operand.Leases leases = Operand.Leases.onProcessor(context)) {
      long address = leases.take(structs);
      DirectionStruct.write(
          context, direction, structs, 0, Structs.DIRECTION_SIZEOF, leases, masks);
      long out = leases.take(values);
      call.run(unused -> context.binding().directionEntries(context.handle(), address, out));
      done = true;
      return values;
    } finally {
      masks.forEach(NativeBuffer::close);
      if (!done) {
        values.close();
      }
    }
  }
}
