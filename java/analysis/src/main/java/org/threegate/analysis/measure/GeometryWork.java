package org.threegate.analysis.measure;

import java.util.Optional;
import java.util.concurrent.ArrayBlockingQueue;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Future;
import org.threegate.kernel.Context;
import org.threegate.kernel.Control;

/**
 * Measures geometries beside the diff, each by one thread, so that results do not depend on how
 * many there are.
 */
final class GeometryWork implements AutoCloseable {
  private final Optional<GeometryOptions> options;
  private final BlockingQueue<Context> contexts;
  private final Control control;
  private final Background threads;

  /**
   * @param context gives the number of threads
   * @param options empty: nothing is measured
   */
  GeometryWork(Context context, Optional<GeometryOptions> options) {
    int count = context.threads();
    this.options = options;
    this.control = Control.open(context);
    this.contexts = new ArrayBlockingQueue<>(count);
    for (int i = 0; i < count && options.isPresent(); i++) {
      contexts.add(Context.open(Context.Device.CPU, 1));
    }
    this.threads = new Background("threegate-geometry", count);
  }

  Future<Optional<TensorGeometry>> start(TensorPair pair) {
    if (options.isEmpty() || pair.dimensions() < 2) {
      return CompletableFuture.completedFuture(Optional.empty());
    }
    return threads.submit(
        () -> {
          Context own = contexts.take();
          try {
            TensorGeometry geometry =
                GeometryMeasurement.of(
                    own, pair.name(), pair.base(), pair.tuned(), options.get(), control);
            return Optional.of(pair.transposed() ? geometry.transposed() : geometry);
          } finally {
            contexts.add(own);
          }
        });
  }

  /** About how much work a pair is, in floating-point operations and bytes alike. */
  long cost(TensorPair pair) {
    double shorter = Math.min(pair.base().rows(), pair.base().columns());
    double longer = Math.max(pair.base().rows(), pair.base().columns());
    if (options.isEmpty() || pair.dimensions() < 2 || shorter == 0) {
      return pair.bytes();
    }
    // Three decompositions, and null models for as much again.
    return pair.bytes() + (long) (6 * shorter * shorter * (longer + 4 * shorter));
  }

  void cancel() {
    control.cancel();
  }

  @Override
  public void close() {
    cancel();
    threads.close();
    contexts.forEach(Context::close);
    control.close();
  }
}
