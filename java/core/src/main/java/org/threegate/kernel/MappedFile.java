package org.threegate.kernel;

import java.nio.charset.Charset;
import java.nio.file.Path;
import java.util.Objects;
import org.threegate.buffer.NativeBuffer;
import org.threegate.spi.KernelBinding;

/**
 * A file of any size that is mapped for reading. If the file is truncated while it is mapped, the
 * JVM does not crash. Lost bytes read as zeros, and {@link #check} and kernels that read them throw
 * {@link Status#IO}.
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
   * Maps a file.
   *
   * @param context context of the calling thread
   * @param path path of the file
   * @return the file, which the caller closes
   * @throws KernelException IO if the file cannot be opened or mapped; the message names it
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

  /** {@return the path of the file} */
  public Path path() {
    return path;
  }

  /** {@return the size of the file in bytes} */
  public long bytes() {
    return buffer.bytes();
  }

  /** {@return the contents} The buffer is read-only and is closed with this file. */
  public NativeBuffer buffer() {
    return buffer;
  }

  /**
   * Tells the operating system that a range will be read soon. The call may wait for the disk.
   *
   * @param context context of the calling thread, which may read ahead while a kernel runs
   * @param offset position of the first byte
   * @param bytes number of bytes
   */
  public void willNeed(Context context, long offset, long bytes) {
    advise(context, offset, bytes, 1);
  }

  /**
   * Reads a range past the page cache, into memory of this process that replaces its pages. That is
   * for files that the cache could not keep. {@link #isDone} releases the memory. Where the file
   * system has no direct reads, this is the same as {@link #willNeed}. Several threads may call it,
   * each with a context of its own.
   *
   * @param context context of the calling thread
   * @param offset position of the first byte
   * @param bytes number of bytes
   */
  public void readOnce(Context context, long offset, long bytes) {
    advise(context, offset, bytes, 2);
  }

  /**
   * Tells the operating system that a range will not be read again, so that its pages can be
   * released.
   *
   * @param context context of the calling thread
   * @param offset position of the first byte
   * @param bytes number of bytes
   */
  public void isDone(Context context, long offset, long bytes) {
    advise(context, offset, bytes, 0);
  }

  /**
   * Reads a range of the file into a buffer, not through the mapping. The copy does not change when
   * another process writes to the file.
   *
   * @param offset position of the first byte in the file
   * @param destination buffer to fill
   * @throws KernelException IO if the file has become shorter or the device fails; the message
   *     names the file
   */
  public void read(long offset, NativeBuffer destination) {
    read(context, offset, destination, destination.bytes());
  }

  /**
   * Reads a range of the file into the first bytes of a buffer.
   *
   * @param context context of the calling thread
   * @param offset position of the first byte in the file
   * @param destination buffer to fill
   * @param bytes number of bytes to read
   */
  public void read(Context context, long offset, NativeBuffer destination, long bytes) {
    read(context, offset, new ByteRange(destination, 0, bytes));
  }

  /**
   * Reads a range of the file into a range of a buffer.
   *
   * @param context context of the calling thread
   * @param offset position of the first byte in the file
   * @param destination range to fill
   */
  public void read(Context context, long offset, ByteRange destination) {
    long bytes = destination.bytes();
    Objects.checkFromIndexSize(destination.offset(), bytes, destination.buffer().bytes());
    try (Context.Call call = context.begin();
        NativeBuffer.Lease own = buffer.lease();
        NativeBuffer.Lease lease = destination.buffer().leaseForOutput()) {
      call.run(
          unused ->
              context
                  .binding()
                  .mappedFileRead(
                      context.handle(),
                      handle(own),
                      offset,
                      bytes,
                      lease.address() + destination.offset()));
    }
  }

  /** Returns the handle. The lease keeps the mapping and the object of the handle. */
  private long handle(NativeBuffer.Lease own) {
    own.address();
    return handle;
  }

  /** Returns the handle. The leases keep it. */
  long handle(Operand.Leases leases) {
    leases.take(buffer);
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
   * Checks that the file has not changed since it was opened.
   *
   * @throws KernelException IO if the file has changed
   */
  public void check() {
    try (Context.Call call = context.begin();
        NativeBuffer.Lease own = buffer.lease()) {
      call.run(unused -> context.binding().mappedFileCheck(context.handle(), handle(own)));
    }
  }

  /**
   * Closes the file. It is unmapped when nothing uses its buffer any more.
   *
   * @throws IllegalStateException if a native call reads the file
   */
  @Override
  public void close() {
    buffer.close();
  }
}
