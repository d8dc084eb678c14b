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
 * Runs a task for each tensor of a list, on several threads, the largest tensor first. One thread
 * reads a whole tensor, so that its data stays in the caches of one processor.
 */
final class TensorLoop {
  private final Progress progress;
  private final long total;
  private long done;

  private TensorLoop(Progress progress, long total) {
    this.progress = progress;
    this.total = total;
  }

  /** Processes one tensor. */
  @FunctionalInterface
  interface Task {
    /**
     * Processes a tensor.
     *
     * @param own context of the thread
     * @param index index of the tensor in the list
     */
    void run(Context own, int index, Tensor tensor) throws IOException;
  }

  /**
   * Runs a task for every tensor and waits for all of them.
   *
   * @param context its number of threads is used
   * @param progress receives bytes of the tensors
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
