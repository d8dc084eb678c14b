package org.threegate.checkpoint;

import java.util.List;

/**
 * A tensor whose rows several processes stored, each some of them, one after the other.
 *
 * @param name name of the whole tensor
 * @param shape dimensions of the whole tensor
 * @param parts the parts in the order of the rows; each has the same dtype
 */
public record TensorParts(String name, List<Long> shape, List<Tensor> parts) {
  /** Copies the lists. */
  public TensorParts {
    shape = List.copyOf(shape);
    parts = List.copyOf(parts);
  }
}
