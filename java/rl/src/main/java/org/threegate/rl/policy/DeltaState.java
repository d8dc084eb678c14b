package org.threegate.rl.policy;

import java.util.function.UnaryOperator;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptions;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;

/**
 * What the gated delta rule of a layer keeps of the tokens so far. Its size does not depend on
 * their number.
 *
 * @param columns the inputs of the convolution of the last tokens, [batch, kernel - 1, channels]
 * @param memory the memories of the heads, [batch, value heads, key dimension, value dimension]
 */
record DeltaState(Tensor columns, Tensor memory) implements AutoCloseable {
  /**
   * Allocates the state before the first token. The caller closes it.
   *
   * @param type the dtype of the model
   * @param exact the dtype of memories
   */
  static DeltaState of(Mixer.DeltaRule kind, ScalarType type, ScalarType exact, int batch) {
    return new DeltaState(
        zeros(type, batch, kind.kernel() - 1L, kind.channels()),
        zeros(exact, batch, kind.valueHeads(), kind.keyDimension(), kind.valueDimension()));
  }

  private static Tensor zeros(ScalarType type, long... shape) {
    return Scopes.own(() -> ModelDevice.placed(torch.zeros(shape, new TensorOptions(type))));
  }

  /** Returns the state with both tensors replaced. */
  DeltaState map(UnaryOperator<Tensor> change) {
    return new DeltaState(change.apply(columns), change.apply(memory));
  }

  @Override
  public void close() {
    columns.close();
    memory.close();
  }
}
