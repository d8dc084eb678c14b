package org.threegate.analysis.compare;

import java.util.List;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Future;
import org.threegate.analysis.geometry.GeometryOptions;
import org.threegate.analysis.geometry.TensorGeometry;
import org.threegate.analysis.pairing.TensorPair;
import org.threegate.analysis.pairing.WeightPair;
import org.threegate.kernel.Context;
import org.threegate.run.MemoryBudget;
import org.threegate.run.Workers;

/** Measures geometries on background threads while the diff runs. */
final class GeometryWork implements AutoCloseable {
  private final Optional<GeometryOptions> options;
  private final Optional<Workers> workers;

  /**
   * Starts the threads.
   *
   * @param context context that determines the number of threads
   * @param options geometry to measure; empty: none
   * @param pairs the pairs to measure
   * @param memory bounds the number of pairs at the same time
   */
  GeometryWork(
      Context context,
      Optional<GeometryOptions> options,
      List<WeightPair> pairs,
      MemoryBudget memory) {
    this.options = options;
    this.workers =
        options.map(
            wanted ->
                Workers.like(
                    context,
                    memory.atOnce(context.threads(), PairMeasurement.items(pairs, wanted)),
                    "threegate-geometry"));
  }

  Future<Optional<TensorGeometry>> start(WeightPair pair) {
    if (workers.isEmpty() || pair.dimensions() < 2) {
      return CompletableFuture.completedFuture(Optional.empty());
    }
    GeometryOptions wanted = options.orElseThrow();
    return workers
        .get()
        .submit(
            (context, control) -> {
              try (TensorPair opened = pair.open(context)) {
                return PairMeasurement.geometry(context, opened, wanted, control);
              }
            });
  }

  long cost(WeightPair pair) {
    return PairMeasurement.cost(pair, options.isPresent());
  }

  void cancel() {
    workers.ifPresent(Workers::cancel);
  }

  @Override
  public void close() {
    workers.ifPresent(Workers::close);
  }
}
