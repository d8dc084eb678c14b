package org.threegate.checkpoint;

import java.util.List;
import org.threegate.buffer.NativeBuffer;
import org.threegate.kernel.ByteRange;
import org.threegate.kernel.Context;

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
public record TensorParts(
    String name, List<Long> shape, List<Long> space, List<TensorPiece> pieces) {
  /** Shorter runs are copied faster through the mapping than by a call of the system each. */
  private static final long SHORTEST_READ = 1 << 16;

  /** Copies the lists. */
  public TensorParts {
    shape = List.copyOf(shape);
    space = List.copyOf(space);
    pieces = List.copyOf(pieces);
  }

  /** {@return the stored tensors that hold the entries} */
  public List<Tensor> parts() {
    return pieces.stream().map(TensorPiece::tensor).toList();
  }

  /** {@return the dtype of the entries} */
  public TensorType type() {
    return pieces.get(0).tensor().type();
  }

  /**
   * Copies entries as they are stored.
   *
   * @param first index of the first entry, in the order of the indexes
   * @param count number of entries
   * @param to receives each entry once, in any order, from its offset 0 on
   */
  public void copy(long first, long count, TensorPiece.Destination to) {
    pieces.forEach(piece -> Assembly.copy(piece, space, first, first + count, to));
  }

  /**
   * Copies entries as they are stored into a buffer. Long runs are read from the file, which is
   * faster than to fault mapped pages in.
   *
   * @param context context of the calling thread
   * @param first index of the first entry, in the order of the indexes
   * @param count number of entries
   * @param to buffer to fill
   * @param at position of the first byte in the buffer
   * @throws org.threegate.kernel.KernelException IO if a file has become shorter
   */
  public void read(Context context, long first, long count, NativeBuffer to, long at) {
    for (TensorPiece piece : pieces) {
      Assembly.copy(
          piece,
          space,
          first,
          first + count,
          (offset, bytes) -> to.put(at + offset, bytes),
          (file, offset, bytes) -> {
            if (bytes < SHORTEST_READ) {
              return false;
            }
            piece.tensor().file().read(context, file, new ByteRange(to, at + offset, bytes));
            return true;
          });
    }
  }
}
