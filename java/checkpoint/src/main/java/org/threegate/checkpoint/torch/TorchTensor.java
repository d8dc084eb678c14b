package org.threegate.checkpoint.torch;

import java.util.List;
import java.util.Optional;

/**
 * A tensor in a file of torch.
 *
 * @param name name in the state dictionary
 * @param type dtype of the elements
 * @param shape dimensions; empty for a scalar
 * @param offset position of the first byte in the file
 * @param strides elements between neighbours along each dimension; empty if the elements lie in the
 *     order of the indexes, without gaps
 * @param share what this tensor is of a tensor that several processes share
 */
public record TorchTensor(
    String name,
    TorchType type,
    List<Long> shape,
    long offset,
    List<Long> strides,
    Optional<TensorShare> share) {
  /** Copies the lists. */
  public TorchTensor {
    shape = List.copyOf(shape);
    strides = List.copyOf(strides);
  }

  /** {@return the number of elements from the first one to the last one in the file} */
  public long span() {
    if (strides.isEmpty()) {
      return shape.stream().reduce(1L, Math::multiplyExact);
    }
    long last = 0;
    for (int i = 0; i < shape.size(); i++) {
      last += (shape.get(i) - 1) * strides.get(i);
    }
    return last + 1;
  }
}
