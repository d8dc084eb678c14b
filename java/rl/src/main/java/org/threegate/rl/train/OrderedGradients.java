package org.threegate.rl.train;

import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import org.bytedeco.pytorch.Tensor;
import org.threegate.rl.optimizer.Optimizer;
import org.threegate.rl.policy.GradientSink;

/**
 * Adds the gradients of parts to those of an optimizer while the parts are computed, so that no
 * part holds all of its gradients. Those of a parameter are added in the order of the parts, and
 * those of rows of the embedding after all others. The sums therefore do not depend on the number
 * of threads.
 */
final class OrderedGradients implements AutoCloseable {
  private final Optimizer optimizer;
  private final List<Part> parts = new ArrayList<>();

  /** Some rows of a parameter; -1 for the whole parameter. */
  private record Place(int parameter, long first) {}

  /** Rows of the embedding that a part has looked up. */
  private record Looked(int parameter, Tensor tokens, Tensor gradient) {}

  OrderedGradients(Optimizer optimizer, int parts) {
    this.optimizer = optimizer;
    for (int i = 0; i < parts; i++) {
      this.parts.add(new Part(i));
    }
  }

  /** The gradients of a part. They wait for those of the parts before it. */
  private final class Part implements GradientSink {
    private final int number;
    private final Set<Place> added = new HashSet<>();
    private final List<Looked> looked = new ArrayList<>();
    private boolean ended;

    Part(int number) {
      this.number = number;
    }

    @Override
    public void whole(int parameter, Tensor gradient) {
      inOrder(new Place(parameter, -1), () -> optimizer.add(parameter, gradient));
    }

    @Override
    public void rows(int parameter, long first, Tensor gradient) {
      inOrder(new Place(parameter, first), () -> optimizer.add(parameter, first, gradient));
    }

    @Override
    public void looked(int parameter, Tensor tokens, Tensor gradient) {
      tokens.retainReference();
      gradient.retainReference();
      looked.add(new Looked(parameter, tokens, gradient));
    }

    private void inOrder(Place place, Runnable addition) {
      await(number, place);
      addition.run();
      synchronized (OrderedGradients.this) {
        added.add(place);
        OrderedGradients.this.notifyAll();
      }
    }
  }

  /** Waits until the part before has added its gradient of a place, or has ended. */
  private synchronized void await(int number, Place place) {
    boolean interrupted = false;
    while (number > 0
        && !parts.get(number - 1).ended
        && !parts.get(number - 1).added.contains(place)) {
      try {
        wait();
      } catch (InterruptedException e) {
        // The parts before this one end by themselves, and the sums must not be cut.
        interrupted = true;
      }
    }
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
  }

  /**
   * Returns the sink of a part. The parts before it must have been started before, and each must be
   * {@linkplain #end ended}.
   */
  GradientSink of(int part) {
    return parts.get(part);
  }

  /** Ends a part, also after a failure, when the parts before it have ended. */
  void end(int part) {
    await(part, new Place(-1, -1)); // no part has this place
    synchronized (this) {
      parts.get(part).ended = true;
      notifyAll();
    }
  }

  /** Adds what waits for the end of all parts. */
  void finish() {
    for (Part part : parts) {
      part.looked.forEach(own -> optimizer.addRows(own.parameter(), own.tokens(), own.gradient()));
    }
  }

  @Override
  public void close() {
    for (Part part : parts) {
      part.looked.forEach(
          own -> {
            own.tokens().close();
            own.gradient().close();
          });
    }
  }
}
