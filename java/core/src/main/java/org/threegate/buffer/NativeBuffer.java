package org.threegate.buffer;

import java.lang.ref.Cleaner;
import java.lang.ref.Reference;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Objects;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import org.threegate.spi.KernelBinding;

/**
 * A range of native memory, of any size: allocated (64-byte aligned, freed by {@link #close}), or a
 * caller's memory wrapped without a copy and kept reachable. Accessors are little-endian and
 * checked; offsets are in bytes.
 *
 * <p>A native call holds a {@link Lease} on the buffers it touches: closing a leased buffer throws,
 * so memory is never freed under a running kernel. A second close does nothing. A buffer that is
 * dropped without being closed is freed by a cleaner and counted as a leak, see {@link #leaks()}.
 *
 * <pre>{@code
 * try (NativeBuffer buffer = context.allocate(1024)) {
 *   buffer.putDouble(0, 1.5);
 * }
 * }</pre>
 */
public final class NativeBuffer implements AutoCloseable {
  private static final Cleaner CLEANER = Cleaner.create();
  private static final AtomicLong LEAKS = new AtomicLong();
  private static final boolean TRACE = Boolean.getBoolean("threegate.trace.leaks");
  private static final int WINDOW_BITS = 30;
  private static final long WINDOW = 1L << WINDOW_BITS;
  private static final int OVERLAP = 8; // an element may begin in one window and end in the next

  private final Memory memory;
  private final Cleaner.Cleanable cleanable;
  private final ByteBuffer[] windows;

  private NativeBuffer(Memory memory) {
    this.memory = memory;
    this.windows = new ByteBuffer[Math.toIntExact((memory.bytes + WINDOW - 1) >>> WINDOW_BITS)];
    this.cleanable = memory.owned ? CLEANER.register(this, memory::leaked) : () -> {};
  }

  /** State that outlives the buffer, for its cleaner. */
  private static final class Memory {
    private static final int CLOSED = -1;
    final KernelBinding binding;
    final long address;
    final long bytes;
    final boolean owned;
    final Object keptAlive;
    final Throwable allocation;
    final AtomicInteger leases = new AtomicInteger(); // CLOSED once closed

    Memory(KernelBinding binding, long address, long bytes, boolean owned, Object keptAlive) {
      this.binding = binding;
      this.address = address;
      this.bytes = bytes;
      this.owned = owned;
      this.keptAlive = keptAlive;
      this.allocation = TRACE && owned ? new Throwable("allocated here, never closed") : null;
    }

    void acquire() {
      if (leases.getAndUpdate(n -> n == CLOSED ? CLOSED : n + 1) == CLOSED) {
        throw new IllegalStateException("the buffer is closed");
      }
    }

    /** Returns false when it was closed before. */
    boolean close() {
      int n = leases.compareAndExchange(0, CLOSED);
      if (n > 0) {
        throw new IllegalStateException(
            "the buffer is in use by " + n + " running call" + (n == 1 ? "" : "s"));
      }
      return n == 0;
    }

    void leaked() {
      if (leases.getAndSet(CLOSED) != CLOSED) {
        LEAKS.incrementAndGet();
        if (allocation != null) {
          allocation.printStackTrace();
        }
        binding.memoryFree(address);
      }
    }
  }

  /** The right to use a buffer's memory until it is closed. */
  public final class Lease implements AutoCloseable {
    private boolean open = true;

    private Lease() {
      memory.acquire();
    }

    /** Address of the first byte. */
    public long address() {
      if (!open) {
        throw new IllegalStateException("the lease is closed");
      }
      return memory.address;
    }

    @Override
    public void close() {
      if (open) {
        open = false;
        memory.leases.decrementAndGet();
        Reference.reachabilityFence(memory.keptAlive);
      }
    }
  }

  /**
   * Allocates memory; its contents are undefined.
   *
   * @throws OutOfMemoryError when there is not enough
   */
  public static NativeBuffer allocate(KernelBinding binding, long bytes) {
    if (bytes < 0) {
      throw new IllegalArgumentException("bytes is " + bytes + "; it must not be negative");
    }
    ByteBuffer out = ByteBuffer.allocateDirect(8).order(ByteOrder.nativeOrder());
    if (binding.memoryAllocate(bytes, binding.addressOf(out)) != 0) {
      throw new OutOfMemoryError("cannot allocate " + bytes + " bytes of native memory");
    }
    return new NativeBuffer(new Memory(binding, out.getLong(0), bytes, true, out));
  }

  /** A direct buffer's memory, from index 0 to its capacity, without a copy. */
  public static NativeBuffer wrap(KernelBinding binding, ByteBuffer direct) {
    if (!direct.isDirect()) {
      throw new IllegalArgumentException("a heap buffer has no address; use a direct one");
    }
    ByteBuffer whole = direct.duplicate().clear();
    return new NativeBuffer(
        new Memory(binding, binding.addressOf(whole), whole.capacity(), false, direct));
  }

  /**
   * Somebody else's memory, such as a MemorySegment's or a JavaCPP Pointer's, without a copy.
   *
   * @param keptAlive what owns the memory; kept reachable as long as this buffer is
   */
  public static NativeBuffer wrap(
      KernelBinding binding, long address, long bytes, Object keptAlive) {
    if (bytes < 0 || (address == 0 && bytes > 0)) {
      throw new IllegalArgumentException("no memory of " + bytes + " bytes at address " + address);
    }
    return new NativeBuffer(
        new Memory(binding, address, bytes, false, Objects.requireNonNull(keptAlive)));
  }

  /**
   * How many buffers of this JVM were dropped without being closed. {@code
   * -Dthreegate.trace.leaks=true} prints where from.
   */
  public static long leaks() {
    return LEAKS.get();
  }

  public long bytes() {
    return memory.bytes;
  }

  public boolean isClosed() {
    return memory.leases.get() == Memory.CLOSED;
  }

  /** Takes a lease for a native call. */
  public Lease lease() {
    return new Lease();
  }

  @Override
  public void close() {
    if (memory.close()) {
      if (memory.owned) {
        memory.binding.memoryFree(memory.address);
      }
      cleanable.clean();
    }
  }

  /** A part of the buffer as a direct little-endian buffer; only valid while this one is open. */
  public ByteBuffer slice(long offset, int bytes) {
    checkOpen();
    Objects.checkFromIndexSize(offset, bytes, memory.bytes);
    if (bytes == 0) {
      return ByteBuffer.allocateDirect(0);
    }
    return memory.binding.viewOf(memory.address + offset, bytes).order(ByteOrder.LITTLE_ENDIAN);
  }

  public byte getByte(long offset) {
    return window(offset, 1).get(within(offset));
  }

  public short getShort(long offset) {
    return window(offset, 2).getShort(within(offset));
  }

  public int getInt(long offset) {
    return window(offset, 4).getInt(within(offset));
  }

  public long getLong(long offset) {
    return window(offset, 8).getLong(within(offset));
  }

  public float getFloat(long offset) {
    return window(offset, 4).getFloat(within(offset));
  }

  public double getDouble(long offset) {
    return window(offset, 8).getDouble(within(offset));
  }

  public NativeBuffer putByte(long offset, byte value) {
    window(offset, 1).put(within(offset), value);
    return this;
  }

  public NativeBuffer putShort(long offset, short value) {
    window(offset, 2).putShort(within(offset), value);
    return this;
  }

  public NativeBuffer putInt(long offset, int value) {
    window(offset, 4).putInt(within(offset), value);
    return this;
  }

  public NativeBuffer putLong(long offset, long value) {
    window(offset, 8).putLong(within(offset), value);
    return this;
  }

  public NativeBuffer putFloat(long offset, float value) {
    window(offset, 4).putFloat(within(offset), value);
    return this;
  }

  public NativeBuffer putDouble(long offset, double value) {
    window(offset, 8).putDouble(within(offset), value);
    return this;
  }

  /** {@code count} doubles from here on. */
  public double[] getDoubles(long offset, long count) {
    double[] values = new double[Math.toIntExact(count)];
    for (int i = 0; i < values.length; i++) {
      values[i] = getDouble(offset + 8L * i);
    }
    return values;
  }

  /** All of them, from here on. */
  public NativeBuffer putDoubles(long offset, double[] values) {
    for (int i = 0; i < values.length; i++) {
      putDouble(offset + 8L * i, values[i]);
    }
    return this;
  }

  private static int within(long offset) {
    return (int) (offset & (WINDOW - 1));
  }

  private ByteBuffer window(long offset, int bytes) {
    checkOpen();
    Objects.checkFromIndexSize(offset, bytes, memory.bytes);
    int index = (int) (offset >>> WINDOW_BITS);
    ByteBuffer window = windows[index];
    if (window == null) {
      long start = (long) index << WINDOW_BITS;
      long length = Math.min(WINDOW + OVERLAP, memory.bytes - start);
      window = memory.binding.viewOf(memory.address + start, length).order(ByteOrder.LITTLE_ENDIAN);
      windows[index] = window;
    }
    return window;
  }

  private void checkOpen() {
    if (isClosed()) {
      throw new IllegalStateException("the buffer is closed");
    }
  }
}
