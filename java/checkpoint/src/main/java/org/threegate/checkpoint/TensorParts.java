package org.threegate.checkpoint;

import java.util.List;

/**
 * A tensor that lies in pieces, or whose entries do not lie in the order of the indexes. The pieces
 * are boxes that together cover each entry once.
 *
 * @param name name of the whole tensor
 * @param shape dimensions of the whole tensor
 * @param space dimensions that the boxes lie in: those of the tensor, or the number of entries if
 *     the pieces are ranges of the entries in the order of the indexes
 * @param pieces the pieces in the order of their first entries; each has the same dtype
 */
public record TensorParts(String name, List<Long> shape, List<Long> space, List<Piece> pieces) {
  /** Copies the lists. */
  public TensorParts {
    shape = List.copyOf(shape);
    space = List.copyOf(space);
    pieces = List.copyOf(pieces);
  }

  /**
   * A box of a tensor, with at least one entry.
   *
   * @param tensor what is stored; its first entry is the first one of the box
   * @param begin first index of each dimension
   * @param size number of indexes of each dimension
   * @param strides stored entries from one index to the next of each dimension
   */
  public record Piece(Tensor tensor, List<Long> begin, List<Long> size, List<Long> strides) {
    /** Copies the lists. */
    public Piece {
      begin = List.copyOf(begin);
      size = List.copyOf(size);
      strides = List.copyOf(strides);
    }
  }

  /** {@return the stored tensors that hold the entries} */
  public List<Tensor> parts() {
    return pieces.stream().map(Piece::tensor).toList();
  }
}
