package org.threegate.patch;

import java.util.Optional;
import org.threegate.checkpoint.Tensor;

/** The elements of a tensor, read in ascending order. */
@FunctionalInterface
interface BlockSource {
  /**
   * Returns the next elements. The range is valid until the next call.
   *
   * @param begin number of the first element
   * @param count number of elements
   */
  Range next(long begin, long count);

  /** Returns the stored tensor whose bytes these are, if it is one. */
  default Optional<Tensor> stored() {
    return Optional.empty();
  }
}
