package org.threegate.rl.policy;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.function.Function;
import java.util.function.Predicate;
import org.bytedeco.pytorch.BoolOptional;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch;

/**
 * The input of a linear layer on some texts, and the gradient of an objective with respect to its
 * output. Fisher information and K-FAC factors of the layer are computed from these.
 *
 * <pre>{@code
 * List<LinearSample> samples =
 *     LinearSample.of(decoder, rows, name -> name.contains("o_proj"), logits -> logits.mean());
 * }</pre>
 *
 * @param weight the name of the weight of the layer
 * @param input the input, [texts, tokens, inputs]
 * @param gradient the gradient with respect to the output, [texts, tokens, outputs]
 */
public record LinearSample(String weight, Tensor input, Tensor gradient) {
  /**
   * Collects samples of linear layers.
   *
   * @param model the model
   * @param texts the padded texts
   * @param selected selects layers by the names of their weights
   * @param objective maps logits, [texts, tokens, vocabulary], to a scalar
   * @return one sample per layer, in the order of the model. The surrounding scope frees the
   *     tensors
   */
  public static List<LinearSample> of(
      Decoder model, Padded texts, Predicate<String> selected, Function<Tensor, Tensor> objective) {
    List<String> names = new ArrayList<>();
    List<Tensor> inputs = new ArrayList<>();
    List<Tensor> outputs = new ArrayList<>();
    Decoder.Tap tap =
        (weight, input, output) -> {
          if (selected.test(weight)) {
            names.add(weight);
            inputs.add(input);
            outputs.add(output);
          }
        };
    Decoder.Call call =
        model.begin(texts.tokens(), texts.mask(), Optional.empty(), Optional.of(tap));
    Tensor states = model.hidden(call, model.embedded(texts.tokens()));
    Tensor value = objective.apply(model.head(call, states).to(model.storage().exact()));
    if (names.isEmpty()) {
      throw new IllegalArgumentException("no linear layer is selected");
    }
    TensorVector gradients =
        torch.grad(
            new TensorVector(value),
            new TensorVector(outputs.toArray(new Tensor[0])),
            new TensorVector(),
            new BoolOptional(false),
            false,
            false);
    List<LinearSample> samples = new ArrayList<>();
    for (int i = 0; i < names.size(); i++) {
      samples.add(
          new LinearSample(names.get(i), inputs.get(i).detach(), new Tensor(gradients.get(i))));
    }
    return samples;
  }
}
