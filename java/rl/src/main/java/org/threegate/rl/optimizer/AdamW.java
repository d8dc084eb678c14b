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
 * AdamW (arXiv 1711.05101) with gradients clipped by their common norm. Parameters that are not
 * stored in float32 have masters that are: these move, and the parameters are their rounding.
 * Coordinates outside a mask keep their bits, whatever their gradients and the decay say.
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
   * How steps are taken.
   *
   * @param firstDecay of the mean of gradients, beta 1
   * @param secondDecay of the mean of their squares, beta 2
   * @param epsilon added to the root of the latter
   * @param weightDecay of matrices; vectors have none
   * @param largestNorm of all gradients together; infinite: they are not clipped
   */
  public record Options(
      double firstDecay,
      double secondDecay,
      double epsilon,
      double weightDecay,
      double largestNorm) {
    /** 0.9, 0.999, 1e-8, no decay, norms up to 1. */
    public static final Options DEFAULT = new Options(0.9, 0.999, 1e-8, 0, 1);

    public Options {
      if (!(firstDecay >= 0 && firstDecay < 1 && secondDecay >= 0 && secondDecay < 1)) {
        throw new IllegalArgumentException("decays lie between 0 and 1");
      }
      if (!(epsilon > 0 && weightDecay >= 0 && largestNorm > 0)) {
        throw new IllegalArgumentException(
            "epsilon and the largest norm are above 0, the weight decay is 0 or more");
      }
    }
  }

  /**
   * What a checkpoint has to keep of a parameter, float32.
   *
   * @param master that moves: the parameter itself where that is float32
   * @param mean of gradients
   * @param squares the mean of their squares
   */
  public record State(Tensor master, Tensor mean, Tensor squares) {}

  /** One parameter, and where it may move. */
  private record Moving(Tensor parameter, State state, Optional<Tensor> mask) {}

  private final Options options;
  private final Map<String, Moving> moving = new LinkedHashMap<>();
  private long steps;

  private AdamW(Options options) {
    this.options = options;
  }

  /**
   * @param masks by the names of parameters, bool, of their shapes: true where they may move; those
   *     without one may move everywhere. They stay the caller's
   * @throws IllegalArgumentException for a mask of no parameter, or of another shape
   */
  public static AdamW of(
      Map<String, Tensor> parameters, Options options, Map<String, Tensor> masks) {
    masks.forEach(
        (name, mask) -> {
          Tensor parameter = parameters.get(name);
          if (parameter == null || !parameter.is_same_size(mask)) {
            throw new IllegalArgumentException("the mask of \"" + name + "\" fits no parameter");
          }
        });
    AdamW optimizer = new AdamW(options);
    parameters.forEach(
        (name, parameter) ->
            optimizer.moving.put(
                name,
                new Moving(parameter, begin(parameter), Optional.ofNullable(masks.get(name)))));
    return optimizer;
  }

  @SuppressWarnings("try")
  private static State begin(Tensor parameter) {
    try (PointerScope scope = new PointerScope()) {
      Tensor master = isMaster(parameter) ? parameter : parameter.detach().to(ScalarType.Float);
      State state =
          new State(master, torch.zeros_like(master.detach()), torch.zeros_like(master.detach()));
      // No scope around the making of an optimizer frees what it keeps.
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

  /** Steps so far. */
  public long steps() {
    return steps;
  }

  /**
   * Adds to the gradients that parameters have.
   *
   * @param gradients in the order of the parameters; empty: nothing. They stay the caller's
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
   * Takes a step along the gradients that the parameters have, and forgets these.
   *
   * @return the norm of all gradients together, before it was clipped; where it is not finite no
   *     step was taken
   */
  @SuppressWarnings("try")
  public double step(double rate) {
    try (PointerScope scope = new PointerScope();
        NoGradGuard guard = new NoGradGuard()) {
      double norm = norm();
      if (Double.isFinite(norm)) {
        steps++;
        double scale = Math.min(1, options.largestNorm() / (norm + 1e-6));
        moving.values().forEach(own -> move(own, rate, scale));
      }
      for (Moving own : moving.values()) {
        if (own.parameter().grad().defined()) {
          own.parameter().mutable_grad().reset();
        }
      }
      return norm;
    }
  }

  /** Where they may move. */
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
    if (!own.parameter().grad().defined()) {
      return;
    }
    State state = own.state();
    Tensor gradient =
        masked(own, own.parameter().grad().to(ScalarType.Float)).mul(new Scalar(scale));
    double first = options.firstDecay();
    double second = options.secondDecay();
    state.mean().mul_(new Scalar(first)).add_(gradient, new Scalar(1 - first));
    state.squares().mul_(new Scalar(second)).addcmul_(gradient, gradient, new Scalar(1 - second));
    double firstBias = 1 - Math.pow(first, steps);
    double secondBias = Math.sqrt(1 - Math.pow(second, steps));
    Tensor below =
        state.squares().sqrt().div(new Scalar(secondBias)).add(new Scalar(options.epsilon()));
    boolean decays = own.parameter().dim() > 1;
    double kept = decays ? 1 - rate * options.weightDecay() : 1;
    Tensor moved =
        state
            .master()
            .detach()
            .mul(new Scalar(kept))
            .sub(state.mean().div(below).mul(new Scalar(rate / firstBias)));
    Tensor target = state.master().detach();
    // Not by adding nothing: a zero's sign is a bit, too.
    target.copy_(own.mask().map(mask -> torch.where(mask, moved, target)).orElse(moved));
    round(own);
  }

  private static void round(Moving own) {
    if (!isMaster(own.parameter())) {
      own.parameter().detach().copy_(own.state().master());
    }
  }

  /** By parameter: what a checkpoint has to keep besides {@link #steps}. */
  public Map<String, State> state() {
    Map<String, State> state = new LinkedHashMap<>();
    moving.forEach((name, own) -> state.put(name, own.state()));
    return state;
  }

  /** Goes on where another one was, of which {@link #state} has been copied here. */
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
