package org.threegate.rl.policy;

import java.util.function.Function;
import org.bytedeco.pytorch.Tensor;

/**
 * Computes gradients of a function of the log-probabilities of completions in a packed row. They
 * are those of a padded batch, up to rounding.
 *
 * <pre>{@code
 * int[] prompt = {5, 6, 7};
 * Packed row = Packed.of(List.of(prompt, prompt), List.of(new int[] {8}, new int[] {9, 10}));
 * PackedDifferentiation part = new PackedDifferentiation(decoder, row, 1, false);
 * var gradients =
 *     part.measured(TokenMeasures.Entropies.NONE, own -> own.logProbabilities().mean().neg());
 * }</pre>
 *
 * @param model the model, which {@linkplain Decoder#isPackable can} take packed rows
 * @param row the texts
 * @param temperature the divisor of the logits
 * @param checkpointed whether activations within layers are recomputed in the backward pass
 */
public record PackedDifferentiation(
    Decoder model, Packed row, double temperature, boolean checkpointed) implements GradientSource {
  /** Refuses models that cannot take packed rows. */
  public PackedDifferentiation {
    if (!model.isPackable()) {
      throw new IllegalArgumentException("texts of this model cannot be packed");
    }
  }

  @Override
  public void measured(
      TokenMeasures.Entropies entropies, Function<TokenMeasures, Tensor> loss, GradientSink sink) {
    Scopes.run(
        () ->
            new LayerwiseGradients(model, model.begin(row), row.tokens(), checkpointed, sink)
                .run(
                    model.blocks(temperature),
                    new LayerwiseGradients.Selection(
                        states -> states.squeeze(0).index_select(0, row.before()),
                        row.targets(),
                        row::arranged),
                    entropies,
                    loss));
  }
}
