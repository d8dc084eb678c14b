package org.threegate.buffer;

import java.io.EOFException;
import java.io.IOException;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.lang.ref.Cleaner;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.channels.ReadableByteChannel;
import java.nio.channels.WritableByteChannel;
import java.util.Objects;
import java.util.Optional;
import java.util.function.Supplier;
import org.threegate.spi.KernelBinding;

/**
 * A range of native memory of any size. It is allocated, 64-byte aligned, and freed by {@link
 * #close}; or it is the memory of a caller, which is used without a copy and kept reachable.
 *
 * <p>Offsets and lengths are in bytes unless a method says otherwise. Elements are little-endian.
 * Every access is checked: an {@link IndexOutOfBoundsException} tells that a range is not within
 * the buffer. Any method may be called from any thread at any time. If another thread closes the
 * buffer meanwhile, the call completes or throws an {@link IllegalStateException}.
 *
 * <p>Memory is freed when the buffer is closed and nothing uses it any more:
 *
 * <ul>
 *   <li>A native call holds a {@link Lease} on each buffer that it uses. A leased buffer cannot be
 *       closed.
 *   <li>An accessor that runs in another thread does not prevent a close. The last user frees the
 *       memory.
 *   <li>A {@link #slice} keeps the memory until it and all buffers made of it are collected; see
 *       {@link #retained()}. This library returns no slices. Copies ({@link #getBytes}, {@link
 *       #get}, {@link #writeTo}) keep nothing.
 * </ul>
 *
 * <p>A buffer over memory that cannot be written, such as a mapped file, is read-only. Its {@code
 * put} methods and {@link #leaseForOutput} throw an {@link UnsupportedOperationException}.
 *
 * <p>An access of one element costs two atomic additions, a few nanoseconds. Methods that take
 * arrays or buffers pay that once. A second close has no effect. A cleaner frees a buffer that is
 * dropped without being closed, and counts a leak; see {@link #leaks()}.
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
  private static final int TRANSFER = 8 << 20; // bytes given to a channel at a time
  private static final int LONGEST_ARRAY = Integer.MAX_VALUE - 8; // that every JVM supports
  private static final long MOST_BYTES = 1L << 47; // that a process can address

  private final NativeMemory memory;
  private final Cleaner.Cleanable cleanable;
  private final Optional<HostCopy> hostCopy;

  private NativeBuffer(NativeMemory memory) {
    this(memory, Optional.empty());
  }

  private NativeBuffer(NativeMemory memory, Optional<HostCopy> hostCopy) {
    this.memory = memory;
    this.hostCopy = hostCopy;
    this.cleanable = memory.isOwned() ? CLEANER.register(this, memory) : NativeMemory.NOTHING::run;
  }

  /** A copy of device memory on the host, which is made when it is first needed. */
  private static final class HostCopy {
    private final Supplier<NativeBuffer> make;
    private Optional<NativeBuffer> made = Optional.empty();

    HostCopy(Supplier<NativeBuffer> make) {
      this.make = make;
    }

    /** Returns the copy. Its user leases the device memory, so it is not closed meanwhile. */
    synchronized NativeBuffer buffer() {
      if (made.isEmpty()) {
        made = Optional.of(make.get());
      }
      return made.get();
    }

    synchronized void close() {
      made.ifPresent(NativeBuffer::close);
    }
  }

  /** The right to use a buffer's memory in native code, until the lease is closed. */
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
    private final Optional<Lease> ofCopy;
    private volatile boolean open = true;

    private Lease(boolean output) {
      this.output = output;
      this.ofCopy = Optional.empty();
      memory.beginLease();
    }

    /** Leases the copy on the host in place of the memory, which stays leased, too. */
    private Lease(HostCopy copy) {
      this.output = false;
      memory.beginLease();
      try {
        this.ofCopy = Optional.of(copy.buffer().lease());
      } catch (RuntimeException | Error e) {
        memory.endLease();
        throw e;
      }
    }

    private void requireOpen() {
      if (!open) {
        throw new IllegalStateException("the lease is closed");
      }
    }

    /** {@return the address of the first byte} It must not be used after the lease is closed. */
    public long address() {
      requireOpen();
      return ofCopy.isPresent() ? ofCopy.get().address() : memory.address();
    }

    /**
     * {@return a part of the memory as a direct little-endian buffer} It is read-only unless the
     * lease is for output. Unlike a {@link NativeBuffer#slice} it keeps nothing: it must not be
     * used after the lease is closed.
     *
     * @param offset position of the first byte
     * @param bytes number of bytes
     */
    public ByteBuffer view(long offset, int bytes) {
      requireOpen();
      return ofCopy.isPresent()
          ? ofCopy.get().view(offset, bytes)
          : memory.view(offset, bytes, !output);
    }

    @Override
    public void close() {
      if (OPEN.compareAndSet(this, true, false)) {
        ofCopy.ifPresent(Lease::close);
        memory.endLease();
      }
    }
  }

  /**
   * Allocates memory with undefined contents.
   *
   * @param binding binding to the native library
   * @param bytes at least 0
   * @return the buffer, which the caller closes
   * @throws IllegalArgumentException if no process can have as much memory
   * @throws OutOfMemoryError if there is not enough memory
   */
  public static NativeBuffer allocate(KernelBinding binding, long bytes) {
    if (bytes < 0 || bytes > MOST_BYTES) {
      throw new IllegalArgumentException(
          "bytes is " + bytes + "; allowed are 0 to " + MOST_BYTES + " (2^47)");
    }
    ByteBuffer out = ByteBuffer.allocateDirect(8).order(ByteOrder.nativeOrder());
    if (binding.memoryAllocate(bytes, binding.addressOf(out)) != 0) {
      throw new OutOfMemoryError("cannot allocate " + bytes + " bytes of native memory");
    }
    long address = out.getLong(0);
    return new NativeBuffer(
        new NativeMemory(
            binding, address, bytes, false, false, binding, () -> binding.memoryFree(address)));
  }

  /**
   * Wraps the memory of a direct buffer, from index 0 to its capacity, without a copy. The result
   * is read-only if the direct buffer is.
   *
   * @param binding binding to the native library
   * @param direct direct buffer
   * @return a buffer over the same memory
   * @throws IllegalArgumentException if the buffer is not direct
   */
  public static NativeBuffer wrap(KernelBinding binding, ByteBuffer direct) {
    if (!direct.isDirect()) {
      throw new IllegalArgumentException("a heap buffer has no address; use a direct one");
    }
    ByteBuffer whole = direct.duplicate().clear();
    return new NativeBuffer(
        new NativeMemory(
            binding,
            binding.addressOf(whole),
            whole.capacity(),
            direct.isReadOnly(),
            false,
            direct,
            NativeMemory.NOTHING));
  }

  /**
   * Wraps memory of another owner, such as a MemorySegment or a JavaCPP Pointer, without a copy.
   *
   * @param binding binding to the native library
   * @param address address of the first byte
   * @param bytes number of bytes
   * @param keptAlive owner of the memory, which stays reachable as long as this buffer or a slice
   *     does, and must not free the memory before
   * @return a buffer over the same memory
   */
  public static NativeBuffer wrap(
      KernelBinding binding, long address, long bytes, Object keptAlive) {
    return new NativeBuffer(wrapped(binding, address, bytes, keptAlive, false));
  }

  /**
   * Wraps memory of a device without a copy. Kernels reach it. Methods of this class that read or
   * write it throw an {@link UnsupportedOperationException}.
   *
   * @param binding binding to the native library
   * @param address address of the first byte, on the device
   * @param bytes number of bytes
   * @param keptAlive owner of the memory, as for {@link #wrap(KernelBinding, long, long, Object)}
   * @return a buffer over the same memory
   */
  public static NativeBuffer wrapOnDevice(
      KernelBinding binding, long address, long bytes, Object keptAlive) {
    return new NativeBuffer(wrapped(binding, address, bytes, keptAlive, true));
  }

  /**
   * {@return a buffer over the same memory of a device, which can be copied to the host} Calls that
   * run on the device read it there. The first call on the processor, which takes a {@link #lease},
   * makes the copy. Later ones use the same copy, so the memory must not change before the buffer
   * is closed. This buffer is closed with it.
   *
   * @param copyToHost returns a copy of all bytes on the host, which the buffer closes
   * @throws IllegalStateException if the memory is that of the host
   */
  public NativeBuffer withHostCopy(Supplier<NativeBuffer> copyToHost) {
    if (!memory.isOnDevice()) {
      throw new IllegalStateException("the buffer lies in the memory of the host");
    }
    return new NativeBuffer(memory, Optional.of(new HostCopy(copyToHost)));
  }

  private static NativeMemory wrapped(
      KernelBinding binding, long address, long bytes, Object keptAlive, boolean onDevice) {
    return new NativeMemory(
        binding,
        requireMemory(address, bytes),
        bytes,
        false,
        onDevice,
        Objects.requireNonNull(keptAlive),
        NativeMemory.NOTHING);
  }

  /**
   * Takes over memory that can only be read.
   *
   * @param binding binding to the native library
   * @param address address of the first byte
   * @param bytes number of bytes
   * @param free frees the memory; called once, from any thread, when the buffer is closed and
   *     nothing uses it any more
   * @return the buffer
   */
  public static NativeBuffer readOnly(
      KernelBinding binding, long address, long bytes, Runnable free) {
    return new NativeBuffer(
        new NativeMemory(
            binding,
            requireMemory(address, bytes),
            bytes,
            true,
            false,
            binding,
            Objects.requireNonNull(free)));
  }

  private static long requireMemory(long address, long bytes) {
    if (bytes < 0 || bytes > MOST_BYTES || (address == 0 && bytes > 0)) {
      throw new IllegalArgumentException("no memory of " + bytes + " bytes at address " + address);
    }
    return address;
  }

  /**
   * {@return how many buffers of this JVM were dropped without being closed} {@code
   * -Dthreegate.trace.leaks=true} prints where each of them was allocated.
   */
  public static long leaks() {
    return NativeMemory.leaks();
  }

  /** {@return how many closed buffers have memory that a {@link #slice} keeps} */
  public static long retained() {
    return NativeMemory.retained();
  }

  /** {@return the size in bytes} */
  public long bytes() {
    return memory.bytes();
  }

  /** {@return whether the buffer is closed} */
  public boolean isClosed() {
    return memory.isClosed();
  }

  /** {@return whether the memory can only be read} */
  public boolean isReadOnly() {
    return memory.isReadOnly();
  }

  /** {@return whether calls on the processor read a copy of memory that lies on a device} */
  public boolean hasHostCopy() {
    return hostCopy.isPresent();
  }

  /**
   * Takes a lease for a native call that reads.
   *
   * @return the lease, which the caller closes
   * @throws IllegalStateException if the buffer is closed
   * @throws UnsupportedOperationException if the memory is that of a device and cannot be copied
   */
  public Lease lease() {
    if (hostCopy.isPresent()) {
      return new Lease(hostCopy.get());
    }
    memory.requireReachable();
    return new Lease(false);
  }

  /**
   * Takes a lease for a native call that writes.
   *
   * @return the lease, which the caller closes
   * @throws IllegalStateException if the buffer is closed
   * @throws UnsupportedOperationException if the buffer is read-only, or if the memory is that of a
   *     device
   */
  public Lease leaseForOutput() {
    memory.requireReachable();
    return leaseOnDeviceForOutput();
  }

  /**
   * Takes a lease as {@link #lease} does, also of memory of a device, for a call that runs there.
   *
   * @return the lease, which the caller closes
   * @throws IllegalStateException if the buffer is closed
   */
  public Lease leaseOnDevice() {
    return new Lease(false);
  }

  /**
   * Takes a lease as {@link #leaseForOutput} does, also of memory of a device, for a call that runs
   * there.
   *
   * @return the lease, which the caller closes
   * @throws IllegalStateException if the buffer is closed
   * @throws UnsupportedOperationException if the buffer is read-only
   */
  public Lease leaseOnDeviceForOutput() {
    requireWritable();
    return new Lease(true);
  }

  /**
   * Closes the buffer.
   *
   * @throws IllegalStateException if a native call uses the memory
   */
  @Override
  public void close() {
    memory.close(false);
    cleanable.clean();
    hostCopy.ifPresent(HostCopy::close);
  }

  /**
   * {@return a part of the memory as a direct little-endian buffer} It stays valid after this
   * buffer is closed. All memory of this buffer is kept until the slice and all buffers made of it
   * are collected.
   *
   * @param offset position of the first byte
   * @param bytes number of bytes
   */
  public ByteBuffer slice(long offset, int bytes) {
    return memory.slice(offset, bytes);
  }

  /**
   * {@return the byte at an offset}
   *
   * @param offset position of the first byte
   */
  public byte getByte(long offset) {
    ByteBuffer window = memory.enter(offset, 1);
    try {
      return window.get(NativeMemory.within(offset));
    } finally {
      memory.exit();
    }
  }

  /**
   * {@return the short at an offset}
   *
   * @param offset position of the first byte
   */
  public short getShort(long offset) {
    ByteBuffer window = memory.enter(offset, 2);
    try {
      return window.getShort(NativeMemory.within(offset));
    } finally {
      memory.exit();
    }
  }

  /**
   * {@return the int at an offset}
   *
   * @param offset position of the first byte
   */
  public int getInt(long offset) {
    ByteBuffer window = memory.enter(offset, 4);
    try {
      return window.getInt(NativeMemory.within(offset));
    } finally {
      memory.exit();
    }
  }

  /**
   * {@return the long at an offset}
   *
   * @param offset position of the first byte
   */
  public long getLong(long offset) {
    ByteBuffer window = memory.enter(offset, 8);
    try {
      return window.getLong(NativeMemory.within(offset));
    } finally {
      memory.exit();
    }
  }

  /**
   * {@return the float at an offset}
   *
   * @param offset position of the first byte
   */
  public float getFloat(long offset) {
    ByteBuffer window = memory.enter(offset, 4);
    try {
      return window.getFloat(NativeMemory.within(offset));
    } finally {
      memory.exit();
    }
  }

  /**
   * {@return the double at an offset}
   *
   * @param offset position of the first byte
   */
  public double getDouble(long offset) {
    ByteBuffer window = memory.enter(offset, 8);
    try {
      return window.getDouble(NativeMemory.within(offset));
    } finally {
      memory.exit();
    }
  }

  /**
   * Sets the byte at an offset.
   *
   * @param offset position of the first byte
   * @param value value to store
   * @return this buffer
   */
  public NativeBuffer putByte(long offset, byte value) {
    requireWritable();
    ByteBuffer window = memory.enter(offset, 1);
    try {
      window.put(NativeMemory.within(offset), value);
    } finally {
      memory.exit();
    }
    return this;
  }

  /**
   * Sets the short at an offset.
   *
   * @param offset position of the first byte
   * @param value value to store
   * @return this buffer
   */
  public NativeBuffer putShort(long offset, short value) {
    requireWritable();
    ByteBuffer window = memory.enter(offset, 2);
    try {
      window.putShort(NativeMemory.within(offset), value);
    } finally {
      memory.exit();
    }
    return this;
  }

  /**
   * Sets the int at an offset.
   *
   * @param offset position of the first byte
   * @param value value to store
   * @return this buffer
   */
  public NativeBuffer putInt(long offset, int value) {
    requireWritable();
    ByteBuffer window = memory.enter(offset, 4);
    try {
      window.putInt(NativeMemory.within(offset), value);
    } finally {
      memory.exit();
    }
    return this;
  }

  /**
   * Sets the long at an offset.
   *
   * @param offset position of the first byte
   * @param value value to store
   * @return this buffer
   */
  public NativeBuffer putLong(long offset, long value) {
    requireWritable();
    ByteBuffer window = memory.enter(offset, 8);
    try {
      window.putLong(NativeMemory.within(offset), value);
    } finally {
      memory.exit();
    }
    return this;
  }

  /**
   * Sets the float at an offset.
   *
   * @param offset position of the first byte
   * @param value value to store
   * @return this buffer
   */
  public NativeBuffer putFloat(long offset, float value) {
    requireWritable();
    ByteBuffer window = memory.enter(offset, 4);
    try {
      window.putFloat(NativeMemory.within(offset), value);
    } finally {
      memory.exit();
    }
    return this;
  }

  /**
   * Sets the double at an offset.
   *
   * @param offset position of the first byte
   * @param value value to store
   * @return this buffer
   */
  public NativeBuffer putDouble(long offset, double value) {
    requireWritable();
    ByteBuffer window = memory.enter(offset, 8);
    try {
      window.putDouble(NativeMemory.within(offset), value);
    } finally {
      memory.exit();
    }
    return this;
  }

  /**
   * {@return {@code count} shorts that begin at an offset}
   *
   * @param offset position of the first byte
   * @param count number of elements
   */
  public short[] getShorts(long offset, long count) {
    checkElements(offset, count, 2);
    short[] values = new short[(int) count];
    memory.forEachPart(
        offset,
        2 * count,
        (part, at) -> part.asShortBuffer().get(values, (int) (at / 2), part.remaining() / 2));
    return values;
  }

  /**
   * Stores shorts from an offset on.
   *
   * @param offset position of the first byte
   * @param values values to store
   * @return this buffer
   */
  public NativeBuffer putShorts(long offset, short[] values) {
    requireWritable();
    memory.forEachPart(
        offset,
        2L * values.length,
        (part, at) -> part.asShortBuffer().put(values, (int) (at / 2), part.remaining() / 2));
    return this;
  }

  /**
   * {@return {@code count} ints that begin at an offset}
   *
   * @param offset position of the first byte
   * @param count number of elements
   */
  public int[] getInts(long offset, long count) {
    checkElements(offset, count, 4);
    int[] values = new int[(int) count];
    memory.forEachPart(
        offset,
        4 * count,
        (part, at) -> part.asIntBuffer().get(values, (int) (at / 4), part.remaining() / 4));
    return values;
  }

  /**
   * Stores ints from an offset on.
   *
   * @param offset position of the first byte
   * @param values values to store
   * @return this buffer
   */
  public NativeBuffer putInts(long offset, int[] values) {
    requireWritable();
    memory.forEachPart(
        offset,
        4L * values.length,
        (part, at) -> part.asIntBuffer().put(values, (int) (at / 4), part.remaining() / 4));
    return this;
  }

  /**
   * {@return {@code count} longs that begin at an offset}
   *
   * @param offset position of the first byte
   * @param count number of elements
   */
  public long[] getLongs(long offset, long count) {
    checkElements(offset, count, 8);
    long[] values = new long[(int) count];
    memory.forEachPart(
        offset,
        8 * count,
        (part, at) -> part.asLongBuffer().get(values, (int) (at / 8), part.remaining() / 8));
    return values;
  }

  /**
   * Stores longs from an offset on.
   *
   * @param offset position of the first byte
   * @param values values to store
   * @return this buffer
   */
  public NativeBuffer putLongs(long offset, long[] values) {
    requireWritable();
    memory.forEachPart(
        offset,
        8L * values.length,
        (part, at) -> part.asLongBuffer().put(values, (int) (at / 8), part.remaining() / 8));
    return this;
  }

  /**
   * {@return {@code count} floats that begin at an offset}
   *
   * @param offset position of the first byte
   * @param count number of elements
   */
  public float[] getFloats(long offset, long count) {
    checkElements(offset, count, 4);
    float[] values = new float[(int) count];
    memory.forEachPart(
        offset,
        4 * count,
        (part, at) -> part.asFloatBuffer().get(values, (int) (at / 4), part.remaining() / 4));
    return values;
  }

  /**
   * Stores floats from an offset on.
   *
   * @param offset position of the first byte
   * @param values values to store
   * @return this buffer
   */
  public NativeBuffer putFloats(long offset, float[] values) {
    requireWritable();
    memory.forEachPart(
        offset,
        4L * values.length,
        (part, at) -> part.asFloatBuffer().put(values, (int) (at / 4), part.remaining() / 4));
    return this;
  }

  /**
   * {@return {@code count} doubles that begin at an offset}
   *
   * @param offset position of the first byte
   * @param count number of elements
   */
  public double[] getDoubles(long offset, long count) {
    checkElements(offset, count, 8);
    double[] values = new double[(int) count];
    memory.forEachPart(
        offset,
        8 * count,
        (part, at) -> part.asDoubleBuffer().get(values, (int) (at / 8), part.remaining() / 8));
    return values;
  }

  /**
   * Stores doubles from an offset on.
   *
   * @param offset position of the first byte
   * @param values values to store
   * @return this buffer
   */
  public NativeBuffer putDoubles(long offset, double[] values) {
    requireWritable();
    memory.forEachPart(
        offset,
        8L * values.length,
        (part, at) -> part.asDoubleBuffer().put(values, (int) (at / 8), part.remaining() / 8));
    return this;
  }

  /**
   * {@return {@code count} bytes that begin at an offset}
   *
   * @param offset position of the first byte
   * @param count number of elements
   */
  public byte[] getBytes(long offset, long count) {
    checkElements(offset, count, 1);
    byte[] values = new byte[(int) count];
    get(offset, ByteBuffer.wrap(values));
    return values;
  }

  /**
   * Stores bytes from an offset on.
   *
   * @param offset position of the first byte
   * @param values values to store
   * @return this buffer
   */
  public NativeBuffer putBytes(long offset, byte[] values) {
    return put(offset, ByteBuffer.wrap(values));
  }

  /**
   * Copies from an offset into a buffer, from its position to its limit.
   *
   * @param offset position of the first byte
   * @param to buffer to fill
   */
  public void get(long offset, ByteBuffer to) {
    memory.forEachPart(offset, to.remaining(), (part, at) -> to.put(part));
  }

  /**
   * Copies a buffer, from its position to its limit, to an offset.
   *
   * @param offset position of the first byte
   * @param from buffer to copy
   * @return this buffer
   */
  public NativeBuffer put(long offset, ByteBuffer from) {
    requireWritable();
    memory.forEachPart(
        offset,
        from.remaining(),
        (part, at) -> {
          int count = part.remaining();
          part.put(from.slice(from.position(), count));
          from.position(from.position() + count);
        });
    return this;
  }

  /**
   * Sets {@code bytes} bytes to {@code value}.
   *
   * @param offset position of the first byte
   * @param bytes number of bytes
   * @param value value to store
   * @return this buffer
   */
  public NativeBuffer fill(long offset, long bytes, byte value) {
    requireWritable();
    long eight = 0x0101010101010101L * (value & 0xff);
    memory.forEachPart(
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

  /**
   * Writes a whole range to a channel.
   *
   * @param out channel to write to
   * @param offset position of the first byte
   * @param bytes number of bytes
   * @throws IOException if the channel fails
   */
  public void writeTo(WritableByteChannel out, long offset, long bytes) throws IOException {
    memory.forEachPart(
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

  /**
   * Writes a whole range to a position of a file.
   *
   * @param out channel to write to
   * @param position position in the file, in bytes
   * @param offset position of the first byte
   * @param bytes number of bytes
   * @throws IOException if the channel fails
   */
  public void writeTo(FileChannel out, long position, long offset, long bytes) throws IOException {
    memory.forEachPart(
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
   * @param in channel to read from
   * @param offset position of the first byte
   * @param bytes number of bytes
   * @throws EOFException if the channel ends before
   */
  public void readFrom(ReadableByteChannel in, long offset, long bytes) throws IOException {
    requireWritable();
    memory.forEachPart(
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
   * @param in channel to read from
   * @param position position in the file, in bytes
   * @param offset position of the first byte
   * @param bytes number of bytes
   * @throws EOFException if the file ends before
   */
  public void readFrom(FileChannel in, long position, long offset, long bytes) throws IOException {
    requireWritable();
    memory.forEachPart(
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

  private void checkElements(long offset, long count, int width) {
    Objects.checkIndex(count, LONGEST_ARRAY + 1L);
    Objects.checkFromIndexSize(offset, count * width, memory.bytes());
  }

  private void requireWritable() {
    if (memory.isReadOnly()) {
      throw new UnsupportedOperationException(
          "the buffer is read-only: it is a mapped file's, or wraps a read-only buffer");
    }
  }
}
