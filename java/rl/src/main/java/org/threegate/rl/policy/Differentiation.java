package org.threegate.rl.policy;

import java.util.List;
import java.util.Optional;
import java.util.function.Function;
import org.bytedeco.pytorch.Tensor;

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
    Decoder model, Padded texts, double temperature, long from, long count, boolean checkpointed)
    implements GradientSource {
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

  @Override
  public void measured(
      TokenMeasures.Entropies entropies, Function<TokenMeasures, Tensor> loss, GradientSink sink) {
    measured(entropies, loss, sink, VocabularyBlocks.COLUMNS);
  }

  /**
   * Computes the gradients of a loss.
   *
   * @param columns the entries of the vocabulary in a block
   */
  void measured(
      TokenMeasures.Entropies entropies,
      Function<TokenMeasures, Tensor> loss,
      GradientSink sink,
      long columns) {
    Scopes.run(
        () -> {
          Decoder.Call call =
              model.begin(texts.tokens(), texts.mask(), Optional.empty(), Optional.empty()).fused();
          long batch = texts.tokens().size(0);
          new LayerwiseGradients(model, call, texts.tokens(), checkpointed, sink)
              .run(
                  model.blocks(temperature, columns),
                  new LayerwiseGradients.Selection(
                      states ->
                          states.narrow(1, from - 1, count).reshape(batch * count, states.size(2)),
                      texts.tokens().narrow(1, from, count).reshape(batch * count),
                      values -> values.view(batch, count)),
                  entropies,
                  loss);
        });
  }
}
