package org.threegate.checkpoint;

import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import org.threegate.checkpoint.torch.TorchTensor;
import org.threegate.kernel.MappedFile;

/** Boxes that cover a tensor. */
final class Boxes {
  private Boxes() {}

  /**
   * Returns a tensor of torch as a piece of a whole.
   *
   * @param stored name of the piece
   * @param file file of the tensor
   * @param base position in the file from which the offset of the tensor counts
   * @param begin first index of each dimension of the whole
   */
  static TensorPiece piece(
      String stored, TorchTensor tensor, MappedFile file, long base, List<Long> begin) {
    boolean ordered = tensor.strides().isEmpty();
    TensorType type = TensorType.valueOf(tensor.type().name());
    List<Long> shape = ordered ? tensor.shape() : List.of(tensor.span());
    return new TensorPiece(
        new Tensor(stored, type, shape, file, base + tensor.offset()),
        begin,
        tensor.shape(),
        ordered ? strides(tensor.shape()) : tensor.strides());
  }

  /** Returns a tensor of torch that lies in one place as the only piece of itself. */
  static TensorPiece piece(TorchTensor tensor, MappedFile file) {
    String stored =
        tensor.strides().isEmpty()
            ? tensor.name()
            : tensor.name() + " [strides " + tensor.strides() + "]";
    return piece(stored, tensor, file, 0, tensor.shape().stream().map(size -> 0L).toList());
  }

  /** Returns the distances of entries that lie in the order of the indexes, without gaps. */
  static List<Long> strides(List<Long> shape) {
    Long[] strides = new Long[shape.size()];
    long stride = 1;
    for (int i = strides.length - 1; i >= 0; i--) {
      strides[i] = stride;
      stride *= Math.max(1, shape.get(i));
    }
    return List.of(strides);
  }

  /** Compares indexes in their order. */
  static int compare(List<Long> a, List<Long> b) {
    for (int i = 0; i < a.size(); i++) {
      int order = Long.compare(a.get(i), b.get(i));
      if (order != 0) {
        return order;
      }
    }
    return 0;
  }

  /**
   * Returns whether pieces are all cells of a grid, so that each entry lies in exactly one of them.
   * The time grows with the number of pieces only. torch splits tensors in no other way.
   */
  static boolean cover(List<Long> space, List<TensorPiece> pieces) {
    List<TreeMap<Long, Long>> cuts = new ArrayList<>();
    space.forEach(size -> cuts.add(new TreeMap<>()));
    Set<List<Long>> cells = new HashSet<>();
    for (TensorPiece piece : pieces) {
      for (int i = 0; i < space.size(); i++) {
        long end = piece.begin().get(i) + piece.size().get(i);
        Long other = cuts.get(i).putIfAbsent(piece.begin().get(i), end);
        if (other != null && other != end) {
          return false;
        }
      }
      if (!cells.add(piece.begin())) {
        return false;
      }
    }
    long expected = 1;
    for (int i = 0; i < space.size(); i++) {
      long covered = 0;
      for (Map.Entry<Long, Long> cut : cuts.get(i).entrySet()) {
        if (cut.getKey() != covered) {
          return false;
        }
        covered = cut.getValue();
      }
      expected *= cuts.get(i).size();
      if (covered != space.get(i) || expected > pieces.size()) {
        return false;
      }
    }
    return expected == pieces.size();
  }
}
