package org.threegate.analysis.compare;

import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import org.threegate.analysis.pairing.TensorPair;
import org.threegate.checkpoint.Tensor;
import org.threegate.kernel.Context;
import org.threegate.run.Background;

/**
 * Has the operating system read ahead of the comparison, from all files at once, so that the disk
 * is never idle and has several requests to choose from. Bounded, so that what was read is still in
 * memory when it is needed. Only advice: when it fails the comparison reads by itself, and says
 * what is wrong with a file.
 */
final class ReadAhead implements AutoCloseable {
  /** Bytes that may be requested before the comparison gets to them. */
  private static final long WINDOW = 512L << 20;

  /** Bytes of one request, from each file in turn. */
  private static final long SLICE = 4L << 20;

  private final List<TensorPair> pairs;
  private final Background thread = new Background("threegate-read-ahead", 1);
  private int reached;
  private boolean stopped;

  /** Begins to read. */
  ReadAhead(List<TensorPair> pairs) {
    this.pairs = List.copyOf(pairs);
    thread.submit(this::read);
  }

  /** The comparison begins with pair {@code index} of those given. */
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

  /** Waits until pair {@code next} is close enough; the one after the current always is. */
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
