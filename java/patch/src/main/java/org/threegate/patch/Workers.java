package org.threegate.patch;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.Executor;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import org.threegate.checkpoint.Tensor;
import org.threegate.kernel.Context;

/**
 * Tensors side by side, the largest first, one in a thread: what is read stays in the caches of the
 * processor that reads it. What they come to does not depend on how many there are at a time.
 */
final class Workers {
  private final WeightPatch.Progress progress;
  private final long total;
  private long done;

  private Workers(WeightPatch.Progress progress, long total) {
    this.progress = progress;
    this.total = total;
  }

  /** What is done with a tensor. */
  @FunctionalInterface
  interface Task {
    /**
     * @param own context of the thread
     * @param index of the tensor in the list
     */
    void run(Context own, int index, Tensor tensor) throws IOException;
  }

  static void run(Context context, List<Tensor> tensors, WeightPatch.Progress progress, Task task)
      throws IOException {
    long total = tensors.stream().mapToLong(Tensor::bytes).sum();
    new Workers(progress, total).run(context, tensors, task);
    progress.at("", total, total);
  }

  private void run(Context context, List<Tensor> tensors, Task task) throws IOException {
    List<Integer> order = new ArrayList<>();
    for (int i = 0; i < tensors.size(); i++) {
      order.add(i);
    }
    order.sort(Comparator.comparing(index -> -tensors.get(index).bytes()));
    int threads = Math.min(context.threads(), tensors.size());
    AtomicInteger next = new AtomicInteger();
    AtomicReference<Optional<Throwable>> failure = new AtomicReference<>(Optional.empty());
    Runnable work =
        () -> {
          try (Context own = Context.open(Context.Device.CPU, 1)) {
            for (int i = next.getAndIncrement();
                i < tensors.size() && failure.get().isEmpty();
                i = next.getAndIncrement()) {
              Tensor tensor = tensors.get(order.get(i));
              begin(tensor);
              task.run(own, order.get(i), tensor);
              end(tensor);
            }
          } catch (IOException | RuntimeException | Error e) {
            // The first one says what happened; the others end because of it.
            failure.compareAndSet(Optional.empty(), Optional.of(e));
          }
        };
    // Threads of their own: a pool's may be busy, or those that wait for these.
    Executor executor =
        run -> {
          Thread thread = new Thread(run, "threegate-patch");
          thread.setDaemon(true);
          thread.start();
        };
    List<CompletableFuture<Void>> others = new ArrayList<>();
    for (int i = 1; i < threads; i++) {
      others.add(CompletableFuture.runAsync(work, executor));
    }
    work.run();
    others.forEach(CompletableFuture::join);
    if (failure.get().isPresent()) {
      rethrow(failure.get().get());
    }
  }

  private static void rethrow(Throwable failure) throws IOException {
    if (failure instanceof UncheckedIOException unchecked) {
      throw unchecked.getCause();
    }
    if (failure instanceof IOException checked) {
      throw checked;
    }
    if (failure instanceof RuntimeException unchecked) {
      throw unchecked;
    }
    if (failure instanceof Error error) {
      throw error;
    }
    throw new CompletionException(failure);
  }

  private synchronized void begin(Tensor tensor) {
    progress.at(tensor.name(), done, total);
  }

  private synchronized void end(Tensor tensor) {
    done += tensor.bytes();
  }
}
