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
 * @param sources the tensors that the operands read, for digests and for reading ahead
 */
public record TensorPair(
    String name,
    OptionalInt layer,
    TensorKind kind,
    String dtypeBase,
    String dtypeTuned,
    int dimensions,
    boolean transposed,
    Operand base,
    Operand tuned,
    List<Architecture.Head> heads,
    List<Tensor> sources) {
  /** Returns the bytes of all sources in their files. */
  public long bytes() {
    return sources.stream().mapToLong(Tensor::bytes).sum();
  }
}
