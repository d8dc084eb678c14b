package org.threegate.analysis.measure;

import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Future;
import org.threegate.kernel.Context;

/** Measures geometries beside the diff. */
final class GeometryWork implements AutoCloseable {
  private final Optional<GeometryOptions> options;
  private final Optional<Workers> workers;

  /**
   * @param context gives the number of threads
   * @param options empty: nothing is measured
   */
  GeometryWork(Context context, Optional<GeometryOptions> options) {
    this.options = options;
    this.workers = options.map(wanted -> new Workers(context, "threegate-geometry"));
  }

  Future<Optional<TensorGeometry>> start(TensorPair pair) {
    if (workers.isEmpty() || pair.dimensions() < 2) {
      return CompletableFuture.completedFuture(Optional.empty());
    }
    return workers
        .get()
        .submit(
            (context, control) -> {
              TensorGeometry geometry =
                  GeometryMeasurement.of(
                      context,
                      pair.name(),
                      pair.base(),
                      pair.tuned(),
                      options.orElseThrow(),
                      control);
              return Optional.of(pair.transposed() ? geometry.transposed() : geometry);
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
    workers.ifPresent(Workers::cancel);
  }

  @Override
  public void close() {
    workers.ifPresent(Workers::close);
  }
}
