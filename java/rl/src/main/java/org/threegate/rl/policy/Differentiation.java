package org.threegate.rl.policy;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.function.Function;
import org.bytedeco.pytorch.BoolOptional;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch;

/**
 * Computes gradients of a function of the log-probabilities of tokens.
 *
 * <pre>{@code
 * Differentiation part = new Differentiation(decoder, rows, 1, 1, 9, true);
 * var gradients = part.of(chosen -> chosen.mean().neg());
 * }</pre>
 *
 * @param model the model
 * @param texts the padded sequences
 * @param temperature the divisor of the logits
 * @param from the index of the first token whose log-probability is needed, 1 or more
 * @param count the number of tokens
 * @param checkpointed whether activations within layers are recomputed in the backward pass (arXiv
 *     1604.06174). It takes a third more time and stores one hidden state per layer
 */
public record Differentiation(
    Decoder model, Padded texts, double temperature, long from, long count, boolean checkpointed) {
  /**
   * Computes the gradients.
   *
   * @param loss maps log-probabilities, [texts, count], to a scalar
   * @return the gradients in the order of {@link Decoder#trainable}, empty where the loss does not
   *     depend on the parameter. The caller closes them
   */
  public List<Optional<Tensor>> of(Function<Tensor, Tensor> loss) {
    return measured(
        TokenMeasures.Entropies.NONE, measures -> loss.apply(measures.logProbabilities()));
  }

  /**
   * Computes the gradients of a loss that may also depend on entropies.
   *
   * @param entropies whether entropies are computed, and differentiated
   * @param loss maps the measures of the tokens to a scalar
   * @return the gradients, as of {@link #of}
   */
  public List<Optional<Tensor>> measured(
      TokenMeasures.Entropies entropies, Function<TokenMeasures, Tensor> loss) {
    List<Optional<Tensor>> gradients = new ArrayList<>();
    Scopes.run(
        () -> {
          List<Tensor> moving = List.copyOf(model.trainable().values());
          Decoder.Call call =
              model.begin(texts.tokens(), texts.mask(), Optional.empty(), Optional.empty());
          Function<Tensor, Tensor> head =
              states ->
                  loss.apply(
                      model.measures(
                          call, states, texts.tokens(), temperature, from, count, entropies));
          gradients.addAll(checkpointed ? replayed(call, moving, head) : plain(call, moving, head));
        });
    return gradients;
  }

  private List<Optional<Tensor>> plain(
      Decoder.Call call, List<Tensor> moving, Function<Tensor, Tensor> head) {
    Tensor states = Scopes.keep(() -> model.hidden(call, model.embedded(texts.tokens())));
    List<Optional<Tensor>> own = gradients(head.apply(states), Optional.empty(), moving);
    own.forEach(gradient -> gradient.ifPresent(Tensor::retainReference));
    return own;
  }

  /** Runs each layer forward twice: first without a graph, then with the graph of that layer. */
  private List<Optional<Tensor>> replayed(
      Decoder.Call call, List<Tensor> moving, Function<Tensor, Tensor> head) {
    int layers = model.config().layers().size();
    List<Tensor> states = new ArrayList<>();
    states.add(Scopes.keepWithoutGradient(() -> model.embedded(texts.tokens())));
    for (int layer = 0; layer < layers; layer++) {
      int at = layer;
      states.add(Scopes.keepWithoutGradient(() -> model.layer(call, at, states.get(at))));
    }
    List<Optional<Tensor>> sums = new ArrayList<>();
    moving.forEach(parameter -> sums.add(Optional.empty()));
    Tensor end = states.get(layers).requires_grad_(true);
    Tensor value = head.apply(model.last(end));
    Tensor above = back(value, Optional.empty(), Optional.of(end), moving, sums);
    for (int layer = layers - 1; layer >= 0; layer--) {
      int at = layer;
      Tensor from = above;
      Tensor state = states.get(at).requires_grad_(true);
      above =
          Scopes.keep(
              () ->
                  back(
                      model.layer(call, at, state),
                      Optional.of(from),
                      Optional.of(state),
                      moving,
                      sums));
      from.close();
    }
    if (model.factors().isEmpty()) {
      back(model.embedded(texts.tokens()), Optional.of(above), Optional.empty(), moving, sums);
    }
    return sums;
  }

  /** Accumulates the gradients of a layer's parameters, and returns that of its input. */
  private static Tensor back(
      Tensor value,
      Optional<Tensor> above,
      Optional<Tensor> below,
      List<Tensor> moving,
      List<Optional<Tensor>> sums) {
    List<Tensor> inputs = new ArrayList<>(moving);
    below.ifPresent(inputs::add);
    List<Optional<Tensor>> own = gradients(value, above, inputs);
    for (int i = 0; i < sums.size(); i++) {
      if (own.get(i).isPresent()) {
        Tensor gradient = own.get(i).orElseThrow();
        Optional<Tensor> before = sums.get(i);
        sums.set(i, Optional.of(before.map(sum -> sum.add_(gradient)).orElse(gradient)));
        if (before.isEmpty()) {
          gradient.retainReference();
        }
      }
    }
    return below.isPresent() ? own.get(own.size() - 1).orElseThrow() : value;
  }

  private static List<Optional<Tensor>> gradients(
      Tensor value, Optional<Tensor> above, List<Tensor> inputs) {
    TensorVector found =
        torch.grad(
            new TensorVector(value),
            new TensorVector(inputs.toArray(new Tensor[0])),
            above.map(TensorVector::new).orElseGet(TensorVector::new),
            new BoolOptional(false),
            false,
            true);
    List<Optional<Tensor>> gradients = new ArrayList<>();
    for (int i = 0; i < inputs.size(); i++) {
      Tensor gradient = found.get(i);
      gradients.add(gradient.defined() ? Optional.of(new Tensor(gradient)) : Optional.empty());
    }
    return gradients;
  }
}
