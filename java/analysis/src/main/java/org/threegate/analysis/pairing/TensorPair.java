package org.threegate.analysis.pairing;

import java.util.List;
import java.util.OptionalInt;
import org.threegate.buffer.NativeBuffer;
import org.threegate.checkpoint.Architecture;
import org.threegate.checkpoint.TensorKind;
import org.threegate.kernel.Operand;

/**
 * One matrix or vector to compare, as kernels read it. Closing it frees entries that were computed
 * for it.
 *
 * @param name name of the tensor
 * @param layer layer number; empty for a tensor outside the layers
 * @param kind role of the tensor in the model
 * @param stored how both sides are stored
 * @param base operand before training
 * @param tuned operand after training
 * @param heads attention heads as ranges of rows or columns
 * @param computed memory of entries that are not read from a file; {@link #close} frees it
 */
public record TensorPair(
    String name,
    OptionalInt layer,
    TensorKind kind,
    Stored stored,
    Operand base,
    Operand tuned,
    List<Architecture.Head> heads,
    List<NativeBuffer> computed)
    implements AutoCloseable {
  /**
   * How a tensor is stored.
   *
   * @param dtypeBase name of the dtype before training
   * @param dtypeTuned name of the dtype after training
   * @param dimensions number of dimensions
   * @param transposed whether the file stores inputs as rows
   */
  public record Stored(String dtypeBase, String dtypeTuned, int dimensions, boolean transposed) {
    /**
     * {@return the shape of a matrix: outputs, inputs; for a vector, its length}
     *
     * @param rows rows as stored
     * @param columns columns as stored
     */
    public List<Long> shape(long rows, long columns) {
      if (dimensions < 2) {
        return List.of(columns);
      }
      return transposed ? List.of(columns, rows) : List.of(rows, columns);
    }
  }

  /** {@return the number of dimensions} */
  public int dimensions() {
    return stored.dimensions();
  }

  /** {@return whether the file stores inputs as rows} */
  public boolean transposed() {
    return stored.transposed();
  }

  @Override
  public void close() {
    computed.forEach(NativeBuffer::close);
  }
}
