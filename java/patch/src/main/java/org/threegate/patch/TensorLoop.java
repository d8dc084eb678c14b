package org.threegate.patch;

import java.io.IOException;
import java.util.Comparator;
import java.util.List;
import java.util.stream.IntStream;
import org.threegate.checkpoint.Tensor;
import org.threegate.kernel.Context;
import org.threegate.run.Progress;
import org.threegate.run.Workers;

/**
 * Work on each tensor of a checkpoint, the largest first. One thread reads a whole tensor, so that
 * what it reads stays in the caches of its processor.
 */
final class TensorLoop {
  private final Progress progress;
  private final long total;
  private long done;

  private TensorLoop(Progress progress, long total) {
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

  /**
   * Runs a task for every tensor and waits for all of them.
   *
   * @param context gives the number of threads
   */
  static void run(Context context, List<Tensor> tensors, Progress progress, Task task)
      throws IOException {
    long total = tensors.stream().mapToLong(Tensor::bytes).sum();
    TensorLoop loop = new TensorLoop(progress, total);
    List<Integer> order =
        IntStream.range(0, tensors.size())
            .boxed()
            .sorted(Comparator.comparing(index -> -tensors.get(index).bytes()))
            .toList();
    if (!order.isEmpty()) {
      int threads = Math.min(context.threads(), tensors.size());
      try (Workers workers = Workers.onCpu(threads, "threegate-patch")) {
        workers.forEach(
            order,
            (own, index) -> {
              Tensor tensor = tensors.get(index);
              loop.begin(tensor);
              task.run(own, index, tensor);
              loop.end(tensor);
            });
      }
    }
    progress.at("", total, total);
  }

  private synchronized void begin(Tensor tensor) {
    progress.at(tensor.name(), done, total);
  }

  private synchronized void end(Tensor tensor) {
    done += tensor.bytes();
  }
}
