package org.threegate.checkpoint.torch;

import java.util.List;

/** Dimensions of tensors, as a file states them. */
final class Dimensions {
  /** Most dimensions of a tensor, as numpy has it. */
  static final int MOST = 64;

  private Dimensions() {}

  /** Refuses dimensions whose product overflows, and empty tensors that loops run long over. */
  static void check(ByteSource source, List<Long> shape) {
    try {
      long elements = 1;
      for (long size : shape) {
        elements = Math.multiplyExact(elements, Math.max(1, size));
      }
      Math.multiplyExact(elements, Long.BYTES);
      if (!shape.contains(0L) || elements <= Integer.MAX_VALUE) {
        return;
      }
    } catch (ArithmeticException e) {
      // Refused below, too.
    }
    throw source.damaged("has a tensor of impossible dimensions");
  }
}
