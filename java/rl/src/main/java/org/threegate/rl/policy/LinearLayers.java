package org.threegate.rl.policy;

import java.util.Map;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptional;
import org.bytedeco.pytorch.global.torch;

/**
 * The linear layers of a decoder, with the low-rank products that are added to them.
 *
 * @param parameters the parameters by their names in checkpoints
 * @param factors the low-rank factors by the names of the weights
 */
record LinearLayers(Map<String, Tensor> parameters, Map<String, LowRankFactors> factors) {
  private static final String WEIGHT = ".weight";

  /**
   * Applies a layer whose matrix may be packed, without a gradient.
   *
   * @param weight the name of the weight
   */
  Tensor apply(String weight, Tensor rows, PackedMatrices packed) {
    if (!packed.contains(weight)) {
      return apply(weight, rows);
    }
    Tensor plain = packed.product(weight, rows);
    Tensor bias = parameters.get(module(weight) + ".bias");
    Tensor biased = bias == null ? plain : plain.add_(bias);
    LowRankFactors own = factors.get(weight);
    return own == null ? biased : biased.add(own.product(rows));
  }

  private static String module(String weight) {
    return weight.endsWith(WEIGHT)
        ? weight.substring(0, weight.length() - WEIGHT.length())
        : weight;
  }

  /**
   * Applies a layer to rows, [..., inputs]. It has a bias if there is a parameter of that name.
   *
   * @param weight the name of the weight
   */
  Tensor apply(String weight, Tensor rows) {
    Tensor bias = parameters.get(module(weight) + ".bias");
    Tensor plain =
        bias == null
            ? torch.linear(rows, parameters.get(weight))
            : torch.linear(rows, parameters.get(weight), new TensorOptional(bias));
    LowRankFactors own = factors.get(weight);
    return own == null ? plain : plain.add(own.product(rows));
  }
}
