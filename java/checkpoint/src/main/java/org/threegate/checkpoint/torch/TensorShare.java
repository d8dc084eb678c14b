package org.threegate.checkpoint.torch;

import java.util.Arrays;
import java.util.List;

/**
 * What a process holds of a tensor that the processes of a mesh share: DTensor in torch. Each
 * dimension of the mesh splits one dimension of the tensor, or repeats it.
 *
 * @param whole dimensions of the whole tensor
 * @param split for each dimension of the mesh, the dimension of the tensor that it splits, or -1 if
 *     its processes hold the same
 * @param coordinates place of the process in the mesh; empty if the file does not state it
 */
public record TensorShare(List<Long> whole, List<Integer> split, List<Long> coordinates) {
  /** Copies the lists. */
  public TensorShare {
    whole = List.copyOf(whole);
    split = List.copyOf(split);
    coordinates = List.copyOf(coordinates);
  }

  /**
   * A box of the whole tensor.
   *
   * @param begin first index of each dimension
   * @param size number of indexes of each dimension
   */
  public record Box(List<Long> begin, List<Long> size) {
    /** Copies the lists. */
    public Box {
      begin = List.copyOf(begin);
      size = List.copyOf(size);
    }
  }

  /**
   * {@return the box that the process holds} torch splits n indexes over p processes as {@code
   * torch.chunk} does: ceil(n / p) for each, and the rest, or none, for the last ones. Two
   * dimensions of the mesh that split one dimension of the tensor do so one after the other.
   *
   * @param mesh number of processes along each dimension of the mesh
   * @param place coordinates of the process
   */
  public Box box(List<Long> mesh, List<Long> place) {
    long[] begin = new long[whole.size()];
    long[] size = whole.stream().mapToLong(Long::longValue).toArray();
    for (int i = 0; i < split.size(); i++) {
      int dimension = split.get(i);
      if (dimension >= 0) {
        long chunk = size[dimension] / mesh.get(i) + (size[dimension] % mesh.get(i) == 0 ? 0 : 1);
        long from = Math.min(size[dimension], chunk * place.get(i));
        begin[dimension] += from;
        size[dimension] = Math.min(chunk, size[dimension] - from);
      }
    }
    return new Box(Arrays.stream(begin).boxed().toList(), Arrays.stream(size).boxed().toList());
  }
}
