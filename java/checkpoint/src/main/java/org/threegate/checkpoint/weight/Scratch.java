package org.threegate.checkpoint.weight;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Optional;
import java.util.stream.LongStream;
import org.threegate.buffer.NativeBuffer;
import org.threegate.kernel.Context;
import org.threegate.run.Workers;

/**
 * Memory that copied entries of one matrix after another use, and threads that copy them. Memory
 * that is used again has no pages to fault in, which cost as much time as the copy itself. Only one
 * thread may use it.
 *
 * <pre>{@code
 * try (Checkpoint checkpoint = Checkpoint.open(context, base);
 *     Scratch scratch = new Scratch(context)) {
 *   for (Weight weight : Weights.of(checkpoint).byName().values()) {
 *     try (Values.Compared compared = weight.entries().openToCompare(context, scratch)) {
 *       System.out.println(weight.name() + ": " + compared.entries().rows() + " rows");
 *     }
 *   }
 * }
 * }</pre>
 */
public final class Scratch implements AutoCloseable {
  /** Largest buffer that is kept, in bytes. Memory for larger matrices is freed after each. */
  private static final long MOST_KEPT = 1L << 28;

  /** Buffers that are kept: one for each side of a comparison. */
  private static final int SIDES = 2;

  private static final long BLOCK = 1L << 21;

  private final Context context;
  private final List<NativeBuffer> free = new ArrayList<>();
  private Optional<Workers> workers = Optional.empty();

  /** Copies a range of entries. */
  @FunctionalInterface
  interface Copy {
    /**
     * Copies.
     *
     * @param own context of the thread that copies
     * @param begin index of the first entry
     * @param count number of entries
     */
    void block(Context own, long begin, long count);
  }

  /**
   * Opens an empty scratch memory. Threads start when they are needed.
   *
   * @param context context with as many threads as shall copy
   */
  public Scratch(Context context) {
    this.context = context;
  }

  /** Returns memory of at least so many bytes, for {@link #give}. */
  NativeBuffer take(long bytes) {
    Optional<NativeBuffer> fits =
        free.stream()
            .filter(buffer -> buffer.bytes() >= bytes)
            .min(Comparator.comparingLong(NativeBuffer::bytes));
    if (fits.isPresent()) {
      free.remove(fits.get());
      return fits.get();
    }
    if (!free.isEmpty()) {
      free.remove(0).close();
    }
    return context.allocate(Math.max(1, bytes));
  }

  /** Takes memory back. */
  void give(NativeBuffer buffer) {
    if (buffer.bytes() > MOST_KEPT || free.size() == SIDES) {
      buffer.close();
    } else {
      free.add(buffer);
    }
  }

  /** Copies entries in blocks, on all threads. */
  void inBlocks(long entries, Copy copy) {
    if (entries <= BLOCK || context.threads() == 1) {
      copy.block(context, 0, entries);
      return;
    }
    if (workers.isEmpty()) {
      workers = Optional.of(Workers.onCpu(context.threads(), "threegate-copy"));
    }
    List<Long> begins =
        LongStream.iterate(0, begin -> begin < entries, begin -> begin + BLOCK).boxed().toList();
    try {
      workers
          .get()
          .forEach(
              begins, (own, begin) -> copy.block(own, begin, Math.min(BLOCK, entries - begin)));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  @Override
  public void close() {
    workers.ifPresent(Workers::close);
    free.forEach(NativeBuffer::close);
  }
}
