package org.threegate.checkpoint.torch;

import java.util.List;
import java.util.Optional;

/**
 * A contiguous tensor in a file of torch.
 *
 * @param name name in the state dictionary
 * @param type dtype of the elements
 * @param shape dimensions; empty for a scalar
 * @param offset position of the first byte in the file
 * @param whole dimensions of the whole tensor if this one is a part of its rows
 */
public record TorchTensor(
    String name, TorchType type, List<Long> shape, long offset, Optional<List<Long>> whole) {
  /** Copies the lists. */
  public TorchTensor {
    shape = List.copyOf(shape);
    whole = whole.map(List::copyOf);
  }
}
