package org.threegate.rl.policy;

import java.util.List;
import java.util.Optional;
import java.util.function.Function;
import org.bytedeco.pytorch.Tensor;

/** Texts whose measures can be differentiated: a padded batch or a packed row. */
public sealed interface GradientSource permits Differentiation, PackedDifferentiation {
  /** {@return the model} */
  Decoder model();

  /**
   * Computes the gradients of a loss. They are passed on from the last layer to the first one.
   *
   * @param entropies whether entropies are computed, and differentiated
   * @param loss maps the measures of the tokens to a scalar
   * @param sink receives the gradients
   */
  void measured(
      TokenMeasures.Entropies entropies, Function<TokenMeasures, Tensor> loss, GradientSink sink);

  /**
   * Computes the gradients of a loss.
   *
   * @param entropies whether entropies are computed, and differentiated
   * @param loss maps the measures of the tokens to a scalar
   * @return the gradients in the order of {@link Decoder#trainable}, empty where the loss does not
   *     depend on the parameter. The caller closes them
   */
  default List<Optional<Tensor>> measured(
      TokenMeasures.Entropies entropies, Function<TokenMeasures, Tensor> loss) {
    GradientList gradients = new GradientList(List.copyOf(model().trainable().values()));
    measured(entropies, loss, gradients);
    return gradients.gradients();
  }
}
