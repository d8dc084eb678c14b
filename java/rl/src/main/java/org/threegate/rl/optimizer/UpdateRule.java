package org.threegate.rl.optimizer;

import java.util.List;
import org.bytedeco.pytorch.Tensor;

/**
 * How an {@link Optimizer} moves a parameter: the rule with its hyperparameters.
 *
 * <pre>{@code
 * UpdateRule rule = new Sgd(0.9, false, 0, 1);
 * try (Optimizer optimizer = Optimizer.of(decoder.parameters(), rule, Map.of())) {
 *   decoder.logProbabilities(tokens, mask, 1).mean().neg().backward();
 *   optimizer.step(0.01);
 * }
 * }</pre>
 */
public sealed interface UpdateRule permits AdamW, Sgd, Muon {
  /**
   * One step of one parameter. All tensors are float32 and have the shape of the parameter.
   *
   * @param weights the weights before the step
   * @param gradient the gradient after clipping, zero where weights may not move
   * @param moments the state in the order of {@link #moments}, which the rule updates in place
   * @param rate the learning rate
   * @param number the number of the step, from 1
   * @param decays whether weight decay applies: vectors and biases have none
   */
  record Step(
      Tensor weights,
      Tensor gradient,
      List<Tensor> moments,
      double rate,
      long number,
      boolean decays) {}

  /** {@return the global norm to which gradients are clipped; infinity turns clipping off} */
  double largestNorm();

  /**
   * {@return the rule of one parameter} A rule may leave some parameters to another rule.
   *
   * @param name the name of the parameter
   * @param parameter the parameter
   */
  default UpdateRule of(String name, Tensor parameter) {
    return this;
  }

  /** {@return the names of the tensors that are kept for each parameter, all zero at first} */
  List<String> moments();

  /**
   * {@return whether an entry moves by its own gradient and moments only} A step may then be taken
   * for some entries at a time.
   */
  boolean isElementwise();

  /**
   * {@return the weights after a step}
   *
   * @param step the step
   */
  Tensor moved(Step step);
}
