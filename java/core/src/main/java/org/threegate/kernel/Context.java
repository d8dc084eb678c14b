package org.threegate.kernel;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Optional;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.LongToIntFunction;
import java.util.function.Supplier;
import org.threegate.buffer.NativeBuffer;
import org.threegate.loading.Bindings;
import org.threegate.loading.CudaLibraries;
import org.threegate.spi.Constants;
import org.threegate.spi.KernelBinding;
import org.threegate.spi.Structs;

/**
 * Owns worker threads of the native library and scratch memory for its calls. A context runs one
 * call at a time; a second, concurrent call fails with {@link Status#BUSY}. Contexts are
 * independent of each other.
 *
 * <p>An interrupt of the thread that runs a call cancels it; see {@link Control}.
 *
 * <pre>{@code
 * try (Context context = Context.open()) {
 *   System.out.println(context.threads() + " threads through " + context.bindingName());
 * }
 * }</pre>
 */
public final class Context implements AutoCloseable {
  /** The kind of processor that runs kernels. */
  public enum Device {
    /** The CPU. */
    CPU(Constants.CPU),
    /** A CUDA device. */
    CUDA(Constants.CUDA);

    private final int code;

    Device(int code) {
      this.code = code;
    }
  }

  static final int SCRATCH_BYTES = 16384;
  private static final int ERROR_BYTES = 1024;
  private static final int OPEN_SCRATCH = 256;

  private final KernelBinding binding;
  private final Device device;
  private final int deviceIndex;
  private final long handle;
  private final NativeBuffer scratch;
  private final NativeBuffer error;
  private final NativeBuffer control; // the tg_control of the running call
  private final ReentrantLock lock = new ReentrantLock();
  private Interruption interruption;
  private volatile long stream;
  private volatile boolean closed;

  private Context(KernelBinding binding, Device device, int deviceIndex, long handle) {
    this.binding = binding;
    this.device = device;
    this.deviceIndex = deviceIndex;
    this.handle = handle;
    this.scratch = NativeBuffer.allocate(binding, SCRATCH_BYTES);
    this.error = NativeBuffer.allocate(binding, ERROR_BYTES);
    this.control = NativeBuffer.allocate(binding, Structs.CONTROL_SIZEOF);
    this.control.putLong(Structs.CONTROL_SIZE, Structs.CONTROL_SIZEOF);
    this.interruption = new Interruption(control);
    try (NativeBuffer.Lease lease = control.lease()) {
      binding.contextSetControl(handle, lease.address());
    }
  }

  /**
   * Opens a CPU context with one thread for each hardware thread.
   *
   * @return the context, which the caller closes
   */
  public static Context open() {
    return open(Device.CPU, 0);
  }

  /**
   * Opens a context.
   *
   * @param device kind of processor
   * @param threads threads of CPU kernels; 0 for one for each hardware thread of this process
   * @return the context, which the caller closes
   * @throws KernelException UNSUPPORTED if the device is not usable; the message has the reason
   */
  public static Context open(Device device, int threads) {
    return open(device, 0, threads);
  }

  /**
   * Opens a context on one of several CUDA devices. The first one of a process looks for cuBLAS and
   * cuSOLVER; see {@link CudaLibraries}.
   *
   * @param device kind of processor
   * @param deviceIndex number of the CUDA device, from 0
   * @param threads threads of CPU kernels; 0 for one for each hardware thread of this process
   * @return the context, which the caller closes
   */
  public static Context open(Device device, int deviceIndex, int threads) {
    KernelBinding binding = Bindings.get();
    int total = OPEN_SCRATCH + ERROR_BYTES;
    ByteBuffer block = ByteBuffer.allocateDirect(total).order(ByteOrder.LITTLE_ENDIAN);
    long address = binding.addressOf(block);
    int out = Structs.CONTEXT_OPTIONS_SIZEOF;
    block.putLong(Structs.CONTEXT_OPTIONS_SIZE, Structs.CONTEXT_OPTIONS_SIZEOF);
    block.putInt(Structs.CONTEXT_OPTIONS_THREADS, threads);
    block.putInt(Structs.CONTEXT_OPTIONS_DEVICE, device.code);
    block.putInt(Structs.CONTEXT_OPTIONS_DEVICE_INDEX, deviceIndex);
    int status = binding.contextCreate(address, address + out, address + OPEN_SCRATCH, ERROR_BYTES);
    if (status != 0) {
      throw new KernelException(Status.of(status), Capabilities.text(block, OPEN_SCRATCH));
    }
    if (device == Device.CUDA) {
      CudaLibraries.state();
    }
    return new Context(binding, device, deviceIndex, block.getLong(out));
  }

  /**
   * Opens another context on the same device, with the same {@link #setStream stream}.
   *
   * @param threads threads of CPU kernels; 0 for one for each hardware thread
   * @return the context, which the caller closes
   */
  public Context another(int threads) {
    Context other = open(device, deviceIndex, threads);
    try {
      if (stream != 0) {
        other.setStream(stream);
      }
      return other;
    } catch (KernelException e) {
      other.close();
      throw e;
    }
  }

  /**
   * Sets the stream whose work later calls wait for. By default it is the legacy default stream of
   * the device.
   *
   * @param handle a {@code cudaStream_t} or {@code CUstream} of the device of this context, which
   *     stays open until another one is set or this context is closed; 0 for the legacy default
   *     stream
   * @throws KernelException INVALID_ARGUMENT if it belongs to another device, or if this context is
   *     one of the CPU and the handle is not 0
   */
  public void setStream(long handle) {
    try (Call call = begin()) {
      call.check(binding.contextSetStream(this.handle, handle));
      stream = handle;
    }
  }

  /** {@return the name of the binding: {@code "jni"} or {@code "ffm"}} */
  public String bindingName() {
    return binding.name();
  }

  /** {@return the device on which kernels run, if they support it} */
  public Device device() {
    return device;
  }

  /** {@return the number of the CUDA device, from 0; 0 on the CPU} */
  public int deviceIndex() {
    return deviceIndex;
  }

  /** {@return the number of threads of CPU kernels, including the caller's} */
  public int threads() {
    try (Call call = begin()) {
      call.check(binding.contextThreads(handle, call.address()));
      return call.scratch().getInt(0);
    }
  }

  /**
   * Allocates native memory with undefined contents.
   *
   * @param bytes number of bytes
   * @return the buffer, which the caller closes
   */
  public NativeBuffer allocate(long bytes) {
    return NativeBuffer.allocate(binding, bytes);
  }

  /**
   * Wraps a direct buffer without a copy.
   *
   * @param direct direct buffer
   * @return a buffer over the same memory
   */
  public NativeBuffer wrap(ByteBuffer direct) {
    return NativeBuffer.wrap(binding, direct);
  }

  /**
   * Wraps memory of another owner without a copy.
   *
   * @param address address of the first byte
   * @param bytes number of bytes
   * @param keptAlive owner of the memory, which stays reachable as long as the buffer does
   * @return a buffer over the same memory
   */
  public NativeBuffer wrap(long address, long bytes, Object keptAlive) {
    return NativeBuffer.wrap(binding, address, bytes, keptAlive);
  }

  /**
   * Wraps memory of the device of this context without a copy. Kernels that run on the device read
   * it there; see {@link NativeBuffer#wrapOnDevice}.
   *
   * @param address address of the first byte, on the device
   * @param bytes number of bytes
   * @param keptAlive owner of the memory, which stays reachable as long as the buffer does
   * @return a buffer over the same memory
   * @throws IllegalStateException if this context is one of the CPU
   */
  public NativeBuffer wrapOnDevice(long address, long bytes, Object keptAlive) {
    requireDevice();
    return NativeBuffer.wrapOnDevice(binding, address, bytes, keptAlive);
  }

  /**
   * Wraps memory of the device of this context that can be copied to the host. Kernels that run on
   * the device read it there. The first kernel that runs on the CPU makes the copy, and later ones
   * use it; see {@link NativeBuffer#withHostCopy}.
   *
   * @param address address of the first byte, on the device
   * @param bytes number of bytes
   * @param keptAlive owner of the memory, which stays reachable as long as the buffer does
   * @param copyToHost returns a copy of all bytes on the host, which the buffer closes
   * @return a buffer over the same memory
   * @throws IllegalStateException if this context is one of the CPU
   */
  public NativeBuffer wrapOnDevice(
      long address, long bytes, Object keptAlive, Supplier<NativeBuffer> copyToHost) {
    requireDevice();
    return NativeBuffer.wrapOnDevice(binding, address, bytes, keptAlive).withHostCopy(copyToHost);
  }

  private void requireDevice() {
    if (device == Device.CPU) {
      throw new IllegalStateException("a context of the CPU does not reach the memory of a device");
    }
  }

  /**
   * {@return the number of live objects of the native library in this process: memory blocks,
   * contexts and mapped files}
   */
  public static long liveObjects() {
    KernelBinding binding = Bindings.get();
    ByteBuffer out = ByteBuffer.allocateDirect(16).order(ByteOrder.LITTLE_ENDIAN);
    long address = binding.addressOf(out);
    binding.liveObjects(address, address + 8);
    return out.getLong(0);
  }

  @Override
  public void close() {
    if (!lock.tryLock()) {
      throw new IllegalStateException("the context is in use by a running call");
    }
    try {
      if (!closed) {
        closed = true;
        binding.contextDestroy(handle);
        scratch.close();
        error.close();
        control.close();
      }
    } finally {
      lock.unlock();
    }
  }

  KernelBinding binding() {
    return binding;
  }

  long handle() {
    return handle;
  }

  void requireOpen() {
    if (closed) {
      throw new IllegalStateException("the context is closed");
    }
  }

  /** Reserves the context and its scratch block for one operation. */
  Call begin() {
    return new Call();
  }

  /**
   * An operation: one or more native calls. An interrupt of its thread cancels it, whether or not
   * it has a {@link Control}.
   */
  final class Call implements AutoCloseable {
    private final NativeBuffer.Lease lease;
    private final NativeBuffer.Lease controlLease;
    private Optional<Runnable> end = Optional.empty();

    private Call() {
      if (!lock.tryLock()) {
        throw new KernelException(
            Status.BUSY, "the context is in use by another call; use one context a thread");
      }
      if (lock.getHoldCount() > 1 || closed) {
        lock.unlock();
        throw new IllegalStateException(
            closed ? "the context is closed" : "a call runs within another call");
      }
      lease = scratch.lease();
      controlLease = control.lease();
      control
          .putLong(Structs.CONTROL_CANCEL, 0)
          .putLong(Structs.CONTROL_DONE, 0)
          .putLong(Structs.CONTROL_TOTAL, 0);
      interruption.beginCall();
    }

    NativeBuffer scratch() {
      return scratch;
    }

    long address() {
      return lease.address();
    }

    /** Returns the address of the {@code tg_control} for the native call. */
    long control() {
      return controlLease.address();
    }

    /** Returns the {@code tg_control}. */
    NativeBuffer controlStruct() {
      return control;
    }

    /** Sets what to do when the operation ends. */
    void atEnd(Runnable action) {
      end = Optional.of(action);
    }

    /**
     * Runs a native call with the address of the scratch block; throws if its status is an error.
     */
    void run(LongToIntFunction function) {
      check(function.applyAsInt(lease.address()));
    }

    /** Throws if the status of a native call is an error. */
    void check(int status) {
      if (status != 0) {
        throw new KernelException(
            Status.of(status),
            status == Constants.CANCELLED && Thread.currentThread().isInterrupted()
                ? "cancelled, because the thread was interrupted"
                : message(status));
      }
    }

    private String message(int status) {
      try (NativeBuffer.Lease text = error.lease()) {
        if (binding.errorMessage(handle, text.address(), ERROR_BYTES) != 0) {
          return Status.of(status).toString();
        }
      }
      return Capabilities.text(ByteBuffer.wrap(error.getBytes(0, ERROR_BYTES)), 0);
    }

    @Override
    public void close() {
      if (!interruption.endCall()) {
        interruption = new Interruption(control);
      }
      if (end.isPresent()) {
        end.get().run();
      }
      controlLease.close();
      lease.close();
      lock.unlock();
    }
  }
}
