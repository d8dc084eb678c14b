package org.threegate.rl.policy;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Function;
import java.util.function.UnaryOperator;
import org.bytedeco.pytorch.BoolOptional;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch;

/**
 * Computes first derivatives layer by layer, from the last one to the first. The graph of a layer
 * is freed before that of the layer below it is used. Gradients are passed on as soon as they are
 * whole, so that those of all layers need not exist at once.
 */
final class LayerwiseGradients {
  private final Decoder model;
  private final Decoder.Call call;
  private final Tensor tokens;
  private final boolean checkpointed;
  private final GradientSink sink;
  private final Map<String, Integer> places = new LinkedHashMap<>();
  private final List<Tensor> moving = new ArrayList<>();

  /**
   * Prepares the gradients of a batch.
   *
   * @param checkpointed whether the graph of a layer is made again in the backward pass
   * @param sink receives the gradients
   */
  LayerwiseGradients(
      Decoder model, Decoder.Call call, Tensor tokens, boolean checkpointed, GradientSink sink) {
    this.model = model;
    this.call = call;
    this.tokens = tokens;
    this.checkpointed = checkpointed;
    this.sink = sink;
    model
        .trainable()
        .forEach(
            (name, parameter) -> {
              places.put(name, moving.size());
              moving.add(parameter);
            });
  }

  /**
   * Where the log-probabilities of a loss are.
   *
   * @param rows takes the states before the tokens of the loss, [tokens, hidden], from those of the
   *     batch
   * @param targets the tokens of the loss, [tokens]
   * @param arranged brings values of these tokens into the shape of the loss
   */
  record Selection(UnaryOperator<Tensor> rows, Tensor targets, Function<Tensor, Tensor> arranged) {}

  /** Computes the gradients. */
  void run(
      VocabularyBlocks head,
      Selection selection,
      TokenMeasures.Entropies entropies,
      Function<TokenMeasures, Tensor> loss) {
    int layers = model.config().layers().size();
    List<Tensor> inputs = new ArrayList<>();
    List<Tensor> outputs = new ArrayList<>();
    Tensor state = Scopes.keepWithoutGradient(() -> model.embedded(tokens));
    for (int layer = 0; layer < layers; layer++) {
      int at = layer;
      Tensor input = state.detach().requires_grad_(true);
      inputs.add(input);
      outputs.add(
          checkpointed
              ? Scopes.keepWithoutGradient(() -> model.layer(call, at, input))
              : Scopes.keep(() -> model.layer(call, at, input)));
      state = outputs.get(at);
    }
    Tensor end = state.detach().requires_grad_(true);
    Tensor above = Scopes.keep(() -> last(head, selection, entropies, loss, end));
    for (int layer = layers - 1; layer >= 0; layer--) {
      int at = layer;
      Tensor from = above;
      Tensor input = inputs.get(at);
      Tensor output = outputs.get(at);
      above =
          Scopes.keep(
              () ->
                  back(
                      checkpointed ? model.layer(call, at, input) : output,
                      from,
                      input,
                      model.config().names().layer(at, "")));
      from.close();
      output.close(); // frees what is left of the graph of the layer
      input.close();
    }
    embedding(above);
  }

  /** Computes the gradients of the head and of the final norm, and returns that of their input. */
  private Tensor last(
      VocabularyBlocks head,
      Selection selection,
      TokenMeasures.Entropies entropies,
      Function<TokenMeasures, Tensor> loss,
      Tensor end) {
    String name = model.headName();
    Tensor rows = selection.rows().apply(model.last(end));
    VocabularyBlocks.Gradients found =
        head.differentiate(
            rows,
            selection.targets(),
            entropies,
            selection.arranged(),
            loss,
            Optional.ofNullable(places.get(name))
                .map(place -> (first, gradient) -> sink.rows(place, first, gradient)));
    found.a().ifPresent(own -> sink.whole(places.get(Decoder.factor(name, "A")), own));
    found.b().ifPresent(own -> sink.whole(places.get(Decoder.factor(name, "B")), own));
    return back(rows, found.rows(), end, model.config().names().norm());
  }

  /** Computes the gradients of some parameters, and returns that of the input. */
  private Tensor back(Tensor output, Tensor above, Tensor input, String prefix) {
    List<Tensor> wanted = new ArrayList<>(List.of(input));
    List<Integer> numbers = new ArrayList<>();
    places.forEach(
        (name, place) -> {
          if (name.contains(prefix)) {
            wanted.add(moving.get(place));
            numbers.add(place);
          }
        });
    TensorVector found =
        torch.grad(
            new TensorVector(output),
            new TensorVector(wanted.toArray(new Tensor[0])),
            new TensorVector(above),
            new BoolOptional(false),
            false,
            true);
    for (int i = 0; i < numbers.size(); i++) {
      Tensor gradient = found.get(i + 1);
      if (gradient.defined()) {
        sink.whole(numbers.get(i), new Tensor(gradient));
      }
    }
    return new Tensor(found.get(0));
  }

  /** Passes on the gradients of the rows of the embedding. */
  private void embedding(Tensor above) {
    Integer place = places.get(model.config().names().embedding());
    if (place != null) {
      Scopes.run(
          () ->
              sink.looked(
                  place,
                  tokens.flatten(),
                  model.scaled(above.detach()).reshape(tokens.numel(), above.size(2))));
    }
  }
}
