package org.threegate.rl.policy;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Optional;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;

/** Keeps the gradients of a backward pass, in the order of the parameters. */
final class GradientList implements GradientSink {
  private final List<Tensor> parameters;
  private final List<Optional<Tensor>> gradients;

  GradientList(List<Tensor> parameters) {
    this.parameters = parameters;
    this.gradients = new ArrayList<>(Collections.nCopies(parameters.size(), Optional.empty()));
  }

  @Override
  public void whole(int parameter, Tensor gradient) {
    gradient.retainReference();
    gradients.set(parameter, Optional.of(gradient));
  }

  @Override
  public void rows(int parameter, long first, Tensor gradient) {
    Scopes.keepWithoutGradient(
        () -> all(parameter).narrow(0, first, gradient.size(0)).copy_(gradient));
  }

  @Override
  public void looked(int parameter, Tensor tokens, Tensor gradient) {
    Scopes.keepWithoutGradient(() -> all(parameter).index_add_(0, tokens, gradient));
  }

  private Tensor all(int parameter) {
    if (gradients.get(parameter).isEmpty()) {
      Tensor zeros = Scopes.own(() -> torch.zeros_like(parameters.get(parameter).detach()));
      gradients.set(parameter, Optional.of(zeros));
    }
    return gradients.get(parameter).orElseThrow();
  }

  /** Returns the gradients, which the caller closes. */
  List<Optional<Tensor>> gradients() {
    return gradients;
  }
}
