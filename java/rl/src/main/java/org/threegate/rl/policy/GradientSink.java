package org.threegate.rl.policy;

import org.bytedeco.pytorch.Tensor;

/**
 * Receives the gradients of a backward pass. Tensors are freed after the calls. Parameters are
 * given by their indices in {@link Decoder#trainable}.
 */
public interface GradientSink {
  /**
   * Receives the whole gradient of a parameter, except for the output matrix and the embedding.
   *
   * @param parameter the index of the parameter
   * @param gradient the gradient
   */
  void whole(int parameter, Tensor gradient);

  /**
   * Receives the gradient of some rows of the output matrix. Each row comes once.
   *
   * @param parameter the index of the parameter
   * @param first the index of the first row
   * @param gradient the gradient of the rows, [rows, hidden]
   */
  void rows(int parameter, long first, Tensor gradient);

  /**
   * Receives the gradients of the rows that the embedding has looked up. They are added to what
   * {@link #rows} brings where the embedding is the output matrix.
   *
   * @param parameter the index of the parameter
   * @param tokens the indices of the rows, [tokens], int64
   * @param gradient the gradients, [tokens, hidden]
   */
  void looked(int parameter, Tensor tokens, Tensor gradient);
}
