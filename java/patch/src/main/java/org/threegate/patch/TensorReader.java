package org.threegate.patch;

import org.threegate.buffer.NativeBuffer;
import org.threegate.checkpoint.Tensor;
import org.threegate.kernel.Context;

/**
 * A stored tensor, a few elements at a time, read and not mapped: that is twice as fast as to fault
 * its pages in, and what is compared, summed up and written is the same even where somebody writes
 * to the file meanwhile.
 */
final class TensorReader implements Change.After, AutoCloseable {
  private final Context context;
  private final Tensor tensor;
  private final int width;
  private final NativeBuffer buffer;

  /**
   * @param most elements that are read at a time
   */
  TensorReader(Context context, Tensor tensor, long most) {
    this.context = context;
    this.tensor = tensor;
    this.width = Change.width(tensor);
    this.buffer = context.allocate(Math.max(1, most * width));
  }

  @Override
  public Range next(long begin, long count) {
    tensor.file().read(context, tensor.offset() + begin * width, buffer, count * width);
    return Range.first(buffer, count * width);
  }

  @Override
  public void close() {
    buffer.close();
  }
}
