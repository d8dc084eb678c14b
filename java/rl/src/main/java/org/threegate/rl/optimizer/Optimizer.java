package org.threegate.rl.optimizer;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.Callable;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.threegate.rl.policy.Scopes;
import org.threegate.rl.policy.Threads;

/**
 * Moves parameters along their gradients by an {@link UpdateRule}: AdamW, SGD or Muon. Gradients
 * are clipped by their global norm. Parameters that are not stored in float32 have float32 master
 * weights. The optimizer updates the masters, and the parameters are rounded from them. Coordinates
 * outside of a mask keep their bits.
 *
 * <pre>{@code
 * try (Optimizer optimizer = Optimizer.of(decoder.parameters(), AdamW.DEFAULT, Map.of())) {
 *   decoder.logProbabilities(tokens, mask, 1).mean().neg().backward();
 *   double norm = optimizer.step(1e-5);
 * }
 * }</pre>
 */
public final class Optimizer implements AutoCloseable {
  private static final String MASTER = "master";
  private static final long SLICE = 1 << 17; // entries; some tensors of them fit into a cache

  /**
   * A parameter.
   *
   * @param decays whether it has weight decay
   * @param rule how it moves
   * @param master the master weights, which are the parameter itself when it is float32
   * @param moments the state of the rule by name
   * @param mask the coordinates that may move
   */
  private record Moving(
      Tensor parameter,
      boolean decays,
      UpdateRule rule,
      Tensor master,
      Map<String, Tensor> moments,
      Optional<Tensor> mask) {}

  private final double largestNorm;
  private final Map<String, Moving> moving = new LinkedHashMap<>();
  private final List<Moving> order = new ArrayList<>();
  private long steps;

  private Optimizer(double largestNorm) {
    this.largestNorm = largestNorm;
  }

  /**
   * Creates an optimizer.
   *
   * @param parameters the parameters by name
   * @param rule the rule that moves them
   * @param masks bool tensors by the names of parameters, in their shapes, true where these may
   *     move; parameters without a mask may move everywhere. The caller closes them
   * @return the optimizer
   * @throws IllegalArgumentException when a mask has no parameter, or another shape
   */
  public static Optimizer of(
      Map<String, Tensor> parameters, UpdateRule rule, Map<String, Tensor> masks) {
    masks.forEach(
        (name, mask) -> {
          Tensor parameter = parameters.get(name);
          if (parameter == null || !parameter.is_same_size(mask)) {
            throw new IllegalArgumentException(
                "the mask of \"" + name + "\" does not match a parameter");
          }
        });
    Optimizer optimizer = new Optimizer(rule.largestNorm());
    parameters.forEach(
        (name, parameter) ->
            optimizer.moving.put(
                name,
                begin(
                    name,
                    parameter,
                    rule.of(name, parameter),
                    Optional.ofNullable(masks.get(name)))));
    optimizer.order.addAll(optimizer.moving.values());
    return optimizer;
  }

  @SuppressWarnings("try")
  private static Moving begin(
      String name, Tensor parameter, UpdateRule rule, Optional<Tensor> mask) {
    try (PointerScope scope = new PointerScope()) {
      Tensor master = isMaster(parameter) ? parameter : parameter.detach().to(ScalarType.Float);
      // No outer scope may free the state of the optimizer.
      if (!isMaster(parameter)) {
        master.retainReference();
      }
      Map<String, Tensor> moments = new LinkedHashMap<>();
      for (String moment : rule.moments()) {
        Tensor zeros = torch.zeros_like(master.detach());
        zeros.retainReference();
        moments.put(moment, zeros);
      }
      boolean decays = parameter.dim() > 1 && !name.endsWith("bias");
      return new Moving(parameter, decays, rule, master, moments, mask);
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
  public void add(List<Optional<Tensor>> gradients) {
    if (gradients.size() != moving.size()) {
      throw new IllegalArgumentException(
          gradients.size() + " gradients of " + moving.size() + " parameters");
    }
    for (int i = 0; i < gradients.size(); i++) {
      int at = i;
      gradients.get(i).ifPresent(gradient -> add(at, gradient));
    }
  }

  /**
   * Accumulates the gradient of one parameter. Different parameters may be added to by different
   * threads.
   *
   * @param parameter the index of the parameter in the order of the parameters
   * @param gradient its gradient
   */
  @SuppressWarnings("try")
  public void add(int parameter, Tensor gradient) {
    try (PointerScope scope = new PointerScope();
        NoGradGuard guard = new NoGradGuard()) {
      Moving own = order.get(parameter);
      if (own.parameter().grad().defined()) {
        own.parameter().grad().add_(gradient);
      } else {
        own.parameter().mutable_grad().put(torch.empty_like(own.master().detach()).copy_(gradient));
      }
    }
  }

  /**
   * Accumulates the gradient of some rows of a parameter. Different rows may be added to by
   * different threads.
   *
   * @param parameter the index of the parameter in the order of the parameters
   * @param first the index of the first row
   * @param gradient the gradient of the rows
   */
  @SuppressWarnings("try")
  public void add(int parameter, long first, Tensor gradient) {
    try (PointerScope scope = new PointerScope();
        NoGradGuard guard = new NoGradGuard()) {
      sum(order.get(parameter)).narrow(0, first, gradient.size(0)).add_(gradient);
    }
  }

  /**
   * Accumulates the gradients of rows of a parameter in any order. A row may be there several
   * times.
   *
   * @param parameter the index of the parameter in the order of the parameters
   * @param rows the indices of the rows, int64
   * @param gradient the gradients of the rows
   */
  @SuppressWarnings("try")
  public void addRows(int parameter, Tensor rows, Tensor gradient) {
    try (PointerScope scope = new PointerScope();
        NoGradGuard guard = new NoGradGuard()) {
      Tensor sum = sum(order.get(parameter));
      sum.index_add_(0, rows, gradient.to(sum.scalar_type()));
    }
  }

  /** Returns the sum of the gradients of a parameter, which is zero at first. */
  private synchronized Tensor sum(Moving own) {
    if (!own.parameter().grad().defined()) {
      own.parameter().mutable_grad().put(torch.zeros_like(own.master().detach()));
    }
    return own.parameter().grad();
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
        double scale = Math.min(1, largestNorm / (norm + 1e-6));
        List<Callable<Boolean>> parts = new ArrayList<>();
        if (moving.values().stream().anyMatch(own -> own.parameter().grad().defined())) {
          moving.values().forEach(own -> parts.add(() -> move(own, rate, scale)));
        }
        Threads.map(parts, moved -> {});
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
    List<Callable<Double>> parts = new ArrayList<>();
    for (Moving own : moving.values()) {
      if (own.parameter().grad().defined()) {
        parts.add(() -> norm(own));
      }
    }
    double[] squares = new double[1];
    Threads.map(parts, norm -> squares[0] += Math.pow(norm, 2));
    return Math.sqrt(squares[0]);
  }

  @SuppressWarnings("try")
  private static double norm(Moving own) {
    try (PointerScope scope = new PointerScope();
        NoGradGuard guard = new NoGradGuard()) {
      return masked(own.mask(), own.parameter().grad()).norm().item_double();
    }
  }

  private static Tensor masked(Optional<Tensor> only, Tensor values) {
    return only.map(mask -> values.masked_fill(mask.logical_not(), new Scalar(0.0))).orElse(values);
  }

  /** Moves a parameter. Parameters move in parallel, each in one thread. */
  @SuppressWarnings("try")
  private boolean move(Moving own, double rate, double scale) {
    try (PointerScope scope = new PointerScope();
        NoGradGuard guard = new NoGradGuard()) {
      moved(own, rate, scale);
    }
    return true;
  }

  private void moved(Moving own, double rate, double scale) {
    Tensor target = own.master().detach();
    Tensor given = own.parameter().grad();
    if (!own.rule().isElementwise() || !isPlain(own, given)) {
      moved(
          new Slice(target, given, List.copyOf(own.moments().values()), own.mask()),
          own,
          rate,
          scale);
      round(own);
      return;
    }
    // The operations of a rule pass over the same entries several times, which then are in a cache.
    Tensor weights = target.view(-1);
    Tensor gradients = given.defined() ? given.view(-1) : given;
    Tensor parameter = own.parameter().detach().view(-1);
    List<Tensor> moments = own.moments().values().stream().map(all -> all.view(-1)).toList();
    Optional<Tensor> mask = own.mask().map(all -> all.view(-1));
    for (long begin = 0; begin < weights.numel(); begin += SLICE) {
      long at = begin;
      long count = Math.min(SLICE, weights.numel() - begin);
      Scopes.run(
          () -> {
            Tensor some = weights.narrow(0, at, count);
            Tensor gradient = given.defined() ? gradients.narrow(0, at, count) : given;
            moved(
                new Slice(
                    some,
                    gradient,
                    moments.stream().map(all -> all.narrow(0, at, count)).toList(),
                    mask.map(all -> all.narrow(0, at, count))),
                own,
                rate,
                scale);
            if (!isMaster(own.parameter())) {
              parameter.narrow(0, at, count).copy_(some);
            }
          });
    }
  }

  /** Returns whether all tensors of a parameter lie in the same order in memory. */
  private static boolean isPlain(Moving own, Tensor gradient) {
    return own.parameter().is_contiguous()
        && own.master().is_contiguous()
        && (!gradient.defined() || gradient.is_contiguous())
        && own.moments().values().stream().allMatch(Tensor::is_contiguous)
        && own.mask().stream().allMatch(Tensor::is_contiguous);
  }

  /** Some entries of a parameter. */
  private record Slice(
      Tensor weights, Tensor gradient, List<Tensor> moments, Optional<Tensor> mask) {}

  private void moved(Slice slice, Moving own, double rate, double scale) {
    Tensor target = slice.weights();
    Tensor gradient =
        slice.gradient().defined()
            ? masked(slice.mask(), slice.gradient().to(ScalarType.Float)).mul(new Scalar(scale))
            : torch.zeros_like(target);
    Tensor moved =
        own.rule()
            .moved(
                new UpdateRule.Step(target, gradient, slice.moments(), rate, steps, own.decays()));
    // Adding zero would not do: it can change the sign bit of a zero.
    target.copy_(slice.mask().map(mask -> torch.where(mask, moved, target)).orElse(moved));
  }

  private static void round(Moving own) {
    if (!isMaster(own.parameter())) {
      own.parameter().detach().copy_(own.master());
    }
  }

  /** {@return the float32 weights behind the parameters, by the names of parameters} */
  public Map<String, Tensor> masters() {
    Map<String, Tensor> masters = new LinkedHashMap<>();
    moving.forEach((name, own) -> masters.put(name, own.master()));
    return masters;
  }

  /**
   * {@return the state that a checkpoint stores besides {@link #steps}} Keys are {@code part:name}:
   * the parts of each parameter are {@code master} and the {@linkplain UpdateRule#moments moments}
   * of its rule. All tensors are float32.
   */
  public Map<String, Tensor> state() {
    Map<String, Tensor> state = new LinkedHashMap<>();
    moving.forEach(
        (name, own) -> {
          state.put(MASTER + ":" + name, own.master());
          own.moments().forEach((part, tensor) -> state.put(part + ":" + name, tensor));
        });
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
      all.addAll(own.moments().values());
      if (!isMaster(own.parameter())) {
        all.add(own.master());
      }
    }
    all.forEach(Tensor::close);
  }
}
