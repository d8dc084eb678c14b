package org.threegate.checkpoint;

import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.function.LongSupplier;
import org.threegate.kernel.Context;
import org.threegate.run.Background;

/**
 * Asks the operating system to read ahead of a reader. It reads from all files at once, so that the
 * disk is never idle and can reorder requests. The window is bounded, so that pages are still in
 * memory when they are needed. Failures are ignored here: the reader reads the files itself and
 * reports the error.
 *
 * <pre>{@code
 * try (Checkpoint checkpoint = Checkpoint.open(context, base)) {
 *   List<Tensor> tensors = List.copyOf(checkpoint.tensors().values());
 *   try (ReadAhead ahead = new ReadAhead(List.of(tensors), control::done)) {
 *     ahead.start();
 *     System.out.println(Digests.of(context, tensors, control));
 *   }
 * }
 * }</pre>
 */
public final class ReadAhead implements AutoCloseable {
  /** Largest number of bytes to request ahead of the reader. */
  private static final long WINDOW = 512L << 20;

  /** Size of one request in bytes. Requests alternate between the tensors of a step. */
  private static final long SLICE = 4L << 20;

  /** Bytes of memory that are read and released together. */
  private static final long HUGE_PAGE = 2L << 20;

  /** Milliseconds between two looks at the reader. The fastest reads a tenth of a window then. */
  private static final long LOOK_MILLIS = 2;

  /** How much larger the page cache is than the window of what is read past it, at least. */
  private static final long CACHE_OF_WINDOW = 16;

  /** Threads that read past the page cache. Each waits for its own request. */
  private static final int DIRECT_READERS = 4;

  private final List<List<Tensor>> steps;
  private final LongSupplier position;
  private final boolean once;
  private final long window;
  private final Background threads;
  private final int[] readersDone; // with each step
  private boolean stopped;

  /**
   * Plans what to read into the page cache.
   *
   * @param steps tensors that are read at the same time, in the order of reading
   * @param position returns how many bytes of the steps the reader has read, from any thread
   */
  public ReadAhead(List<List<Tensor>> steps, LongSupplier position) {
    this(steps, position, false, WINDOW);
  }

  private ReadAhead(List<List<Tensor>> steps, LongSupplier position, boolean once, long window) {
    this.steps = List.copyOf(steps);
    this.position = position;
    this.once = once;
    this.window = window;
    this.readersDone = new int[steps.size()];
    this.threads = new Background("threegate-read-ahead", once ? DIRECT_READERS : 1);
  }

  /**
   * Plans what to read for a reader that soon calls {@link org.threegate.kernel.MappedFile#isDone}
   * for each tensor. If all tensors together are larger than the page cache, they are read past it.
   * Reading is then faster, and the files of other programs stay in the cache.
   *
   * @param steps tensors that are read at the same time, in the order of reading
   * @param position returns how many bytes of the steps the reader has read, from any thread
   * @param cache number of bytes that the page cache can keep
   * @return the plan, which is not started
   */
  public static ReadAhead ofReleased(List<List<Tensor>> steps, LongSupplier position, long cache) {
    long bytes = steps.stream().flatMap(List::stream).distinct().mapToLong(Tensor::bytes).sum();
    return bytes > cache
        ? new ReadAhead(steps, position, true, Math.min(WINDOW, cache / CACHE_OF_WINDOW))
        : new ReadAhead(steps, position);
  }

  /** Starts to read ahead. */
  public void start() {
    int readers = once ? DIRECT_READERS : 1;
    for (int reader = 0; reader < readers; reader++) {
      int own = reader;
      threads.submit(() -> read(own, readers));
    }
  }

  /**
   * Waits until a step was read, if it is read past the page cache. A reader that does not wait
   * would read the same bytes into the cache.
   *
   * @param step number of the step
   * @throws InterruptedException if the thread is interrupted
   */
  public synchronized void awaitStep(int step) throws InterruptedException {
    while (once && !stopped && readersDone[step] < DIRECT_READERS) {
      wait();
    }
  }

  private synchronized void isDoneWith(int step) {
    readersDone[step]++;
    notifyAll();
  }

  private Void read(int reader, int readers) throws InterruptedException {
    Set<Tensor> requested = new HashSet<>();
    int next = 0;
    long begin = 0;
    long previous = 0;
    try (Context context = Context.open(Context.Device.CPU, 1)) {
      while (next < steps.size() && await(begin, previous)) {
        List<Tensor> step = steps.get(next);
        long end = begin + step.stream().mapToLong(Tensor::bytes).sum();
        request(context, step.stream().filter(requested::add).toList(), end, reader, readers);
        previous = begin;
        begin = end;
        isDoneWith(next++);
      }
    } finally {
      // After a failure, nobody waits for this thread.
      while (next < steps.size()) {
        isDoneWith(next++);
      }
    }
    return null;
  }

  /**
   * Waits until a step is within the window. The step after the current one always is.
   *
   * @param begin bytes before the step
   * @param previous bytes before the step that precedes it
   * @return whether to go on
   */
  private synchronized boolean await(long begin, long previous) throws InterruptedException {
    while (!stopped && begin - position.getAsLong() > window && position.getAsLong() < previous) {
      wait(LOOK_MILLIS);
    }
    return !stopped;
  }

  private synchronized boolean isStopped() {
    return stopped;
  }

  /**
   * Requests every {@code readers}-th slice of some tensors, until the reader has read them.
   *
   * @param end position of the reader when it has read them
   */
  private void request(Context context, List<Tensor> tensors, long end, int reader, int readers) {
    List<Tensor> left = new ArrayList<>(tensors);
    int slice = 0;
    for (long offset = 0; !left.isEmpty() && !isStopped(); offset += SLICE) {
      long from = offset;
      left.removeIf(tensor -> tensor.bytes() <= from);
      for (Tensor tensor : left) {
        if (slice++ % readers == reader && position.getAsLong() < end) {
          request(context, tensor, from, Math.min(SLICE, tensor.bytes() - from), end);
        }
      }
    }
  }

  private void request(Context context, Tensor tensor, long from, long bytes, long end) {
    // The kernel cannot take memory of the process before it is read, as it can take cached pages.
    // So the process must hold no more than the window and a few tensors of its size.
    if (once && tensor.bytes() <= window) {
      tensor.file().readOnce(context, tensor.offset() + from, bytes);
      if (position.getAsLong() >= end) {
        // The reader was faster, and may have released the tensor before this slice was there. The
        // last huge page may end beyond the slice.
        long offset = tensor.offset() + from;
        long most = Math.min(bytes + HUGE_PAGE, tensor.file().bytes() - offset);
        tensor.file().isDone(context, offset, most);
      }
    } else {
      tensor.file().willNeed(context, tensor.offset() + from, bytes);
    }
  }

  @Override
  public void close() {
    synchronized (this) {
      stopped = true;
      notifyAll();
    }
    threads.close();
  }
}
