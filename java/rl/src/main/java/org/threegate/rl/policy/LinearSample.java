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
 * What a linear layer saw of a text, and how an objective depends on what it made of that: from
 * these follow the layer's Fisher information and K-FAC's factors.
 *
 * <pre>{@code
 * List<LinearSample> samples =
 *     LinearSample.of(decoder, rows, name -> name.contains("o_proj"), logits -> logits.mean());
 * }</pre>
 *
 * @param weight name of the layer's weight
 * @param input [texts, tokens, inputs]
 * @param gradient of the objective with respect to the outputs, [texts, tokens, outputs]
 */
public record LinearSample(String weight, Tensor input, Tensor gradient) {
  /**
   * @param selected names of weights
   * @param objective one number, of logits [texts, tokens, vocabulary]
   * @return in the order of the model; the scope around it frees their tensors
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
