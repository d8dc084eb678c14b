package org.threegate.kernel;

import java.nio.charset.Charset;
import java.nio.file.Path;
import java.util.Objects;
import org.threegate.buffer.NativeBuffer;
import org.threegate.spi.KernelBinding;

/**
 * A file mapped for reading, lazily, of any size. A file that is truncated while it is mapped does
 * not crash the JVM: what is lost reads as zeros, and {@link #check} and the kernels that touched
 * it throw {@link Status#IO}.
 *
 * <pre>{@code
 * try (MappedFile file = MappedFile.open(context, Path.of("model.safetensors"))) {
 *   System.out.println(file.buffer().getLong(0) + " bytes of header");
 *   file.check();
 * }
 * }</pre>
 */
public final class MappedFile implements AutoCloseable {
  private static final int OUT_FILE = 0;
  private static final int OUT_DATA = 8;
  private static final int OUT_BYTES = 16;

  private final Context context;
  private final Path path;
  private final long handle;
  private final NativeBuffer buffer;

  private MappedFile(Context context, Path path, long handle, NativeBuffer buffer) {
    this.context = context;
    this.path = path;
    this.handle = handle;
    this.buffer = buffer;
  }

  /**
   * @throws KernelException IO, naming the file, when it cannot be opened or mapped
   */
  public static MappedFile open(Context context, Path path) {
    KernelBinding binding = context.binding();
    byte[] name =
        path.toString().getBytes(Charset.forName(System.getProperty("sun.jnu.encoding", "UTF-8")));
    try (Context.Call call = context.begin();
        NativeBuffer zeroTerminated = context.allocate(name.length + 1L)) {
      zeroTerminated.putBytes(0, name).putByte(name.length, (byte) 0);
      try (NativeBuffer.Lease text = zeroTerminated.lease()) {
        call.run(
            out ->
                binding.mappedFileOpen(
                    context.handle(),
                    text.address(),
                    out + OUT_FILE,
                    out + OUT_DATA,
                    out + OUT_BYTES));
      }
      NativeBuffer scratch = call.scratch();
      long handle = scratch.getLong(OUT_FILE);
      NativeBuffer data =
          NativeBuffer.readOnly(
              binding,
              scratch.getLong(OUT_DATA),
              scratch.getLong(OUT_BYTES),
              () -> binding.mappedFileClose(handle));
      return new MappedFile(context, path, handle, data);
    }
  }

  public Path path() {
    return path;
  }

  public long bytes() {
    return buffer.bytes();
  }

  /** The contents, read-only. Closed with this file. */
  public NativeBuffer buffer() {
    return buffer;
  }

  /**
   * Tells the operating system that a range will be read soon. May wait for the disk.
   *
   * @param context for this call: another thread's, to read ahead beside a kernel
   */
  public void willNeed(Context context, long offset, long bytes) {
    advise(context, offset, bytes, 1);
  }

  /**
   * Tells the operating system that a range will not be read again: its pages leave this process.
   */
  public void isDone(Context context, long offset, long bytes) {
    advise(context, offset, bytes, 0);
  }

  /**
   * Copies a range by reading the file, not through the mapping: what was read does not change when
   * somebody writes to the file.
   *
   * @param destination takes {@code destination.bytes()} bytes from {@code offset} on
   * @throws KernelException IO, naming the file, when it has become shorter or the device fails
   */
  public void read(long offset, NativeBuffer destination) {
    read(context, offset, destination, destination.bytes());
  }

  /**
   * The same for fewer bytes, in another thread's context.
   *
   * @param bytes that the destination takes
   */
  public void read(Context context, long offset, NativeBuffer destination, long bytes) {
    Objects.checkFromIndexSize(0, bytes, destination.bytes());
    try (Context.Call call = context.begin();
        NativeBuffer.Lease own = buffer.lease();
        NativeBuffer.Lease lease = destination.leaseForOutput()) {
      call.run(
          unused ->
              context
                  .binding()
                  .mappedFileRead(context.handle(), handle(own), offset, bytes, lease.address()));
    }
  }

  /** The lease keeps the mapping, and what the handle points to. */
  private long handle(NativeBuffer.Lease own) {
    own.address();
    return handle;
  }

  private void advise(Context context, long offset, long bytes, int needed) {
    try (Context.Call call = context.begin();
        NativeBuffer.Lease own = buffer.lease()) {
      call.run(
          unused ->
              context
                  .binding()
                  .mappedFileAdvise(context.handle(), handle(own), offset, bytes, needed));
    }
  }

  /**
   * @throws KernelException IO when the file has changed since it was opened
   */
  public void check() {
    try (Context.Call call = context.begin();
        NativeBuffer.Lease own = buffer.lease()) {
      call.run(unused -> context.binding().mappedFileCheck(context.handle(), handle(own)));
    }
  }

  /**
   * Unmaps the file, or has it unmapped when nobody reads it any more.
   *
   * @throws IllegalStateException when a native call reads it
   */
  @Override
  public void close() {
    buffer.close();
  }
}
