package org.threegate.checkpoint;

import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;

/** Boxes that cover a tensor. */
final class Boxes {
  private Boxes() {}

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
