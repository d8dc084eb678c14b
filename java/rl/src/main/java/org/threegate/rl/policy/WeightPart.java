package org.threegate.rl.policy;

import org.bytedeco.pytorch.Tensor;

/**
 * A part of a parameter that is measured and masked by itself, because several layers are stored in
 * one tensor.
 *
 * <pre>{@code
 * for (WeightPart part : decoder.config().parts()) {
 *   System.out.println(part.name()); // model.layers.0.linear_attn.in_proj_qkv.weight[q]
 * }
 * }</pre>
 */
public sealed interface WeightPart permits ExpertPart, RowPart {
  /** {@return the name of the parameter} */
  String parameter();

  /** {@return the name, as {@code threegate compare} and {@code threegate mask} have it} */
  String name();

  /** {@return whether the part is a matrix} Otherwise it has biases. */
  boolean isMatrix();

  /**
   * {@return a view of the part, whose entries are in the order of its rows and columns} Rows may
   * be split into several dimensions.
   *
   * @param whole the parameter, or a tensor of its shape
   */
  Tensor in(Tensor whole);

  /**
   * {@return the matrix, [outputs, inputs]}
   *
   * @param whole the parameter, or a tensor of its shape
   */
  Tensor matrix(Tensor whole);
}
