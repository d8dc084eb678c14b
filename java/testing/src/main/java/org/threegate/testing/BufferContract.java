package org.threegate.testing;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.threegate.testing.TestDevice.DEVICE;

import java.io.EOFException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.List;
import java.util.Optional;
import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.threegate.buffer.NativeBuffer;
import org.threegate.dtype.Dtype;
import org.threegate.kernel.Bf16Diff;
import org.threegate.kernel.ChangedElements;
import org.threegate.kernel.Context;
import org.threegate.kernel.Control;
import org.threegate.kernel.FiniteDifferences;
import org.threegate.kernel.MappedFile;
import org.threegate.kernel.Mask;
import org.threegate.kernel.MaskSelection;
import org.threegate.kernel.MaskSets;
import org.threegate.kernel.Matrix;
import org.threegate.kernel.NullUpdate;
import org.threegate.kernel.Operand;
import org.threegate.kernel.SpectrumPerturbation;
import org.threegate.kernel.Status;
import org.threegate.kernel.TruncatedSvd;
import org.threegate.loading.Bindings;

/** Tests native memory: bounds, ownership, views and copies. */
interface BufferContract {
  @Test
  default void buffersAreCheckedOwnedAndAligned() {
    try (Context context = Context.open(DEVICE, 0)) {
      NativeBuffer buffer = context.allocate(24);
      buffer
          .putLong(16, 0x1122334455667788L)
          .putFloat(3, 1.5f)
          .putDouble(8, -2.5)
          .putShort(0, (short) 7)
          .putInt(20, 9);
      assertThat(buffer.getByte(16)).isEqualTo((byte) 0x88);
      assertThat(buffer.getFloat(3)).isEqualTo(1.5f);
      assertThat(buffer.getDouble(8)).isEqualTo(-2.5);
      assertThat(buffer.getShort(0)).isEqualTo((short) 7);
      assertThat(buffer.getInt(20)).isEqualTo(9);
      assertThatThrownBy(() -> buffer.getLong(17)).isInstanceOf(IndexOutOfBoundsException.class);
      assertThatThrownBy(() -> buffer.getByte(-1)).isInstanceOf(IndexOutOfBoundsException.class);
      assertThatThrownBy(() -> context.allocate(-1)).isInstanceOf(IllegalArgumentException.class);
      try (NativeBuffer.Lease lease = buffer.lease()) {
        assertThat(lease.address() % 64).isZero();
        assertThatThrownBy(buffer::close)
            .isInstanceOf(IllegalStateException.class)
            .hasMessageContaining("in use");
      }
      buffer.close();
      assertThatThrownBy(() -> buffer.getByte(0)).hasMessageContaining("closed");
      assertThatThrownBy(buffer::lease).hasMessageContaining("closed");
    }
  }

  @Test
  default void buffersReachBeyondTwoGibibytes() {
    long bytes = (1L << 31) + 4096;
    try (Context context = Context.open(DEVICE, 0);
        NativeBuffer buffer = context.allocate(bytes)) {
      buffer.putLong(bytes - 8, 42).putLong((1L << 30) - 3, 43);
      assertThat(buffer.getLong(bytes - 8)).isEqualTo(42);
      assertThat(buffer.getLong((1L << 30) - 3)).isEqualTo(43);
    }
  }

  @Test
  default void memoryIsWrappedWithoutACopy() {
    ByteBuffer direct = ByteBuffer.allocateDirect(16).order(ByteOrder.LITTLE_ENDIAN);
    try (Context context = Context.open(DEVICE, 0);
        NativeBuffer wrapped = context.wrap(direct.position(4))) {
      wrapped.putInt(0, 77);
      assertThat(direct.getInt(0)).isEqualTo(77);
      assertThat(wrapped.bytes()).isEqualTo(16);
      assertThatThrownBy(() -> context.wrap(ByteBuffer.allocate(4)))
          .isInstanceOf(IllegalArgumentException.class);
    }
  }

  /** Read-only buffers refuse every kind of write. */
  @Test
  default void whatCannotBeWrittenIsRefused(@TempDir Path directory) throws IOException {
    Path path = directory.resolve("constant.bin");
    Files.write(path, new byte[64]);
    ByteBuffer readOnly = ByteBuffer.allocateDirect(64).asReadOnlyBuffer();
    try (Context context = Context.open(DEVICE, 0);
        FileChannel channel = FileChannel.open(path);
        MappedFile file = MappedFile.open(context, path);
        NativeBuffer other = context.allocate(64)) {
      ByteBuffer mapping = channel.map(FileChannel.MapMode.READ_ONLY, 0, 64);
      for (NativeBuffer buffer :
          List.of(context.wrap(readOnly), context.wrap(mapping), file.buffer())) {
        assertThat(buffer.isReadOnly()).isTrue();
        Matrix constant = Matrix.of(buffer, Dtype.F32, 1, 4);
        Matrix free = Matrix.of(other, Dtype.F32, 1, 4);
        ChangedElements.Elements elements = new ChangedElements.Elements(buffer, 0, 8, 1);
        List<ThrowingCallable> writers =
            List.of(
                () -> buffer.putByte(0, (byte) 1),
                () -> buffer.putShort(0, (short) 1),
                () -> buffer.putInt(0, 1),
                () -> buffer.putLong(0, 1),
                () -> buffer.putFloat(0, 1),
                () -> buffer.putDouble(0, 1),
                () -> buffer.putBytes(0, new byte[1]),
                () -> buffer.putShorts(0, new short[1]),
                () -> buffer.putInts(0, new int[1]),
                () -> buffer.putLongs(0, new long[1]),
                () -> buffer.putFloats(0, new float[1]),
                () -> buffer.putDoubles(0, new double[1]),
                () -> buffer.put(0, ByteBuffer.allocate(1)),
                () -> buffer.fill(0, 1, (byte) 1),
                () -> buffer.readFrom(channel, 0, 0, 1),
                () -> buffer.readFrom(channel, 0, 1),
                buffer::leaseForOutput,
                () -> buffer.slice(0, 8).put(0, (byte) 1),
                () -> buffer.slice(8, 0).asReadOnlyBuffer().put((byte) 1),
                () -> file.read(0, buffer),
                () ->
                    FiniteDifferences.displace(
                        context, new FiniteDifferences.Displacement(free, free, 1), constant),
                () -> ChangedElements.toPlanes(context, elements, buffer),
                () -> {
                  try (NativeBuffer.Lease lease = buffer.lease()) {
                    lease.view(0, 8).put(0, (byte) 1);
                  }
                });
        for (int i = 0; i < writers.size(); i++) {
          assertThatThrownBy(writers.get(i))
              .as("writer %d", i)
              .isInstanceOf(UnsupportedOperationException.class);
        }
        try (ChangedElements changed =
            ChangedElements.allocate(context, 8, 1, ChangedElements.Form.XOR)) {
          assertThatThrownBy(() -> changed.apply(elements))
              .isInstanceOf(UnsupportedOperationException.class)
              .hasMessageContaining("read-only");
        }
        assertThat(buffer.getBytes(0, 64)).isEqualTo(new byte[64]);
        if (buffer != file.buffer()) {
          buffer.close();
        }
      }
    }
    awaitCollected();
  }

  /** The memory of a closed buffer exists as long as there is a slice, and no longer. */
  @Test
  default void aSliceOutlivesItsBuffer(@TempDir Path directory) throws Exception {
    Path path = directory.resolve("sliced.bin");
    Files.write(path, new byte[] {1, 2, 3, 4});
    try (Context context = Context.open(DEVICE, 0)) {
      requireOutlived(context.allocate(1 << 20), MappedFile.open(context, path));
    }
    awaitCollected();
  }

  /** Copies arrays and channels across the boundaries between views of memory. */
  @Test
  default void rangesAreCopied(@TempDir Path directory) throws IOException {
    long at = (1L << 30) - 5;
    Path path = directory.resolve("copied.bin");
    try (Context context = Context.open(DEVICE, 0);
        NativeBuffer buffer = context.allocate((1L << 30) + 4096)) {
      buffer.putBytes(at, new byte[] {1, 2, 3, 4, 5, 6, 7, 8, 9, 10});
      assertThat(buffer.getBytes(at + 4, 3)).containsExactly(5, 6, 7);
      buffer.putLongs(at, new long[] {1, -2, 3});
      assertThat(buffer.getLongs(at, 3)).containsExactly(1, -2, 3);
      assertThat(buffer.getLong(at + 8)).isEqualTo(-2);
      buffer.putShorts(at, new short[] {1, -2, 3, 4});
      assertThat(buffer.getShorts(at + 2, 2)).containsExactly(-2, 3);
      buffer.putInts(at - 4, new int[] {1, -2, 3});
      assertThat(buffer.getInts(at - 4, 3)).containsExactly(1, -2, 3);
      buffer.putFloats(at, new float[] {1, -2, 3});
      assertThat(buffer.getFloats(at, 3)).containsExactly(1, -2, 3);
      buffer.putDoubles(at, new double[] {1, -2, 3});
      assertThat(buffer.getDoubles(at, 3)).containsExactly(1, -2, 3);
      try (FileChannel file =
          FileChannel.open(
              path, StandardOpenOption.CREATE, StandardOpenOption.READ, StandardOpenOption.WRITE)) {
        buffer.writeTo(file, at, 24);
        buffer.writeTo(file, 30, at, 24);
        buffer.fill(at, 24, (byte) 0);
        buffer.readFrom(file, 30, at, 24);
        assertThat(buffer.getDoubles(at, 3)).containsExactly(1, -2, 3);
        buffer.fill(at, 24, (byte) 0);
        file.position(0);
        buffer.readFrom(file, at, 24);
        assertThat(buffer.getDoubles(at, 3)).containsExactly(1, -2, 3);
        ByteBuffer part = ByteBuffer.allocate(12).position(2);
        buffer.get(at, part.limit(10));
        assertThat(part.remaining()).isZero();
        assertThat(part.order(ByteOrder.LITTLE_ENDIAN).getDouble(2)).isEqualTo(1);
        assertThatThrownBy(() -> buffer.readFrom(file, 50, at, 24))
            .isInstanceOf(EOFException.class);
      }
      assertThatThrownBy(() -> buffer.getBytes(buffer.bytes() - 1, 2))
          .isInstanceOf(IndexOutOfBoundsException.class);
      assertThatThrownBy(() -> buffer.getLongs(0, -1))
          .isInstanceOf(IndexOutOfBoundsException.class);
    }
  }

  /**
   * Sizes are refused if their product or sum exceeds 64 bits, or if the native function does not
   * receive them and cannot check them.
   */
  @Test
  default void sizesThatOverflowAreRefused() {
    try (Context context = Context.open(DEVICE, 0);
        Control control = Control.open(context);
        NativeBuffer memory = context.allocate(64)) {
      Operand endless = Operand.of(Matrix.of(memory, Dtype.BF16, 1L << 61, 0));
      Matrix half = Matrix.of(memory, Dtype.BF16, 2, 2);
      Matrix small = Matrix.of(memory, Dtype.F32, 2, 2);
      Matrix vectors = Matrix.of(memory, Dtype.F64, 1, 2);
      TruncatedSvd.Result few =
          new TruncatedSvd.Result(
              new double[3],
              Optional.of(vectors),
              Optional.of(vectors),
              Optional.empty(),
              0,
              0,
              0,
              TruncatedSvd.Method.TRIANGLE,
              Status.OK);
      for (ThrowingCallable call :
          List.<ThrowingCallable>of(
              () ->
                  Bf16Diff.compare(
                      context,
                      new Bf16Diff.Pair(endless, endless, Bf16Diff.Profiles.ROWS_AND_COLUMNS),
                      control),
              () -> new Bf16Diff.Profiles(false, false, false, 1, -1),
              () -> ChangedElements.allocate(context, 1L << 62, 1, ChangedElements.Form.XOR),
              () -> new Mask(-1, 0, new long[0]),
              () -> new Mask(5, -5, new long[0]),
              () -> new Mask(1, Long.MAX_VALUE, new long[0]),
              () -> new Mask(1, 4, new long[1]).contains(0, 64),
              () -> MaskSelection.principal(context, few, 1, control),
              () -> MaskSelection.principal(context, new MaskSelection.Leading(few, 4), 1, control),
              () -> new TruncatedSvd.Start(new double[1], small),
              () -> NullUpdate.shuffled(context, half, new NullUpdate.Draw(1, 0)),
              () -> SpectrumPerturbation.of(context, new double[2], half, List.of(1)),
              () -> SpectrumPerturbation.of(context, new double[2], small, List.of(3)),
              () -> Operand.of(small).slice(0, 1, -1, 1),
              () -> Operand.of(small).slice(0, 1, 0, 3),
              () -> Operand.of(small).slice(0, 1, 2, 1),
              () -> Operand.of(small).slice(0, 3, 0, 1),
              () -> Operand.of(small).slice(0, Long.MAX_VALUE, 0, 1),
              () -> ChangedElements.allocate(context, -1, 1, ChangedElements.Form.XOR),
              () -> ChangedElements.allocate(context, 1, 3, ChangedElements.Form.XOR),
              () -> ChangedElements.allocate(context, 1, -4, ChangedElements.Form.XOR),
              () -> ChangedElements.allocate(context, (1L << 32) + 1, 1, ChangedElements.Form.XOR),
              () -> new ChangedElements.Elements(memory, 0, 1, 3),
              () -> new ChangedElements.Elements(memory, Long.MAX_VALUE, Long.MAX_VALUE, 8),
              () -> context.allocate(Long.MAX_VALUE),
              () -> context.allocate(1L << 48),
              () -> memory.getLongs(0, Integer.MAX_VALUE),
              () -> memory.getLongs(8, 8),
              () -> memory.getBytes(60, 5),
              () -> new MaskSets.Overlaps(2, new long[4], new long[3]).common(0, 2),
              () -> new MaskSets.Overlaps(2, new long[3], new long[3]),
              () -> Matrix.of(memory, Dtype.F32, Long.MAX_VALUE, Long.MAX_VALUE),
              () -> Matrix.of(memory, Dtype.F32, 1L << 32, 1L << 32))) {
        assertThatThrownBy(call)
            .isInstanceOfAny(IllegalArgumentException.class, IndexOutOfBoundsException.class);
      }
    }
  }

  @Test
  default void aDroppedBufferIsFreedAndCounted() throws InterruptedException {
    long before = NativeBuffer.leaks();
    NativeBuffer.allocate(Bindings.get(), 64);
    for (int i = 0; i < 100 && NativeBuffer.leaks() == before; i++) {
      System.gc();
      Thread.sleep(20);
    }
    assertThat(NativeBuffer.leaks()).isEqualTo(before + 1);
  }

  /** Uses a separate stack frame, which must be gone before slices can be collected. */
  private static void requireOutlived(NativeBuffer buffer, MappedFile file) throws Exception {
    buffer.fill(0, 1 << 20, (byte) 5);
    // The views are derived from slices. The slices themselves are not kept.
    List<ByteBuffer> views =
        List.of(
            buffer.slice(1 << 10, 1 << 10).duplicate().slice(3, 20),
            buffer.slice(7, 4).asReadOnlyBuffer(),
            file.buffer().slice(1, 2).slice());
    buffer.close();
    file.close();
    assertThat(NativeBuffer.retained()).isEqualTo(2);
    System.gc();
    Thread.sleep(50);
    assertThat(views.get(0).get(19)).isEqualTo((byte) 5);
    assertThat(views.get(1).get(3)).isEqualTo((byte) 5);
    assertThat(views.get(2).get(1)).isEqualTo((byte) 3);
    assertThat(NativeBuffer.retained()).isEqualTo(2);
    assertThatThrownBy(() -> buffer.slice(0, 1)).hasMessageContaining("closed");
  }

  /** Waits until slices without references are collected. */
  private static void awaitCollected() {
    try {
      for (int i = 0; i < 1000 && NativeBuffer.retained() > 0; i++) {
        System.gc();
        Thread.sleep(20);
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
    assertThat(NativeBuffer.retained()).isZero();
  }
}
