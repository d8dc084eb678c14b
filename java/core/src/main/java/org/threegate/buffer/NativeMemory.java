package org.threegate.buffer;

import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.lang.ref.Reference;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Objects;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.AtomicReferenceArray;
import org.threegate.spi.KernelBinding;

/**
 * The memory of a {@link NativeBuffer}, which may outlive the buffer. It counts its users and is
 * freed once, when it is closed and the last user has left. It also has the direct buffers through
 * which accessors reach the memory.
 */
final class NativeMemory implements Runnable {
  /** Frees nothing: the memory belongs to somebody else. */
  static final Runnable NOTHING = () -> {};

  private static final AtomicLong LEAKS = new AtomicLong();
  private static final AtomicLong RETAINED = new AtomicLong();
  private static final boolean TRACE = Boolean.getBoolean("threegate.trace.leaks");

  // One word tells whether the memory is closed and how many use it: accessors in the lowest bits,
  // then slices, then leases, then flags. So exactly one thread sees that nothing uses it any more.
  private static final long ACCESS = 1;
  private static final long SLICE = 1L << 18;
  private static final long LEASE = 1L << 40;
  private static final long SLICES = LEASE - SLICE;
  private static final long HELD = 1L << 61; // closed while there were slices
  private static final long LEASES = HELD - LEASE;
  private static final long FREED = 1L << 62;
  private static final long CLOSED = 1L << 63;
  private static final VarHandle STATE;

  private static final int WINDOW_BITS = 30;
  private static final long WINDOW = 1L << WINDOW_BITS;
  private static final int OVERLAP = 8; // an element may begin in one window and end in the next

  static {
    try {
      STATE = MethodHandles.lookup().findVarHandle(NativeMemory.class, "state", long.class);
    } catch (ReflectiveOperationException e) {
      throw new ExceptionInInitializerError(e);
    }
  }

  private final KernelBinding binding;
  private final long address;
  private final long bytes;
  private final boolean readOnly;
  private final boolean onDevice;
  private final Object keptAlive;
  private final Runnable free;
  private final Throwable allocation;
  // Published through volatile accesses: fields of a ByteBuffer are not final.
  private final AtomicReferenceArray<ByteBuffer> windows;

  @SuppressWarnings("unused") // through STATE
  private volatile long state;

  /** Uses a part of a range. */
  @FunctionalInterface
  interface PartUser<E extends Exception> {
    /**
     * Uses a part.
     *
     * @param part little-endian, from position 0 to its limit
     * @param at bytes of the range before the part
     */
    void use(ByteBuffer part, long at) throws E;
  }

  /**
   * Describes memory.
   *
   * @param onDevice whether only kernels can reach the memory
   * @param keptAlive owner of the memory, which stays reachable while the memory is used
   * @param free frees the memory, or {@link #NOTHING}
   */
  NativeMemory(
      KernelBinding binding,
      long address,
      long bytes,
      boolean readOnly,
      boolean onDevice,
      Object keptAlive,
      Runnable free) {
    this.binding = binding;
    this.address = address;
    this.bytes = bytes;
    this.readOnly = readOnly;
    this.onDevice = onDevice;
    this.keptAlive = keptAlive;
    this.free = free;
    this.allocation = TRACE && isOwned() ? new Throwable("allocated here, never closed") : null;
    this.windows =
        new AtomicReferenceArray<>(Math.toIntExact((bytes + WINDOW - 1) >>> WINDOW_BITS));
  }

  /** Returns how many buffers of this JVM were dropped without being closed. */
  static long leaks() {
    return LEAKS.get();
  }

  /** Returns how many closed buffers have memory that a slice keeps. */
  static long retained() {
    return RETAINED.get();
  }

  long address() {
    return address;
  }

  long bytes() {
    return bytes;
  }

  boolean isReadOnly() {
    return readOnly;
  }

  boolean isOnDevice() {
    return onDevice;
  }

  boolean isOwned() {
    return free != NOTHING;
  }

  boolean isClosed() {
    return state < 0;
  }

  /** Enters an accessor, which ends with {@link #exit}. */
  void enter() {
    if ((long) STATE.getAndAdd(this, ACCESS) < 0) {
      release(ACCESS);
      throw closed();
    }
  }

  /** Leaves an accessor. */
  void exit() {
    release(ACCESS);
  }

  /** Begins a lease, which ends with {@link #endLease}. */
  void beginLease() {
    acquire(LEASE, LEASES);
  }

  /** Ends a lease. */
  void endLease() {
    release(LEASE);
  }

  /**
   * Adds a user.
   *
   * @param unit {@code LEASE} or {@code SLICE}
   * @param all the bits that count such users
   */
  private void acquire(long unit, long all) {
    long now;
    do {
      now = state;
      if (now < 0) {
        throw closed();
      }
      if ((now & all) == all) {
        throw new IllegalStateException("millions of uses of one buffer at a time");
      }
    } while (!STATE.compareAndSet(this, now, now + unit));
  }

  private void release(long unit) {
    free((long) STATE.getAndAdd(this, -unit) - unit);
    Reference.reachabilityFence(keptAlive);
  }

  private void free(long now) {
    if ((now & ~HELD) == CLOSED && STATE.compareAndSet(this, now, now | FREED)) {
      if ((now & HELD) != 0) {
        RETAINED.decrementAndGet();
      }
      free.run();
    }
  }

  /**
   * Closes the memory.
   *
   * @param leased whether it may be closed while it is leased: nobody can reach the buffer any more
   * @return false if it was closed before
   * @throws IllegalStateException if it is leased and must not be
   */
  boolean close(boolean leased) {
    long now;
    long next;
    do {
      now = state;
      if (now < 0) {
        return false;
      }
      long leases = (now & LEASES) / LEASE;
      if (leases > 0 && !leased) {
        throw new IllegalStateException(
            "the buffer is in use by " + leases + " running call" + (leases == 1 ? "" : "s"));
      }
      next = now | CLOSED | ((now & SLICES) != 0 ? HELD : 0);
    } while (!STATE.compareAndSet(this, now, next));
    if ((next & HELD) != 0) {
      RETAINED.incrementAndGet();
    }
    free(next);
    return true;
  }

  /** Closes the memory of a buffer that was dropped, and counts a leak if it was open. */
  @Override
  public void run() {
    if (close(true)) {
      LEAKS.incrementAndGet();
      if (allocation != null) {
        allocation.printStackTrace();
      }
    }
  }

  private static IllegalStateException closed() {
    return new IllegalStateException("the buffer is closed");
  }

  /** Returns a direct buffer that keeps nothing alive. */
  ByteBuffer view(long offset, int length, boolean viewReadOnly) {
    Objects.checkFromIndexSize(offset, length, bytes);
    return littleEndian(
        length == 0 ? ByteBuffer.allocateDirect(0) : binding.viewOf(reachable(offset), length),
        viewReadOnly);
  }

  /** Returns a direct buffer that keeps the memory until it is collected. */
  ByteBuffer slice(long offset, int length) {
    Objects.checkFromIndexSize(offset, length, bytes);
    acquire(SLICE, SLICES);
    ByteBuffer slice = null;
    try {
      if (length > 0) {
        slice = binding.viewOf(reachable(offset), length, () -> release(SLICE));
      }
    } finally {
      if (slice == null) {
        release(SLICE);
      }
    }
    return littleEndian(slice == null ? ByteBuffer.allocateDirect(0) : slice, readOnly);
  }

  /** Throws if only kernels can reach the memory. */
  void requireReachable() {
    if (onDevice) {
      throw new UnsupportedOperationException(
          "the buffer lies in the memory of a device, which only kernels reach");
    }
  }

  /** Returns the address of a byte that the processor can reach. */
  private long reachable(long offset) {
    requireReachable();
    return address + offset;
  }

  private static ByteBuffer littleEndian(ByteBuffer view, boolean readOnly) {
    return (readOnly ? view.asReadOnlyBuffer() : view).order(ByteOrder.LITTLE_ENDIAN);
  }

  /**
   * Enters an accessor of one element, which ends with {@link #exit}.
   *
   * @return the window with the element, at {@link #within}
   */
  ByteBuffer enter(long offset, int length) {
    Objects.checkFromIndexSize(offset, length, bytes);
    enter();
    ByteBuffer window = windows.getAcquire((int) (offset >>> WINDOW_BITS));
    return window == null ? firstWindow(offset) : window;
  }

  private ByteBuffer firstWindow(long offset) {
    try {
      return window(offset);
    } catch (RuntimeException | Error e) {
      exit();
      throw e;
    }
  }

  /** Returns the index of an offset in its window. */
  static int within(long offset) {
    return (int) (offset & (WINDOW - 1));
  }

  private ByteBuffer window(long offset) {
    int index = (int) (offset >>> WINDOW_BITS);
    ByteBuffer window = windows.getAcquire(index);
    if (window == null) {
      long start = (long) index << WINDOW_BITS;
      long length = Math.min(WINDOW + OVERLAP, bytes - start);
      window = littleEndian(binding.viewOf(reachable(start), length), readOnly);
      windows.setRelease(index, window);
    }
    return window;
  }

  /**
   * Visits the parts of a range in ascending order. The length of each part but the last is a
   * multiple of 8.
   */
  <E extends Exception> void forEachPart(long offset, long length, PartUser<E> user) throws E {
    Objects.checkFromIndexSize(offset, length, bytes);
    enter();
    try {
      for (long at = 0; at < length; ) {
        int begin = within(offset + at);
        int count = (int) Math.min(length - at, (WINDOW + OVERLAP - begin) / OVERLAP * OVERLAP);
        user.use(window(offset + at).slice(begin, count).order(ByteOrder.LITTLE_ENDIAN), at);
        at += count;
      }
    } finally {
      exit();
    }
  }
}
