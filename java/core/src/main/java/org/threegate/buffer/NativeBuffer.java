package org.threegate.buffer;

import java.io.EOFException;
import java.io.IOException;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.lang.ref.Cleaner;
import java.lang.ref.Reference;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.channels.ReadableByteChannel;
import java.nio.channels.WritableByteChannel;
import java.util.Objects;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.AtomicReferenceArray;
import org.threegate.spi.KernelBinding;

/**
 * A range of native memory, of any size: allocated (64-byte aligned, freed by {@link #close}), or a
 * caller's memory wrapped without a copy and kept reachable. Accessors are little-endian and
 * checked; offsets are in bytes. Any method may be called from any thread at any time, also while
 * another one closes the buffer: it then ends, or throws {@link IllegalStateException}.
 *
 * <p>Memory is freed when the buffer is closed and nothing uses it any more:
 *
 * <ul>
 *   <li>A native call holds a {@link Lease} on the buffers it touches: closing a leased buffer
 *       throws.
 *   <li>An accessor that runs in another thread does not disturb a close: what ends last frees.
 *   <li>A {@link #slice} keeps the memory until the slice, and all that was made of it, is
 *       collected: see {@link #retained()}. Nothing in this library hands slices out; copies
 *       ({@link #getBytes}, {@link #get}, {@link #writeTo}) keep nothing.
 * </ul>
 *
 * <p>A buffer over memory that cannot be written (a mapped file, a read-only direct buffer) is
 * read-only: {@code put} methods and {@link #leaseForOutput} throw {@link
 * UnsupportedOperationException}, and a slice is a read-only {@link ByteBuffer}.
 *
 * <p>Each access of one element costs two atomic additions, some nanoseconds; methods that take
 * arrays or buffers cost that once. A second close does nothing. A buffer that is dropped without
 * being closed is freed by a cleaner and counted as a leak, see {@link #leaks()}.
 *
 * <pre>{@code
 * try (NativeBuffer buffer = context.allocate(1024)) {
 *   buffer.putDouble(0, 1.5).putDoubles(8, new double[] {2.5, 3.5});
 *   System.out.println(buffer.getDoubles(0, 3)[2]);
 * }
 * }</pre>
 */
public final class NativeBuffer implements AutoCloseable {
  private static final Cleaner CLEANER = Cleaner.create();
  private static final AtomicLong LEAKS = new AtomicLong();
  private static final AtomicLong RETAINED = new AtomicLong();
  private static final boolean TRACE = Boolean.getBoolean("threegate.trace.leaks");
  private static final Runnable NOTHING = () -> {};
  private static final int WINDOW_BITS = 30;
  private static final long WINDOW = 1L << WINDOW_BITS;
  private static final int OVERLAP = 8; // an element may begin in one window and end in the next
  private static final int TRANSFER = 8 << 20; // bytes given to a channel at a time

  private final Memory memory;
  private final Cleaner.Cleanable cleanable;
  // Published through volatile accesses: fields of a ByteBuffer are not final.
  private final AtomicReferenceArray<ByteBuffer> windows;

  private NativeBuffer(Memory memory) {
    this.memory = memory;
    this.windows =
        new AtomicReferenceArray<>(Math.toIntExact((memory.bytes + WINDOW - 1) >>> WINDOW_BITS));
    this.cleanable = memory.owned ? CLEANER.register(this, memory::dropped) : NOTHING::run;
  }

  /**
   * State that outlives the buffer. One word says whether it is closed and how many use it, so that
   * whoever is last, and nobody else, frees.
   */
  private static final class Memory {
    static final long ACCESS = 1;
    static final long VIEW = 1L << 18;
    static final long LEASE = 1L << 40;
    static final long VIEWS = LEASE - VIEW;
    static final long HELD = 1L << 61; // closed while there were views
    static final long LEASES = HELD - LEASE;
    static final long FREED = 1L << 62;
    static final long CLOSED = 1L << 63;
    private static final VarHandle STATE;

    static {
      try {
        STATE = MethodHandles.lookup().findVarHandle(Memory.class, "state", long.class);
      } catch (ReflectiveOperationException e) {
        throw new ExceptionInInitializerError(e);
      }
    }

    final KernelBinding binding;
    final long address;
    final long bytes;
    final boolean readOnly;
    final boolean owned;
    final Object keptAlive;
    final Runnable free;
    final Throwable allocation;

    @SuppressWarnings("unused") // through STATE
    private volatile long state;

    Memory(
        KernelBinding binding,
        long address,
        long bytes,
        boolean readOnly,
        Object keptAlive,
        Runnable free) {
      this.binding = binding;
      this.address = address;
      this.bytes = bytes;
      this.readOnly = readOnly;
      this.owned = free != NOTHING;
      this.keptAlive = keptAlive;
      this.free = free;
      this.allocation = TRACE && owned ? new Throwable("allocated here, never closed") : null;
    }

    boolean isClosed() {
      return state < 0;
    }

    /** For as long as an accessor runs. */
    void enter() {
      if ((long) STATE.getAndAdd(this, ACCESS) < 0) {
        release(ACCESS);
        throw closed();
      }
    }

    void exit() {
      release(ACCESS);
    }

    /** For longer: {@code LEASE} or {@code VIEW}, of which {@code all} are the bits. */
    void acquire(long unit, long all) {
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

    void release(long unit) {
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
     * Returns false when it was closed before.
     *
     * @param leased whether it may be while it is leased: nobody can reach the buffer any more
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
        next = now | CLOSED | ((now & VIEWS) != 0 ? HELD : 0);
      } while (!STATE.compareAndSet(this, now, next));
      if ((next & HELD) != 0) {
        RETAINED.incrementAndGet();
      }
      free(next);
      return true;
    }

    void dropped() {
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
  }

  /** The right to use a buffer's memory in native code until it is closed. */
  public final class Lease implements AutoCloseable {
    private static final VarHandle OPEN;

    static {
      try {
        OPEN = MethodHandles.lookup().findVarHandle(Lease.class, "open", boolean.class);
      } catch (ReflectiveOperationException e) {
        throw new ExceptionInInitializerError(e);
      }
    }

    private final boolean output;
    private volatile boolean open = true;

    private Lease(boolean output) {
      this.output = output;
      memory.acquire(Memory.LEASE, Memory.LEASES);
    }

    private void requireOpen() {
      if (!open) {
        throw new IllegalStateException("the lease is closed");
      }
    }

    /** Address of the first byte, for native code; not to be used when the lease is closed. */
    public long address() {
      requireOpen();
      return memory.address;
    }

    /**
     * A part of the memory for libraries that take direct buffers, little-endian. Like the address,
     * and unlike a {@link NativeBuffer#slice}, it keeps nothing: it must not be used when the lease
     * is closed. Read-only unless the lease is for output.
     */
    public ByteBuffer view(long offset, int bytes) {
      requireOpen();
      Objects.checkFromIndexSize(offset, bytes, memory.bytes);
      return readable(
          bytes == 0
              ? ByteBuffer.allocateDirect(0)
              : memory.binding.viewOf(memory.address + offset, bytes),
          !output);
    }

    @Override
    public void close() {
      if (OPEN.compareAndSet(this, true, false)) {
        memory.release(Memory.LEASE);
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
    long address = out.getLong(0);
    return new NativeBuffer(
        new Memory(binding, address, bytes, false, binding, () -> binding.memoryFree(address)));
  }

  /**
   * A direct buffer's memory, from index 0 to its capacity, without a copy; read-only when it is.
   */
  public static NativeBuffer wrap(KernelBinding binding, ByteBuffer direct) {
    if (!direct.isDirect()) {
      throw new IllegalArgumentException("a heap buffer has no address; use a direct one");
    }
    ByteBuffer whole = direct.duplicate().clear();
    return new NativeBuffer(
        new Memory(
            binding,
            binding.addressOf(whole),
            whole.capacity(),
            direct.isReadOnly(),
            direct,
            NOTHING));
  }

  /**
   * Somebody else's memory, such as a MemorySegment's or a JavaCPP Pointer's, without a copy.
   *
   * @param keptAlive what owns the memory; kept reachable as long as this buffer and its slices
   *     are, and must not free it before
   */
  public static NativeBuffer wrap(
      KernelBinding binding, long address, long bytes, Object keptAlive) {
    return new NativeBuffer(
        new Memory(
            binding,
            requireMemory(address, bytes),
            bytes,
            false,
            Objects.requireNonNull(keptAlive),
            NOTHING));
  }

  /**
   * Memory that can only be read, and is given back when this buffer is closed and nothing uses it.
   *
   * @param free gives it back; called once, from any thread
   */
  public static NativeBuffer readOnly(
      KernelBinding binding, long address, long bytes, Runnable free) {
    return new NativeBuffer(
        new Memory(
            binding,
            requireMemory(address, bytes),
            bytes,
            true,
            binding,
            Objects.requireNonNull(free)));
  }

  private static long requireMemory(long address, long bytes) {
    if (bytes < 0 || (address == 0 && bytes > 0)) {
      throw new IllegalArgumentException("no memory of " + bytes + " bytes at address " + address);
    }
    return address;
  }

  /**
   * How many buffers of this JVM were dropped without being closed. {@code
   * -Dthreegate.trace.leaks=true} prints where from.
   */
  public static long leaks() {
    return LEAKS.get();
  }

  /** How many closed buffers have memory that a {@link #slice} still keeps. */
  public static long retained() {
    return RETAINED.get();
  }

  public long bytes() {
    return memory.bytes;
  }

  public boolean isClosed() {
    return memory.isClosed();
  }

  public boolean isReadOnly() {
    return memory.readOnly;
  }

  /** Takes a lease for a native call that reads. */
  public Lease lease() {
    return new Lease(false);
  }

  /**
   * Takes a lease for a native call that writes.
   *
   * @throws UnsupportedOperationException when the buffer is read-only
   */
  public Lease leaseForOutput() {
    requireWritable();
    return new Lease(true);
  }

  /**
   * @throws IllegalStateException when a native call uses the memory
   */
  @Override
  public void close() {
    memory.close(false);
    cleanable.clean();
  }

  /**
   * A part of the buffer as a direct little-endian buffer. It stays valid when this one is closed:
   * the memory, all of it, is freed only when the slice and what was made of it are collected.
   */
  public ByteBuffer slice(long offset, int bytes) {
    Objects.checkFromIndexSize(offset, bytes, memory.bytes);
    Memory own = memory;
    own.acquire(Memory.VIEW, Memory.VIEWS);
    ByteBuffer view = null;
    try {
      if (bytes > 0) {
        view = own.binding.viewOf(own.address + offset, bytes, () -> own.release(Memory.VIEW));
      }
    } finally {
      if (view == null) {
        own.release(Memory.VIEW);
      }
    }
    return readable(view == null ? ByteBuffer.allocateDirect(0) : view, own.readOnly);
  }

  private static ByteBuffer readable(ByteBuffer view, boolean readOnly) {
    return (readOnly ? view.asReadOnlyBuffer() : view).order(ByteOrder.LITTLE_ENDIAN);
  }

  public byte getByte(long offset) {
    ByteBuffer window = enter(offset, 1);
    try {
      return window.get(within(offset));
    } finally {
      memory.exit();
    }
  }

  public short getShort(long offset) {
    ByteBuffer window = enter(offset, 2);
    try {
      return window.getShort(within(offset));
    } finally {
      memory.exit();
    }
  }

  public int getInt(long offset) {
    ByteBuffer window = enter(offset, 4);
    try {
      return window.getInt(within(offset));
    } finally {
      memory.exit();
    }
  }

  public long getLong(long offset) {
    ByteBuffer window = enter(offset, 8);
    try {
      return window.getLong(within(offset));
    } finally {
      memory.exit();
    }
  }

  public float getFloat(long offset) {
    ByteBuffer window = enter(offset, 4);
    try {
      return window.getFloat(within(offset));
    } finally {
      memory.exit();
    }
  }

  public double getDouble(long offset) {
    ByteBuffer window = enter(offset, 8);
    try {
      return window.getDouble(within(offset));
    } finally {
      memory.exit();
    }
  }

  public NativeBuffer putByte(long offset, byte value) {
    requireWritable();
    ByteBuffer window = enter(offset, 1);
    try {
      window.put(within(offset), value);
    } finally {
      memory.exit();
    }
    return this;
  }

  public NativeBuffer putShort(long offset, short value) {
    requireWritable();
    ByteBuffer window = enter(offset, 2);
    try {
      window.putShort(within(offset), value);
    } finally {
      memory.exit();
    }
    return this;
  }

  public NativeBuffer putInt(long offset, int value) {
    requireWritable();
    ByteBuffer window = enter(offset, 4);
    try {
      window.putInt(within(offset), value);
    } finally {
      memory.exit();
    }
    return this;
  }

  public NativeBuffer putLong(long offset, long value) {
    requireWritable();
    ByteBuffer window = enter(offset, 8);
    try {
      window.putLong(within(offset), value);
    } finally {
      memory.exit();
    }
    return this;
  }

  public NativeBuffer putFloat(long offset, float value) {
    requireWritable();
    ByteBuffer window = enter(offset, 4);
    try {
      window.putFloat(within(offset), value);
    } finally {
      memory.exit();
    }
    return this;
  }

  public NativeBuffer putDouble(long offset, double value) {
    requireWritable();
    ByteBuffer window = enter(offset, 8);
    try {
      window.putDouble(within(offset), value);
    } finally {
      memory.exit();
    }
    return this;
  }

  /** {@code count} shorts from here on. */
  public short[] getShorts(long offset, long count) {
    checkElements(offset, count, 2);
    short[] values = new short[Math.toIntExact(count)];
    forEachPart(
        offset,
        2 * count,
        (part, at) -> part.asShortBuffer().get(values, (int) (at / 2), part.remaining() / 2));
    return values;
  }

  /** All of them, from here on. */
  public NativeBuffer putShorts(long offset, short[] values) {
    requireWritable();
    forEachPart(
        offset,
        2L * values.length,
        (part, at) -> part.asShortBuffer().put(values, (int) (at / 2), part.remaining() / 2));
    return this;
  }

  /** {@code count} ints from here on. */
  public int[] getInts(long offset, long count) {
    checkElements(offset, count, 4);
    int[] values = new int[Math.toIntExact(count)];
    forEachPart(
        offset,
        4 * count,
        (part, at) -> part.asIntBuffer().get(values, (int) (at / 4), part.remaining() / 4));
    return values;
  }

  /** All of them, from here on. */
  public NativeBuffer putInts(long offset, int[] values) {
    requireWritable();
    forEachPart(
        offset,
        4L * values.length,
        (part, at) -> part.asIntBuffer().put(values, (int) (at / 4), part.remaining() / 4));
    return this;
  }

  /** {@code count} longs from here on. */
  public long[] getLongs(long offset, long count) {
    checkElements(offset, count, 8);
    long[] values = new long[Math.toIntExact(count)];
    forEachPart(
        offset,
        8 * count,
        (part, at) -> part.asLongBuffer().get(values, (int) (at / 8), part.remaining() / 8));
    return values;
  }

  /** All of them, from here on. */
  public NativeBuffer putLongs(long offset, long[] values) {
    requireWritable();
    forEachPart(
        offset,
        8L * values.length,
        (part, at) -> part.asLongBuffer().put(values, (int) (at / 8), part.remaining() / 8));
    return this;
  }

  /** {@code count} floats from here on. */
  public float[] getFloats(long offset, long count) {
    checkElements(offset, count, 4);
    float[] values = new float[Math.toIntExact(count)];
    forEachPart(
        offset,
        4 * count,
        (part, at) -> part.asFloatBuffer().get(values, (int) (at / 4), part.remaining() / 4));
    return values;
  }

  /** All of them, from here on. */
  public NativeBuffer putFloats(long offset, float[] values) {
    requireWritable();
    forEachPart(
        offset,
        4L * values.length,
        (part, at) -> part.asFloatBuffer().put(values, (int) (at / 4), part.remaining() / 4));
    return this;
  }

  /** {@code count} doubles from here on. */
  public double[] getDoubles(long offset, long count) {
    checkElements(offset, count, 8);
    double[] values = new double[Math.toIntExact(count)];
    forEachPart(
        offset,
        8 * count,
        (part, at) -> part.asDoubleBuffer().get(values, (int) (at / 8), part.remaining() / 8));
    return values;
  }

  /** All of them, from here on. */
  public NativeBuffer putDoubles(long offset, double[] values) {
    requireWritable();
    forEachPart(
        offset,
        8L * values.length,
        (part, at) -> part.asDoubleBuffer().put(values, (int) (at / 8), part.remaining() / 8));
    return this;
  }

  /** {@code count} bytes from here on. */
  public byte[] getBytes(long offset, long count) {
    checkElements(offset, count, 1);
    byte[] values = new byte[Math.toIntExact(count)];
    get(offset, ByteBuffer.wrap(values));
    return values;
  }

  /** All of them, from here on. */
  public NativeBuffer putBytes(long offset, byte[] values) {
    return put(offset, ByteBuffer.wrap(values));
  }

  /** Fills a buffer, from its position to its limit, with what is here. */
  public void get(long offset, ByteBuffer to) {
    forEachPart(offset, to.remaining(), (part, at) -> to.put(part));
  }

  /** Puts here what a buffer has from its position to its limit. */
  public NativeBuffer put(long offset, ByteBuffer from) {
    requireWritable();
    forEachPart(
        offset,
        from.remaining(),
        (part, at) -> {
          int count = part.remaining();
          part.put(from.slice(from.position(), count));
          from.position(from.position() + count);
        });
    return this;
  }

  /** So many times {@code value}. */
  public NativeBuffer fill(long offset, long bytes, byte value) {
    requireWritable();
    long eight = 0x0101010101010101L * (value & 0xff);
    forEachPart(
        offset,
        bytes,
        (part, at) -> {
          while (part.remaining() >= Long.BYTES) {
            part.putLong(eight);
          }
          while (part.hasRemaining()) {
            part.put(value);
          }
        });
    return this;
  }

  /** Writes a range, all of it. */
  public void writeTo(WritableByteChannel out, long offset, long bytes) throws IOException {
    forEachPart(
        offset,
        bytes,
        (part, at) -> {
          int end = part.limit();
          while (part.position() < end) {
            part.limit((int) Math.min(end, (long) part.position() + TRANSFER));
            out.write(part);
          }
        });
  }

  /** Writes a range, all of it, to a position of a file. */
  public void writeTo(FileChannel out, long position, long offset, long bytes) throws IOException {
    forEachPart(
        offset,
        bytes,
        (part, at) -> {
          int end = part.limit();
          while (part.position() < end) {
            part.limit((int) Math.min(end, (long) part.position() + TRANSFER));
            out.write(part, position + at + part.position());
          }
        });
  }

  /**
   * Fills a range from a channel.
   *
   * @throws EOFException when it ends before
   */
  public void readFrom(ReadableByteChannel in, long offset, long bytes) throws IOException {
    requireWritable();
    forEachPart(
        offset,
        bytes,
        (part, at) -> {
          while (part.hasRemaining()) {
            if (in.read(part) < 0) {
              throw new EOFException("ends " + (bytes - at - part.position()) + " bytes early");
            }
          }
        });
  }

  /**
   * Fills a range from a position of a file.
   *
   * @throws EOFException when it ends before
   */
  public void readFrom(FileChannel in, long position, long offset, long bytes) throws IOException {
    requireWritable();
    forEachPart(
        offset,
        bytes,
        (part, at) -> {
          while (part.hasRemaining()) {
            if (in.read(part, position + at + part.position()) < 0) {
              throw new EOFException("ends at " + (position + at + part.position()));
            }
          }
        });
  }

  @FunctionalInterface
  private interface Use<E extends Exception> {
    /**
     * @param part its position is 0
     * @param at bytes of the range that lie before it
     */
    void of(ByteBuffer part, long at) throws E;
  }

  /** Parts of a range, one after the other, whose lengths but the last one's are multiples of 8. */
  private <E extends Exception> void forEachPart(long offset, long bytes, Use<E> use) throws E {
    Objects.checkFromIndexSize(offset, bytes, memory.bytes);
    memory.enter();
    try {
      for (long at = 0; at < bytes; ) {
        int begin = within(offset + at);
        int count = (int) Math.min(bytes - at, (WINDOW + OVERLAP - begin) / OVERLAP * OVERLAP);
        use.of(window(offset + at).slice(begin, count).order(ByteOrder.LITTLE_ENDIAN), at);
        at += count;
      }
    } finally {
      memory.exit();
    }
  }

  private void checkElements(long offset, long count, int width) {
    Objects.checkIndex(count, Integer.MAX_VALUE);
    Objects.checkFromIndexSize(offset, count * width, memory.bytes);
  }

  private static int within(long offset) {
    return (int) (offset & (WINDOW - 1));
  }

  /** The window of an element, which is to be left by {@code memory.exit()}. */
  private ByteBuffer enter(long offset, int bytes) {
    Objects.checkFromIndexSize(offset, bytes, memory.bytes);
    memory.enter();
    ByteBuffer window = windows.getAcquire((int) (offset >>> WINDOW_BITS));
    return window == null ? opened(offset) : window;
  }

  /** The same for the first time. */
  private ByteBuffer opened(long offset) {
    try {
      return window(offset);
    } catch (RuntimeException | Error e) {
      memory.exit();
      throw e;
    }
  }

  private ByteBuffer window(long offset) {
    int index = (int) (offset >>> WINDOW_BITS);
    ByteBuffer window = windows.getAcquire(index);
    if (window == null) {
      long start = (long) index << WINDOW_BITS;
      long length = Math.min(WINDOW + OVERLAP, memory.bytes - start);
      window = readable(memory.binding.viewOf(memory.address + start, length), memory.readOnly);
      windows.setRelease(index, window);
    }
    return window;
  }

  private void requireWritable() {
    if (memory.readOnly) {
      throw new UnsupportedOperationException(
          "the buffer is read-only: it is a mapped file's, or wraps a read-only buffer");
    }
  }
}
