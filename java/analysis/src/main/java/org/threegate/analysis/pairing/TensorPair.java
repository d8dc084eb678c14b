package org.threegate.analysis.pairing;

import java.util.List;
import java.util.OptionalInt;
import org.threegate.checkpoint.Architecture;
import org.threegate.checkpoint.Tensor;
import org.threegate.checkpoint.TensorKind;
import org.threegate.kernel.Operand;

/**
 * One matrix or vector to compare.
 *
 * @param name name of the tensor
 * @param layer layer number; empty for a tensor outside the layers
 * @param kind role of the tensor in the model
 * @param stored how both sides are stored
 * @param base operand before training
 * @param tuned operand after training
 * @param heads attention heads as ranges of rows or columns
 * @param sources the tensors that the operands read, for digests and for reading ahead
 */
public record TensorPair(
    String name,
    OptionalInt layer,
    TensorKind kind,
    Stored stored,
    Operand base,
    Operand tuned,
    List<Architecture.Head> heads,
    List<Tensor> sources) {
  /**
   * How a tensor is stored.
   *
   * @param dtypeBase name of the dtype before training
   * @param dtypeTuned name of the dtype after training
   * @param dimensions number of dimensions
   * @param transposed whether the file stores inputs as rows
   */
  public record Stored(String dtypeBase, String dtypeTuned, int dimensions, boolean transposed) {}

  /** {@return the number of dimensions} */
  public int dimensions() {
    return stored.dimensions();
  }

  /** {@return whether the file stores inputs as rows} */
  public boolean transposed() {
    return stored.transposed();
  }

  /** {@return the size of all sources in their files, in bytes} */
  public long bytes() {
    return sources.stream().mapToLong(Tensor::bytes).sum();
  }
}
