package org.threegate.rl.optimizer;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.threegate.rl.policy.Scopes;

/**
 * AdamW (arXiv 1711.05101) with gradient clipping by the global norm. Parameters that are not
 * stored in float32 have float32 master weights. The optimizer updates the masters, and the
 * parameters are rounded from them. Coordinates outside of a mask keep their bits.
 *
 * <pre>{@code
 * try (AdamW optimizer = AdamW.of(decoder.parameters(), AdamW.Options.DEFAULT, Map.of())) {
 *   decoder.logProbabilities(tokens, mask, 1).mean().neg().backward();
 *   double norm = optimizer.step(1e-5);
 * }
 * }</pre>
 */
public final class AdamW implements AutoCloseable {
  /**
   * The hyperparameters.
   *
   * @param firstDecay the decay of the mean of gradients (beta 1)
   * @param secondDecay the decay of the mean of squared gradients (beta 2)
   * @param epsilon the term that is added to the denominator
   * @param weightDecay the decoupled weight decay of matrices; vectors and biases have none
   * @param largestNorm the global norm to which gradients are clipped; infinity turns clipping off
   */
  public record Options(
      double firstDecay,
      double secondDecay,
      double epsilon,
      double weightDecay,
      double largestNorm) {
    /** Betas 0.9 and 0.999, epsilon 1e-8, no weight decay, and clipping to norm 1. */
    public static final Options DEFAULT = new Options(0.9, 0.999, 1e-8, 0, 1);

    /**
     * Validates the hyperparameters.
     *
     * @throws IllegalArgumentException when one of them is out of its range
     */
    public Options {
      if (!(firstDecay >= 0 && firstDecay < 1 && secondDecay >= 0 && secondDecay < 1)) {
        throw new IllegalArgumentException("firstDecay and secondDecay must be from 0 to below 1");
      }
      if (!(epsilon > 0 && weightDecay >= 0 && largestNorm > 0)) {
        throw new IllegalArgumentException(
            "epsilon and largestNorm must be above 0, and weightDecay 0 or more");
      }
    }
  }

  /**
   * The state of a parameter that checkpoints store. All tensors are float32.
   *
   * @param master the master weights, which are the parameter itself when it is float32
   * @param mean the decayed mean of gradients
   * @param squares the decayed mean of squared gradients
   */
  public record State(Tensor master, Tensor mean, Tensor squares) {}

  /** A parameter, whether it has weight decay, and the coordinates that may move. */
  private record Moving(Tensor parameter, boolean decays, State state, Optional<Tensor> mask) {}

  private final Options options;
  private final Map<String, Moving> moving = new LinkedHashMap<>();
  private long steps;

  private AdamW(Options options) {
    this.options = options;
  }

  /**
   * Creates an optimizer.
   *
   * @param parameters the parameters by name
   * @param options the hyperparameters
   * @param masks bool tensors by the names of parameters, in their shapes, true where these may
   *     move; parameters without a mask may move everywhere. The caller closes them
   * @return the optimizer
   * @throws IllegalArgumentException when a mask has no parameter, or another shape
   */
  public static AdamW of(
      Map<String, Tensor> parameters, Options options, Map<String, Tensor> masks) {
    masks.forEach(
        (name, mask) -> {
          Tensor parameter = parameters.get(name);
          if (parameter == null || !parameter.is_same_size(mask)) {
            throw new IllegalArgumentException(
                "the mask of \"" + name + "\" does not match a parameter");
          }
        });
    AdamW optimizer = new AdamW(options);
    parameters.forEach(
        (name, parameter) ->
            optimizer.moving.put(
                name,
                new Moving(
                    parameter,
                    parameter.dim() > 1 && !name.endsWith("bias"),
                    begin(parameter),
                    Optional.ofNullable(masks.get(name)))));
    return optimizer;
  }

  @SuppressWarnings("try")
  private static State begin(Tensor parameter) {
    try (PointerScope scope = new PointerScope()) {
      Tensor master = isMaster(parameter) ? parameter : parameter.detach().to(ScalarType.Float);
      State state =
          new State(master, torch.zeros_like(master.detach()), torch.zeros_like(master.detach()));
      // No outer scope may free the state of the optimizer.
      if (!isMaster(parameter)) {
        master.retainReference();
      }
      state.mean().retainReference();
      state.squares().retainReference();
      return state;
    }
  }

  private static boolean isMaster(Tensor parameter) {
    return parameter.scalar_type().intern() == ScalarType.Float;
  }

  /** {@return the number of steps so far} */
  public long steps() {
    return steps;
  }

  /**
   * Accumulates gradients.
   *
   * @param gradients the gradients in the order of the parameters; an empty one adds nothing. The
   *     caller closes them
   */
  @SuppressWarnings("try")
  public void add(List<Optional<Tensor>> gradients) {
    if (gradients.size() != moving.size()) {
      throw new IllegalArgumentException(
          gradients.size() + " gradients of " + moving.size() + " parameters");
    }
    try (PointerScope scope = new PointerScope();
        NoGradGuard guard = new NoGradGuard()) {
      int at = 0;
      for (Moving own : moving.values()) {
        Optional<Tensor> gradient = gradients.get(at);
        if (gradient.isPresent()) {
          if (own.parameter().grad().defined()) {
            own.parameter().grad().add_(gradient.orElseThrow());
          } else {
            own.parameter()
                .mutable_grad()
                .put(torch.empty_like(own.state().master().detach()).copy_(gradient.orElseThrow()));
          }
        }
        at++;
      }
    }
  }

  /**
   * Takes a step along the accumulated gradients, and clears them. Where only some parameters have
   * a gradient, those of the others count as 0, as in one tensor for all experts: experts that no
   * token chose go on by their mean gradient. Without any gradient, nothing moves.
   *
   * @param rate the learning rate
   * @return the global norm of the gradients before clipping. When it is not finite, no step is
   *     taken
   */
  @SuppressWarnings("try")
  public double step(double rate) {
    try (PointerScope scope = new PointerScope();
        NoGradGuard guard = new NoGradGuard()) {
      double norm = norm();
      if (Double.isFinite(norm)) {
        steps++;
        double scale = Math.min(1, options.largestNorm() / (norm + 1e-6));
        if (moving.values().stream().anyMatch(own -> own.parameter().grad().defined())) {
          moving.values().forEach(own -> move(own, rate, scale));
        }
      }
      for (Moving own : moving.values()) {
        if (own.parameter().grad().defined()) {
          own.parameter().mutable_grad().reset();
        }
      }
      return norm;
    }
  }

  /** Returns the global norm of the gradients, within the masks. */
  private double norm() {
    double squares = 0;
    for (Moving own : moving.values()) {
      if (own.parameter().grad().defined()) {
        Tensor gradient = masked(own, own.parameter().grad());
        squares += Math.pow(gradient.norm().item_double(), 2);
      }
    }
    return Math.sqrt(squares);
  }

  private static Tensor masked(Moving own, Tensor values) {
    return own.mask()
        .map(mask -> values.masked_fill(mask.logical_not(), new Scalar(0.0)))
        .orElse(values);
  }

  private void move(Moving own, double rate, double scale) {
    State state = own.state();
    Tensor given = own.parameter().grad();
    Tensor gradient =
        given.defined()
            ? masked(own, given.to(ScalarType.Float)).mul(new Scalar(scale))
            : torch.zeros_like(state.mean());
    double first = options.firstDecay();
    double second = options.secondDecay();
    state.mean().mul_(new Scalar(first)).add_(gradient, new Scalar(1 - first));
    state.squares().mul_(new Scalar(second)).addcmul_(gradient, gradient, new Scalar(1 - second));
    double firstBias = 1 - Math.pow(first, steps);
    double secondBias = Math.sqrt(1 - Math.pow(second, steps));
    Tensor below =
        state.squares().sqrt().div(new Scalar(secondBias)).add(new Scalar(options.epsilon()));
    double kept = own.decays() ? 1 - rate * options.weightDecay() : 1;
    Tensor moved =
        state
            .master()
            .detach()
            .mul(new Scalar(kept))
            .sub(state.mean().div(below).mul(new Scalar(rate / firstBias)));
    Tensor target = state.master().detach();
    // Adding zero would not do: it can change the sign bit of a zero.
    target.copy_(own.mask().map(mask -> torch.where(mask, moved, target)).orElse(moved));
    round(own);
  }

  private static void round(Moving own) {
    if (!isMaster(own.parameter())) {
      own.parameter().detach().copy_(own.state().master());
    }
  }

  /** {@return the state that a checkpoint stores besides {@link #steps}, by parameter} */
  public Map<String, State> state() {
    Map<String, State> state = new LinkedHashMap<>();
    moving.forEach((name, own) -> state.put(name, own.state()));
    return state;
  }

  /**
   * Continues from the step of another optimizer, whose {@link #state} was copied to this one.
   *
   * @param after the number of steps that were taken
   */
  public void resume(long after) {
    steps = after;
    moving.values().forEach(own -> Scopes.run(() -> round(own)));
  }

  @Override
  public void close() {
    List<Tensor> all = new ArrayList<>();
    for (Moving own : moving.values()) {
      all.addAll(List.of(own.state().mean(), own.state().squares()));
      if (!isMaster(own.parameter())) {
        all.add(own.state().master());
      }
    }
    all.forEach(Tensor::close);
  }
}
