package org.threegate.analysis.compare;

import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import org.threegate.analysis.pairing.WeightPair;
import org.threegate.checkpoint.Tensor;
import org.threegate.kernel.Context;
import org.threegate.run.Background;

/**
 * Asks the operating system to read ahead of the comparison. It reads from all files at once, so
 * that the disk is never idle and can reorder requests. The window is bounded, so that pages are
 * still in memory when they are needed. Failures are ignored here: the comparison reads the file
 * itself and reports the error.
 */
final class ReadAhead implements AutoCloseable {
  /** Largest number of bytes to request ahead of the comparison. */
  private static final long WINDOW = 512L << 20;

  /** Size of one request in bytes. Requests alternate between files. */
  private static final long SLICE = 4L << 20;

  private final List<WeightPair> pairs;
  private final Background thread = new Background("threegate-read-ahead", 1);
  private int reached;
  private boolean stopped;

  /** Starts to read ahead. */
  ReadAhead(List<WeightPair> pairs) {
    this.pairs = List.copyOf(pairs);
    thread.submit(this::read);
  }

  /** Tells the reader that the comparison has reached pair {@code index}. */
  synchronized void reach(int index) {
    reached = index;
    notifyAll();
  }

  private Void read() throws InterruptedException {
    long[] before = new long[pairs.size()];
    for (int i = 1; i < pairs.size(); i++) {
      before[i] = before[i - 1] + pairs.get(i - 1).bytes();
    }
    Set<Tensor> requested = new HashSet<>();
    try (Context context = Context.open(Context.Device.CPU, 1)) {
      for (int i = 0; i < pairs.size() && await(i, before); i++) {
        request(context, pairs.get(i).sources().stream().filter(requested::add).toList());
      }
    }
    return null;
  }

  /**
   * Waits until pair {@code next} is within the window. The pair after the current one always is.
   */
  private synchronized boolean await(int next, long[] before) throws InterruptedException {
    while (!stopped && next > reached + 1 && before[next] - before[reached] > WINDOW) {
      wait();
    }
    return !stopped;
  }

  private synchronized boolean isStopped() {
    return stopped;
  }

  private void request(Context context, List<Tensor> tensors) {
    List<Tensor> left = new ArrayList<>(tensors);
    for (long offset = 0; !left.isEmpty() && !isStopped(); offset += SLICE) {
      long from = offset;
      left.removeIf(tensor -> tensor.bytes() <= from);
      for (Tensor tensor : left) {
        tensor
            .file()
            .willNeed(context, tensor.offset() + from, Math.min(SLICE, tensor.bytes() - from));
      }
    }
  }

  @Override
  public void close() {
    synchronized (this) {
      stopped = true;
      notifyAll();
    }
    thread.close();
  }
}
