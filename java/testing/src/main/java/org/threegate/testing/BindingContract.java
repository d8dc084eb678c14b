package org.threegate.testing;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;
import static org.assertj.core.api.Assumptions.assumeThat;

import java.io.EOFException;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.security.MessageDigest;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import java.util.concurrent.CompletableFuture;
import java.util.stream.IntStream;
import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.DisabledIfEnvironmentVariable;
import org.junit.jupiter.api.condition.DisabledIfSystemProperty;
import org.junit.jupiter.api.io.TempDir;
import org.threegate.buffer.NativeBuffer;
import org.threegate.dtype.Dtype;
import org.threegate.kernel.Bf16Diff;
import org.threegate.kernel.Capabilities;
import org.threegate.kernel.ChangedElements;
import org.threegate.kernel.Context;
import org.threegate.kernel.Control;
import org.threegate.kernel.Direction;
import org.threegate.kernel.FiniteDifferences;
import org.threegate.kernel.KernelException;
import org.threegate.kernel.LayerSamples;
import org.threegate.kernel.MagnitudeHistogram;
import org.threegate.kernel.MappedFile;
import org.threegate.kernel.Mask;
import org.threegate.kernel.MaskSelection;
import org.threegate.kernel.MaskSets;
import org.threegate.kernel.Matrix;
import org.threegate.kernel.NullUpdate;
import org.threegate.kernel.Operand;
import org.threegate.kernel.PrincipalAngles;
import org.threegate.kernel.ProjectedEnergy;
import org.threegate.kernel.Sha256;
import org.threegate.kernel.SpectrumPerturbation;
import org.threegate.kernel.Status;
import org.threegate.kernel.TruncatedSvd;
import org.threegate.kernel.Xxh3;
import org.threegate.loading.Bindings;

/**
 * What every binding must do. Each binding's module extends this; the JVM is started with {@code
 * -Dthreegate.binding} forced.
 */
public abstract class BindingContract {
  /** {@code -Dthreegate.test.device=CUDA}: contexts are of a device, an emulated one perhaps. */
  protected static final Context.Device DEVICE =
      Context.Device.valueOf(System.getProperty("threegate.test.device", "CPU"));

  @TempDir Path directory;
  private long objects;

  /** The suite runs once a SIMD level; a level that this machine lacks is left out by name. */
  @BeforeAll
  static void theForcedLevelIsThere() {
    try {
      Context.open(DEVICE, 0).close();
    } catch (KernelException e) {
      assumeThat(e.status()).as(e.getMessage()).isNotEqualTo(Status.UNSUPPORTED);
      throw e;
    }
  }

  @BeforeEach
  void countObjects() {
    objects = Context.liveObjects();
  }

  @AfterEach
  void nothingNativeLeaks() {
    assertThat(Context.liveObjects()).isEqualTo(objects);
  }

  /** {@code "jni"} or {@code "ffm"}. */
  protected abstract String expectedBinding();

  @Test
  void theForcedBindingIsTheOneInUse() {
    assertThat(Bindings.get().name()).isEqualTo(expectedBinding());
  }

  @Test
  void versionsAgree() throws IOException {
    assertThat(Bindings.get().abiVersion()).isEqualTo(Header.read().constant("TG_ABI_VERSION"));
    assertThat(Bindings.ABI_VERSION).isEqualTo(Header.read().constant("TG_ABI_VERSION"));
    String pom = Files.readString(Path.of(System.getProperty("threegate.root"), "pom.xml"));
    assertThat(pom).contains("<version>" + Capabilities.query().version() + "</version>");
  }

  @Test
  void capabilitiesSayWhatRunsAndWhyNotMore() {
    Capabilities capabilities = Capabilities.query();
    assertThat(capabilities.hardwareThreads()).isPositive();
    assertThat(capabilities.memoryBytes()).isGreaterThan(1L << 20);
    assertThat(capabilities.blas()).startsWith("OpenBLAS");
    assertThat(capabilities.cudaReason().isEmpty()).isEqualTo(capabilities.cudaDevices() > 0);
    Optional.ofNullable(System.getenv("THREEGATE_SIMD"))
        .ifPresent(forced -> assertThat(capabilities.simd()).isEqualTo(forced));
    assertThat(capabilities.simdReason().isEmpty()).isEqualTo(capabilities.simd().equals("avx512"));
  }

  @Test
  void aContextTellsItsThreadsAndClosesTwice() {
    Context context = Context.open(DEVICE, 3);
    assertThat(context.threads()).isEqualTo(3);
    context.close();
    context.close();
    assertThatThrownBy(context::threads)
        .isInstanceOf(IllegalStateException.class)
        .hasMessageContaining("closed");
  }

  @Test
  void wrongOptionsAreRefusedWithTheArgumentNamed() {
    assertThatThrownBy(() -> Context.open(DEVICE, -5))
        .isInstanceOfSatisfying(
            KernelException.class, e -> assertThat(e.status()).isEqualTo(Status.INVALID_ARGUMENT))
        .hasMessage("options.threads is -5; allowed are 0 (all) to 1024");
  }

  @Test
  void buffersAreCheckedOwnedAndAligned() {
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
  void buffersReachBeyondTwoGibibytes() {
    long bytes = (1L << 31) + 4096;
    try (Context context = Context.open(DEVICE, 0);
        NativeBuffer buffer = context.allocate(bytes)) {
      buffer.putLong(bytes - 8, 42).putLong((1L << 30) - 3, 43);
      assertThat(buffer.getLong(bytes - 8)).isEqualTo(42);
      assertThat(buffer.getLong((1L << 30) - 3)).isEqualTo(43);
    }
  }

  @Test
  void memoryIsWrappedWithoutACopy() {
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

  /** What is read-only is so for every way of writing. */
  @Test
  void whatCannotBeWrittenIsRefused() throws IOException {
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
                () -> FiniteDifferences.displace(context, free, free, 1, constant),
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

  /** Slices that nothing refers to. */
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

  /** The memory of a closed buffer stays for as long as there is a slice, and no longer. */
  @Test
  void aSliceOutlivesItsBuffer() throws Exception {
    Path path = directory.resolve("sliced.bin");
    Files.write(path, new byte[] {1, 2, 3, 4});
    try (Context context = Context.open(DEVICE, 0)) {
      requireOutlived(context.allocate(1 << 20), MappedFile.open(context, path));
    }
    awaitCollected();
  }

  /** In a frame of its own, which must be gone before slices can be collected. */
  private static void requireOutlived(NativeBuffer buffer, MappedFile file) throws Exception {
    buffer.fill(0, 1 << 20, (byte) 5);
    // Not the slices themselves, but what was made of them.
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

  @Test
  void aClosedMappedFileIsRefused() throws IOException {
    Path path = directory.resolve("closed.bin");
    Files.write(path, new byte[64]);
    try (Context context = Context.open(DEVICE, 0);
        NativeBuffer copy = context.allocate(8)) {
      MappedFile file = MappedFile.open(context, path);
      NativeBuffer.Lease lease = file.buffer().lease();
      assertThatThrownBy(file::close).hasMessageContaining("in use by 1 running call");
      lease.close();
      lease.close();
      file.close();
      file.close();
      for (ThrowingCallable use :
          List.<ThrowingCallable>of(
              file::check,
              () -> file.read(0, copy),
              () -> file.willNeed(context, 0, 1),
              () -> file.isDone(context, 0, 1),
              () -> file.buffer().getByte(0))) {
        assertThatThrownBy(use)
            .isInstanceOf(IllegalStateException.class)
            .hasMessageContaining("closed");
      }
    }
  }

  /** Arrays and channels, across the places where one view of memory ends and the next begins. */
  @Test
  void rangesAreCopied() throws IOException {
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

  /** Sizes whose product or sum is beyond 64 bits, or that a native function is not told. */
  @Test
  void sizesThatOverflowAreRefused() {
    try (Context context = Context.open(DEVICE, 0);
        Control control = Control.open(context);
        NativeBuffer memory = context.allocate(64)) {
      Operand endless = Operand.of(Matrix.of(memory, 0, Dtype.BF16, 1L << 61, 0));
      Matrix half = Matrix.of(memory, 0, Dtype.BF16, 2, 2);
      Matrix small = Matrix.of(memory, 0, Dtype.F32, 2, 2);
      Matrix vectors = Matrix.of(memory, 0, Dtype.F64, 1, 2);
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
                      context, endless, endless, Bf16Diff.Profiles.ROWS_AND_COLUMNS, control),
              () -> new Bf16Diff.Profiles(false, false, false, 1, -1),
              () -> ChangedElements.allocate(context, 1L << 62, 1, ChangedElements.Form.XOR),
              () -> new Mask(-1, 0, new long[0]),
              () -> new Mask(5, -5, new long[0]),
              () -> new Mask(1, Long.MAX_VALUE, new long[0]),
              () -> new Mask(1, 4, new long[1]).contains(0, 64),
              () -> MaskSelection.principal(context, few, 1, control),
              () -> MaskSelection.principal(context, few, 4, 1, control),
              () -> new TruncatedSvd.Start(new double[1], small),
              () -> NullUpdate.shuffled(context, half, 1, 0),
              () -> SpectrumPerturbation.of(context, new double[2], half, List.of(1)),
              () -> SpectrumPerturbation.of(context, new double[2], small, List.of(3)),
              () -> Operand.of(small).slice(0, 1, -1, 1))) {
        assertThatThrownBy(call)
            .isInstanceOfAny(
                IllegalArgumentException.class,
                ArithmeticException.class,
                IndexOutOfBoundsException.class);
      }
    }
  }

  /** A crash would end this JVM, so it is in another one. */
  @Test
  @DisabledIfEnvironmentVariable(named = "THREEGATE_SIMD", matches = ".+")
  @DisabledIfSystemProperty(named = "threegate.test.device", matches = "CUDA")
  void anythingCanBeCalledWhileAnythingCloses() throws Exception {
    long seed = Seeds.random("anythingCanBeCalledWhileAnythingCloses").nextLong();
    ChildJvm.Result result =
        ChildJvm.of(ApiAttack.class, "10000", Long.toString(seed))
            .options("-Xmx512m")
            .before("ulimit -v 8000000")
            .run();
    assertThat(result.code()).as(result.output()).isZero();
    assertThat(result.output()).contains("10000 rounds");
  }

  @Test
  void aDroppedBufferIsFreedAndCounted() throws InterruptedException {
    long before = NativeBuffer.leaks();
    NativeBuffer.allocate(Bindings.get(), 64);
    for (int i = 0; i < 100 && NativeBuffer.leaks() == before; i++) {
      System.gc();
      Thread.sleep(20);
    }
    assertThat(NativeBuffer.leaks()).isEqualTo(before + 1);
  }

  @Test
  void theDiffCountsWhatJavaCounts() {
    Random random = Seeds.random("theDiffCountsWhatJavaCounts");
    int rows = 37;
    int columns = 101;
    try (Context context = Context.open(DEVICE, 2);
        NativeBuffer base = context.allocate(2L * rows * columns + 1);
        NativeBuffer tuned = context.allocate(4L * rows * columns);
        NativeBuffer rounded = context.allocate(2L * rows * columns)) {
      long changed = 0;
      long stored = 0;
      long[] rowChanged = new long[rows];
      double squares = 0;
      for (int i = 0; i < rows * columns; i++) {
        float weight =
            Float.intBitsToFloat(
                Float.floatToRawIntBits((float) random.nextGaussian()) & 0xffff0000);
        float step = random.nextInt(3) == 0 ? 0 : weight * (random.nextBoolean() ? 1e-3f : 2e-2f);
        base.putShort(2L * i + 1, (short) (Float.floatToRawIntBits(weight) >>> 16));
        tuned.putFloat(4L * i, weight + step);
        double delta = (double) (weight + step) - weight;
        int bits = Float.floatToRawIntBits(weight + step);
        int code = (bits + 0x7fff + (bits >>> 16 & 1)) >>> 16;
        rounded.putShort(2L * i, (short) code);
        boolean moved = code != Float.floatToRawIntBits(weight) >>> 16;
        changed += moved ? 1 : 0;
        stored += delta != 0 ? 1 : 0;
        rowChanged[i / columns] += moved ? 1 : 0;
        squares += delta * delta;
      }
      Matrix w0 = Matrix.of(base, 1, Dtype.BF16, rows, columns);
      Matrix w1 = Matrix.of(tuned, Dtype.F32, rows, columns);
      try (Control control = Control.open(context)) {
        Bf16Diff.Result result =
            Bf16Diff.compare(
                context,
                Operand.of(w0),
                Operand.of(w1),
                new Bf16Diff.Profiles(true, true, true, 5, 7),
                control);
        assertThat(result.total()).isEqualTo((long) rows * columns);
        assertThat(result.changed()).isEqualTo(changed);
        assertThat(result.changedStored()).isEqualTo(stored);
        assertThat(result.hidden()).isEqualTo(stored - changed);
        assertThat(result.rowChanged().orElseThrow()).isEqualTo(rowChanged);
        assertThat(Arrays.stream(result.columnChanged().orElseThrow()).sum()).isEqualTo(changed);
        assertThat(Arrays.stream(result.map().orElseThrow()).sum()).isEqualTo(changed);
        assertThat(Arrays.stream(result.mask().orElseThrow()).map(Long::bitCount).sum())
            .isEqualTo(changed);
        assertThat(Arrays.stream(result.ulpHistogram()).sum()).isEqualTo(result.total());
        assertThat(result.deltaSquares())
            .isCloseTo(squares, org.assertj.core.data.Percentage.withPercentage(1e-9));
        assertThat(control.done()).isEqualTo(result.total());
        Bf16Diff.Result ofRounded =
            Bf16Diff.compare(
                context,
                Operand.of(w0),
                Operand.of(Matrix.of(rounded, Dtype.BF16, rows, columns)),
                new Bf16Diff.Profiles(true, true, true, 5, 7),
                control);
        assertThat(ofRounded.changed()).isEqualTo(changed);
        assertThat(ofRounded.changedStored()).isEqualTo(changed);
        assertThat(ofRounded.rowChanged().orElseThrow()).isEqualTo(rowChanged);
        assertThat(ofRounded.columnChanged().orElseThrow())
            .isEqualTo(result.columnChanged().orElseThrow());
        assertThat(ofRounded.mask().orElseThrow()).isEqualTo(result.mask().orElseThrow());
        control.cancel();
        assertThatThrownBy(
                () ->
                    Bf16Diff.compare(
                        context, Operand.of(w0), Operand.of(w1), Bf16Diff.Profiles.NONE, control))
            .isInstanceOfSatisfying(
                KernelException.class, e -> assertThat(e.status()).isEqualTo(Status.CANCELLED));
      }
    }
  }

  @Test
  void operandsWithLowRankTermsAndScalesCross() {
    try (Context context = Context.open(DEVICE, 0);
        NativeBuffer memory = context.allocate(64)) {
      memory
          .putFloat(0, 1)
          .putFloat(4, 2)
          .putFloat(8, 3)
          .putFloat(12, 10)
          .putByte(16, (byte) 0x38)
          .putByte(17, (byte) 0xb8);
      memory.putFloat(20, 1).putFloat(24, 2);
      Matrix values = Matrix.of(memory, 0, Dtype.F32, 1, 2);
      Matrix left = Matrix.of(memory, 8, Dtype.F32, 1, 1);
      Matrix right = Matrix.of(memory, 20, Dtype.F32, 1, 2);
      Operand tuned = Operand.adapted(values, List.of(new Operand.LowRank(left, right, 0.5)));
      assertThat(Bf16Diff.compare(context, Operand.of(values), tuned).deltaSquares())
          .isEqualTo(1.5 * 1.5 + 3 * 3);
      Matrix f8 = Matrix.of(memory, 16, Dtype.F8_E4M3, 1, 2);
      Operand scaled =
          Operand.scaled(
              f8, new Operand.BlockScale(Matrix.of(memory, 12, Dtype.F32, 1, 1), 128, 128));
      assertThat(Bf16Diff.compare(context, scaled, Operand.of(values)).baseSquares())
          .isEqualTo(200);
    }
  }

  @Test
  void singularTripletsAreThoseOfTheMatrix() {
    Random random = Seeds.random("singularTripletsAreThoseOfTheMatrix");
    int rows = 70;
    int columns = 90;
    int rank = 5;
    try (Context context = Context.open(DEVICE, 2);
        NativeBuffer buffer = context.allocate(8L * rows * columns);
        Control control = Control.open(context)) {
      double squares = 0;
      for (int i = 0; i < rows * columns; i++) {
        double entry = random.nextGaussian();
        buffer.putDouble(8L * i, entry);
        squares += entry * entry;
      }
      Operand matrix = Operand.of(Matrix.of(buffer, Dtype.F64, rows, columns));
      List<TruncatedSvd.Request> requests =
          List.of(
              TruncatedSvd.Request.of(matrix, rank, 1e-12),
              TruncatedSvd.Request.spectrum(matrix, 1e-10),
              TruncatedSvd.Request.of(matrix, 1, 1e-17));
      List<TruncatedSvd.Result> results = TruncatedSvd.of(context, requests, control);
      try (TruncatedSvd.Result triplets = results.get(0);
          TruncatedSvd.Result spectrum = results.get(1);
          TruncatedSvd.Result tooMuch = results.get(2)) {
        assertThat(triplets.status()).isEqualTo(Status.OK);
        assertThat(triplets.residual()).isLessThanOrEqualTo(1e-12);
        Matrix left = triplets.left().orElseThrow();
        Matrix right = triplets.right().orElseThrow();
        for (int k = 0; k < rank; k++) {
          for (int i = 0; i < rows; i++) {
            double product = 0;
            for (int j = 0; j < columns; j++) {
              product +=
                  buffer.getDouble(8L * (i * columns + j))
                      * right.buffer().getDouble(right.offset() + 8L * (k * columns + j));
            }
            double u = left.buffer().getDouble(left.offset() + 8L * (k * rows + i));
            assertThat(product).isCloseTo(triplets.values()[k] * u, within(1e-10));
          }
        }
        double[] all = spectrum.spectrum().orElseThrow();
        assertThat(all).hasSize(rows);
        assertThat(spectrum.left()).isEmpty();
        assertThat(Arrays.stream(all).map(sigma -> sigma * sigma).sum())
            .isCloseTo(squares, within(1e-8 * squares));
        assertThat(triplets.values()[4]).isCloseTo(all[4], within(1e-9));
        assertThat(tooMuch.status()).isEqualTo(Status.NOT_CONVERGED);
        assertThat(tooMuch.residual()).isLessThan(1e-13);
      }
      buffer.putDouble(8, Double.NaN);
      assertThatThrownBy(() -> TruncatedSvd.of(context, requests, control))
          .isInstanceOfSatisfying(
              KernelException.class, e -> assertThat(e.status()).isEqualTo(Status.INVALID_ARGUMENT))
          .hasMessage("matrices[0] has an entry that is not finite");
    }
  }

  /** A rotation of the first two of three coordinates, by an angle that a cosine cannot show. */
  @Test
  void smallAnglesAndEnergiesCross() {
    double angle = 3e-9;
    try (Context context = Context.open(DEVICE, 0);
        NativeBuffer memory = context.allocate(8 * 15)) {
      memory.putDouble(0, 1).putDouble(8, 0).putDouble(16, 0);
      memory.putDouble(24, Math.cos(angle)).putDouble(32, Math.sin(angle)).putDouble(40, 0);
      Matrix first = Matrix.of(memory, 0, Dtype.F64, 1, 3);
      Matrix second = Matrix.of(memory, 24, Dtype.F64, 1, 3);
      double[] angles = PrincipalAngles.of(context, first, second);
      assertThat(angles).hasSize(1);
      assertThat(angles[0]).isCloseTo(angle, within(1e-15));
      // 2 x 3 matrices: W0 = 0, W1 = (3 4 0; 0 0 12).
      for (int i = 0; i < 6; i++) {
        memory.putDouble(48 + 8 * i, i == 0 ? 3 : i == 1 ? 4 : i == 5 ? 12 : 0);
      }
      memory.putDouble(96, 1).putDouble(104, 0);
      Operand tuned = Operand.of(Matrix.of(memory, 48, Dtype.F64, 2, 3));
      Matrix left = Matrix.of(memory, 96, Dtype.F64, 1, 2);
      ProjectedEnergy.Result energy =
          ProjectedEnergy.of(context, tuned, Optional.empty(), left, first);
      assertThat(energy).isEqualTo(new ProjectedEnergy.Result(169, 25, 9, 9, 81 + 256 + 20736));
      assertThat(ProjectedEnergy.of(context, tuned, Optional.of(tuned), left, first).total())
          .isZero();
      try (TruncatedSvd.Result none =
          TruncatedSvd.of(context, TruncatedSvd.Request.of(tuned, 1, 1e-9).minus(tuned))) {
        assertThat(none.values()[0]).isZero();
      }
      assertThatThrownBy(() -> PrincipalAngles.of(context, first, left))
          .hasMessage("second is 1 x 2; it must have the shape of first");
    }
  }

  @Test
  void slopesAreDerivatives() {
    int tokens = 5;
    int inputs = 3;
    int outputs = 2;
    try (Context context = Context.open(DEVICE, 2);
        NativeBuffer memory = context.allocate(4096);
        Control control = Control.open(context)) {
      // Small whole numbers: every sum is exact.
      for (int i = 0; i < 512; i++) {
        memory.putDouble(8L * i, i * 7 % 11 - 5);
      }
      Matrix x = Matrix.of(memory, 0, Dtype.F64, tokens, inputs);
      Matrix g = Matrix.of(memory, 800, Dtype.F64, tokens, outputs);
      Matrix before = Matrix.of(memory, 1600, Dtype.F64, outputs, inputs);
      Matrix after = Matrix.of(memory, 1720, Dtype.F64, outputs, inputs);
      Matrix left = Matrix.of(memory, 2400, Dtype.F64, outputs, 1);
      Matrix right = Matrix.of(memory, 2504, Dtype.F64, 1, inputs);
      LayerSamples samples = new LayerSamples(x, g);
      Direction.Entries update = Direction.update(Operand.of(before), Operand.of(after));
      Mask corner = new Mask(outputs, inputs, new long[] {1, 0});
      LayerSamples.Slopes slopes =
          samples.slopes(
              context, List.of(update, update.within(corner), Direction.of(left, right)), control);
      double[] products = new double[outputs * inputs];
      samples.addProducts(context, slopes.slopes()[0], products, control);
      double[] factor = new double[inputs * inputs];
      samples.addInputProducts(context, factor, control);
      double[] other = new double[outputs * outputs];
      samples.addGradientProducts(context, other, control);
      double[][] expected = new double[3][tokens];
      double[] squares = new double[3];
      for (int i = 0; i < outputs; i++) {
        for (int j = 0; j < inputs; j++) {
          double entry = at(memory, after, i, j) - at(memory, before, i, j);
          double[] entries = {
            entry, i + j == 0 ? entry : 0, at(memory, left, i, 0) * at(memory, right, 0, j)
          };
          for (int d = 0; d < 3; d++) {
            squares[d] += entries[d] * entries[d];
            for (int t = 0; t < tokens; t++) {
              expected[d][t] += at(memory, g, t, i) * entries[d] * at(memory, x, t, j);
            }
          }
        }
      }
      assertThat(slopes.slopes()).isDeepEqualTo(expected);
      try (NativeBuffer values = update.within(corner).values(context)) {
        double entry = at(memory, after, 0, 0) - at(memory, before, 0, 0);
        assertThat(values.getDoubles(0, 6)).containsExactly(entry, 0, 0, 0, 0, 0);
      }
      assertThat(slopes.squares()).containsExactly(squares);
      for (int i = 0; i < outputs; i++) {
        for (int j = 0; j < inputs; j++) {
          double sum = 0;
          for (int t = 0; t < tokens; t++) {
            sum += expected[0][t] * at(memory, g, t, i) * at(memory, x, t, j);
          }
          assertThat(products[i * inputs + j]).isEqualTo(sum);
        }
      }
      double firsts = 0;
      for (int t = 0; t < tokens; t++) {
        firsts += at(memory, x, t, 0) * at(memory, x, t, 1);
      }
      assertThat(factor[1]).isEqualTo(firsts).isEqualTo(factor[inputs]);
      assertThat(other[1]).isEqualTo(other[2]);
      memory.putDouble(800, Double.NaN);
      assertThatThrownBy(() -> samples.slopes(context, List.of(update), control))
          .isInstanceOf(KernelException.class)
          .hasMessageContaining("samples.gradient has an entry that is not finite, in row 0");
      assertThatThrownBy(() -> new LayerSamples(x, right)).hasMessage("1 gradients for 5 inputs");
    }
  }

  @Test
  void finiteDifferencesCross() {
    try (Context context = Context.open(DEVICE, 2);
        NativeBuffer memory = context.allocate(4 * 4 * 3)) {
      float[] numbers = {1, 2, 3, 4, 8, 16, 1, 0, -1};
      for (int i = 0; i < numbers.length; i++) {
        memory.putFloat(4L * i, numbers[i]);
      }
      Matrix first = Matrix.of(memory, 0, Dtype.F32, 1, 3);
      Matrix second = Matrix.of(memory, 12, Dtype.F32, 3, 1);
      Matrix third = Matrix.of(memory, 24, Dtype.F32, 1, 3);
      Matrix out = Matrix.of(memory, 36, Dtype.F32, 1, 3);
      assertThat(FiniteDifferences.displace(context, first, second, 0.5, out)).isZero();
      assertThat(memory.getFloat(36 + 8)).isEqualTo(11);
      // 2⁻³⁰ times 4, 8 and 16, and 1, 2 and 3 keep nothing of them.
      assertThat(FiniteDifferences.displace(context, first, second, 0x1p-30, out))
          .isEqualTo(0x1p-60 * (16 + 64 + 256));
      FiniteDifferences.Sums sums =
          FiniteDifferences.difference(context, second, first, Optional.empty(), third, 0.25, out);
      assertThat(sums).isEqualTo(new FiniteDifferences.Sums(336, 14, 0, 6 - 26));
      assertThat(memory.getFloat(36 + 8)).isEqualTo(26);
      sums =
          FiniteDifferences.difference(
              context, second, first, Optional.of(first), third, 0.25, out);
      assertThat(sums.change()).isCloseTo((5 * 5 + 10 * 10 + 23 * 23) / 9.0, within(1e-12));
      assertThat(memory.getFloat(36)).isEqualTo((float) (6 + 5 / 3.0));
      Matrix shorter = Matrix.of(memory, Dtype.F32, 1, 2);
      assertThatThrownBy(() -> FiniteDifferences.displace(context, first, shorter, 1, out))
          .hasMessage("a vector of 2 F32 beside one of 3 F32");
      Matrix gaps = new Matrix(memory, 0, Dtype.F32, 3, 1, 2);
      assertThatThrownBy(() -> FiniteDifferences.displace(context, gaps, first, 1, out))
          .hasMessage("a vector has no gaps");
      assertThatThrownBy(() -> FiniteDifferences.displace(context, first, third, 0, out))
          .isInstanceOf(KernelException.class)
          .hasMessageContaining("step is 0.000000; it must be finite and not 0");
    }
  }

  @Test
  void checksumsCross() {
    byte[] bytes = new byte[100_000];
    for (int i = 0; i < bytes.length; i++) {
      bytes[i] = (byte) (31 * i + 7);
    }
    HexFormat hex = HexFormat.of();
    try (Context context = Context.open(DEVICE, 2);
        NativeBuffer buffer = context.allocate(bytes.length);
        Xxh3 whole = Xxh3.begin(context);
        Xxh3 parts = Xxh3.begin(context)) {
      buffer.putBytes(0, bytes);
      assertThat(hex.formatHex(whole.digest())).isEqualTo("99aa06d3014798d86001c324468d497f");
      Xxh3.update(context, whole.part(buffer, 0, bytes.length), parts.part(buffer, 0, 1234));
      Xxh3.update(context, parts.part(buffer, 1234, bytes.length - 1234));
      // By another implementation.
      assertThat(hex.formatHex(whole.digest())).isEqualTo("8ce7a24d31cd94b1ccf90df7e7e37036");
      assertThat(parts.digest()).isEqualTo(whole.digest());
      assertThatThrownBy(() -> whole.part(buffer, 1, bytes.length))
          .isInstanceOf(IndexOutOfBoundsException.class);
      assertThatThrownBy(
              () -> Xxh3.update(context, whole.part(buffer, 0, 1), whole.part(buffer, 1, 1)))
          .hasMessage("parts[1].state is that of another part; each has its own");
    }
  }

  @Test
  void changedElementsCross() {
    try (Context context = Context.open(DEVICE, 2);
        NativeBuffer memory = context.allocate(64);
        ChangedElements changed =
            ChangedElements.allocate(context, 4, 2, ChangedElements.Form.XOR)) {
      for (int i = 0; i < 8; i++) {
        memory.putShort(2 * i, (short) 0x3f80).putShort(16 + 2 * i, (short) 0x3f80);
      }
      memory.putShort(16 + 2, (short) 0x3f81).putShort(16 + 14, (short) 0xbf80);
      ChangedElements.Elements before = new ChangedElements.Elements(memory, 0, 8, 2);
      ChangedElements.Elements after = new ChangedElements.Elements(memory, 16, 8, 2);
      try (ChangedElements bits =
          ChangedElements.allocate(context, 4, 2, ChangedElements.Form.OVERWRITE)) {
        // In two parts.
        bits.append(
            new ChangedElements.Elements(memory, 0, 5, 2),
            new ChangedElements.Elements(memory, 16, 5, 2),
            0);
        bits.append(
            new ChangedElements.Elements(memory, 10, 3, 2),
            new ChangedElements.Elements(memory, 26, 3, 2),
            5);
        assertThat(bits.count()).isEqualTo(2);
        assertThat(bits.positions().getInt(4)).isEqualTo(7);
        assertThat(bits.differing(before)).isEqualTo(2);
        assertThat(bits.differing(after)).isZero();
      }
      assertThatThrownBy(() -> changed.differing(before))
          .hasMessageContaining("it must be TG_PATCH_OVERWRITE");
      assertThat(changed.extract(before, after)).isEqualTo(2);
      assertThat(changed.positions().getInt(4)).isEqualTo(7);
      assertThat(changed.values().getShort(0)).isEqualTo((short) 1);
      assertThat(changed.values().getShort(2)).isEqualTo((short) 0x8000);
      changed.toGaps(-1);
      assertThat(changed.positions().getInt(4)).isEqualTo(5);
      assertThatThrownBy(() -> changed.toPositions((1L << 32) - 2))
          .isInstanceOf(KernelException.class)
          .hasMessageContaining("positions are below 2^32");
      changed.positions().putInt(0, 1).putInt(4, 5);
      changed.toPositions(-1);
      changed.apply(before);
      assertThat(memory.getBytes(0, 16)).isEqualTo(memory.getBytes(16, 16));
      changed.apply(before);
      assertThat(memory.getShort(14)).isEqualTo((short) 0x3f80);
      ChangedElements.toPlanes(context, after, changed.positions());
      assertThat(changed.positions().getByte(1)).isEqualTo((byte) 0x81);
      assertThat(changed.positions().getByte(15)).isEqualTo((byte) 0xbf);
      ChangedElements.fromPlanes(
          context, new ChangedElements.Elements(changed.positions(), 0, 8, 2), memory);
      assertThat(memory.getBytes(0, 16)).isEqualTo(memory.getBytes(16, 16));
      changed.positions().putInt(0, 3).putInt(4, 3);
      changed.count(2);
      assertThatThrownBy(() -> changed.apply(before))
          .isInstanceOf(KernelException.class)
          .hasMessageContaining("entries.positions[1] is misplaced");
      memory.putLong(16, 0).putLong(24, 0);
      assertThatThrownBy(() -> changed.extract(before, after))
          .hasMessage("8 elements changed, and there is room for 4");
      assertThatThrownBy(() -> new ChangedElements.Elements(memory, 60, 3, 2))
          .hasMessage("3 elements of 2 bytes at 60 of 64 bytes");
    }
  }

  private static double at(NativeBuffer memory, Matrix matrix, int row, int column) {
    return memory.getDouble(matrix.offset() + 8L * (row * matrix.rowStride() + column));
  }

  private static Mask empty(Mask like) {
    return new Mask(like.rows(), like.columns(), new long[like.words().length]);
  }

  @Test
  void masksCross() {
    int rows = 3;
    int columns = 70;
    try (Context context = Context.open(DEVICE, 2);
        NativeBuffer memory = context.allocate(8L * rows * columns);
        Control control = Control.open(context)) {
      for (int i = 0; i < rows * columns; i++) {
        memory.putDouble(8L * i, (i % 2 == 0 ? 1 : -1) * (double) (i + 1));
      }
      Operand matrix = Operand.of(Matrix.of(memory, Dtype.F64, rows, columns));
      Mask low = MaskSelection.smallest(context, matrix, 75, control);
      Mask high = MaskSelection.largest(context, matrix, 136, control);
      assertThat(low.count()).isEqualTo(75);
      assertThat(low.contains(0, 69)).isTrue();
      assertThat(low.contains(1, 4)).isTrue();
      assertThat(low.contains(1, 5)).isFalse();
      assertThat(MaskSets.combine(context, MaskSets.Operation.COMPLEMENT, low, high).count())
          .isZero();
      assertThat(MaskSets.combine(context, MaskSets.Operation.DIFFERENCE, low, high).count())
          .isEqualTo(74);
      assertThat(
              MaskSets.combine(context, MaskSets.Operation.INTERSECTION, low, high).contains(1, 4))
          .isTrue();
      assertThat(
              MaskSets.combine(context, MaskSets.Operation.SYMMETRIC_DIFFERENCE, low, high).count())
          .isEqualTo(209);
      assertThat(MaskSets.combine(context, MaskSets.Operation.UNION, low, high).words())
          .isEqualTo(MaskSets.combine(context, MaskSets.Operation.COMPLEMENT, empty(low)).words());
      MaskSets.Overlaps overlaps = MaskSets.overlaps(context, List.of(low, high, low));
      assertThat(overlaps.pairs()).containsExactly(75, 1, 75, 1, 136, 1, 75, 1, 75);
      assertThat(overlaps.memberships()).containsExactly(0, 135, 74, 1);
      assertThatThrownBy(
              () ->
                  MaskSets.combine(
                      context, MaskSets.Operation.UNION, low, new Mask(1, 1, new long[1])))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessage("1 x 1 entries; this mask has 3 x 70");
      assertThatThrownBy(() -> MaskSets.overlaps(context, List.of()))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessage("no masks");
      try (TruncatedSvd.Result svd =
          TruncatedSvd.of(context, TruncatedSvd.Request.of(matrix, rows, 1e-13))) {
        // All triplets: the reconstruction is the matrix itself, up to rounding.
        Mask principal = MaskSelection.principal(context, svd, 136, control);
        assertThat(principal.words()).isEqualTo(high.words());
      }
      MagnitudeHistogram.Result counts = MagnitudeHistogram.of(context, matrix, low, high);
      assertThat(Arrays.stream(counts.all()).sum()).isEqualTo(rows * columns);
      assertThat(Arrays.stream(counts.first()).sum()).isEqualTo(75);
      assertThat(Arrays.stream(counts.second()).sum()).isEqualTo(136);
      assertThat(Arrays.stream(counts.both()).sum()).isEqualTo(1);
      assertThat(counts.all()[0x3f80]).isEqualTo(1);
      double[] table = new double[MagnitudeHistogram.CODES];
      for (int i = 0; i < table.length; i++) {
        table[i] = counts.all()[i];
      }
      MagnitudeHistogram.Profile profile = MagnitudeHistogram.profile(context, matrix, table);
      double squares = Arrays.stream(table).map(value -> value * value).sum();
      assertThat(Arrays.stream(profile.rows()).sum()).isEqualTo(squares);
      assertThat(Arrays.stream(profile.columns()).sum()).isEqualTo(squares);
      assertThat(profile.rows()).hasSize(rows);
      assertThatThrownBy(() -> MaskSelection.largest(context, matrix, 211, control))
          .hasMessage("options.count is 211; allowed are 0 to 210");
    }
  }

  @Test
  void tripletsAreTracked() {
    Random random = Seeds.random("tripletsAreTracked");
    int rows = 120;
    int columns = 80;
    try (Context context = Context.open(DEVICE, 1);
        Control control = Control.open(context);
        NativeBuffer before = context.allocate(8L * rows * columns);
        NativeBuffer after = context.allocate(8L * rows * columns)) {
      for (int i = 0; i < rows * columns; i++) {
        double entry = random.nextGaussian();
        before.putDouble(8L * i, entry);
        after.putDouble(8L * i, entry + 1e-4 * random.nextGaussian());
      }
      Operand base = Operand.of(Matrix.of(before, Dtype.F64, rows, columns));
      Operand tuned = Operand.of(Matrix.of(after, Dtype.F64, rows, columns));
      TruncatedSvd.Request wanted = TruncatedSvd.Request.of(tuned, 6, 1e-6);
      try (TruncatedSvd.Result whole =
              TruncatedSvd.of(context, TruncatedSvd.Request.of(base, columns, 1e-9));
          TruncatedSvd.Result tracked =
              TruncatedSvd.track(context, wanted, TruncatedSvd.Start.of(whole), control);
          TruncatedSvd.Result cold = TruncatedSvd.of(context, wanted)) {
        assertThat(tracked.method()).isEqualTo(TruncatedSvd.Method.TRACKED);
        assertThat(tracked.isConverged()).isTrue();
        assertThat(tracked.values()).containsExactly(cold.values(), within(1e-5));
        double[] angles =
            PrincipalAngles.of(context, tracked.right().orElseThrow(), cold.right().orElseThrow());
        assertThat(angles[5]).isLessThan(1e-3);
        assertThatThrownBy(
                () ->
                    TruncatedSvd.track(
                        context,
                        wanted,
                        new TruncatedSvd.Start(whole.values(), whole.left().orElseThrow()),
                        control))
            .hasMessage("starts[0].basis is 80 x 120; it must be 80 x 80");
      }
    }
  }

  @Test
  void nullUpdatesAreWhatTheySay() {
    int rows = 20;
    int columns = 300;
    try (Context context = Context.open(DEVICE, 2);
        Control control = Control.open(context);
        NativeBuffer before = context.allocate(4L * rows * columns);
        NativeBuffer after = context.allocate(4L * rows * columns)) {
      for (int i = 0; i < rows * columns; i++) {
        before.putFloat(4L * i, 1);
        after.putFloat(4L * i, 1 + i);
      }
      Operand base = Operand.of(Matrix.of(before, Dtype.F32, rows, columns));
      Operand tuned = Operand.of(Matrix.of(after, Dtype.F32, rows, columns));
      Matrix noisy = NullUpdate.gaussian(context, base, 0.5, Dtype.F32, 3, 1, control);
      try (NativeBuffer noise = noisy.buffer()) {
        double squares = 0;
        for (int i = 0; i < rows * columns; i++) {
          squares += Math.pow(noise.getFloat(4L * i) - 1, 2) / (rows * columns);
        }
        assertThat(squares).isBetween(0.23, 0.27);
        // The same bits in every binding, at every level: Philox4x32-10 with the key (3, 0).
        assertThat(noise.getFloat(0)).isEqualTo(1.51510739f);
      }
      Matrix permuted = NullUpdate.permuted(context, base, tuned, 3, 1, control);
      try (NativeBuffer moved = permuted.buffer()) {
        double[] entries = new double[rows * columns];
        int stayed = 0;
        for (int i = 0; i < entries.length; i++) {
          entries[i] = moved.getFloat(4L * i) - 1;
          stayed += entries[i] == i ? 1 : 0;
        }
        assertThat(stayed).isLessThan(10);
        Arrays.sort(entries);
        for (int i = 0; i < entries.length; i++) {
          assertThat(entries[i]).isEqualTo(i);
        }
      }
      Matrix core = NullUpdate.rotated(context, new double[] {3, 2, 1}, 50, 3, 1);
      try {
        assertThat(core.rows()).isEqualTo(6);
        double[] sigma =
            TruncatedSvd.of(context, TruncatedSvd.Request.spectrum(Operand.of(core), 1e-9))
                .values();
        assertThat(sigma).containsExactly(new double[] {3, 2, 1}, within(1e-6));
        Matrix shuffled = NullUpdate.shuffled(context, core, 3, 1);
        try (NativeBuffer moved = shuffled.buffer()) {
          for (int i = 0; i < 18; i++) {
            float entry = core.buffer().getFloat(4L * i);
            assertThat(IntStream.range(0, 18).filter(j -> moved.getFloat(4L * j) == entry))
                .isNotEmpty();
          }
        }
      } finally {
        core.buffer().close();
      }
      control.cancel();
      assertThatThrownBy(() -> NullUpdate.permuted(context, base, tuned, 3, 1, control))
          .hasMessage("cancelled");
    }
  }

  /** Two levels that turn into each other by a quarter of a right angle, and a third alone. */
  @Test
  void perturbedSpectraCross() {
    try (Context context = Context.open(DEVICE, 0);
        NativeBuffer memory = context.allocate(4 * 9)) {
      float[] core = {0, 1, 0, 1, 0, 0, 0, 0, 0.5f};
      for (int i = 0; i < core.length; i++) {
        memory.putFloat(4 * i, core[i]);
      }
      Matrix update = Matrix.of(memory, Dtype.F32, 3, 3);
      SpectrumPerturbation after =
          SpectrumPerturbation.of(context, new double[] {4, 2, 1}, update, List.of(1, 2));
      assertThat(after.values())
          .containsExactly(new double[] {3 + Math.sqrt(2), 3 - Math.sqrt(2), 1.5}, within(1e-6));
      assertThat(after.longAngles().get(0)[0]).isCloseTo(Math.PI / 8, within(1e-14));
      assertThat(after.shortAngles().get(0)[0]).isCloseTo(Math.PI / 8, within(1e-14));
      assertThat(after.longAngles().get(1)).containsExactly(0, 0);
      assertThat(after.total()).isEqualTo(2.25);
      assertThat(after.longEnergy()).containsExactly(1, 2);
      assertThat(after.shortEnergy()).containsExactly(1, 2);
      assertThat(after.bothEnergy()).containsExactly(0, 2);
      assertThat(after.mixing()).isZero();
      assertThat(after.boundaryMixing()).isZero();
      assertThatThrownBy(() -> SpectrumPerturbation.of(context, new double[2], update, List.of(1)))
          .hasMessage("2 singular values and a core of 3 columns");
      memory.putFloat(4, Float.NaN);
      assertThatThrownBy(() -> SpectrumPerturbation.of(context, new double[3], update, List.of(1)))
          .hasMessage("the base's singular values or the core are not finite");
    }
  }

  @Test
  void normalUpdatesCross() {
    int count = 40;
    try (Context context = Context.open(DEVICE, 0)) {
      Matrix core =
          NullUpdate.normal(context, new double[count], 1000, new double[] {4, 0, 0, 0}, 3, 1);
      try (NativeBuffer entries = core.buffer()) {
        assertThat(core.rows()).isEqualTo(2 * count);
        double above = 0;
        double below = 0;
        for (int i = 0; i < 2 * count * count; i++) {
          double square = Math.pow(entries.getFloat(4L * i), 2);
          above += i < count * count ? square : 0;
          below += i < count * count ? 0 : square;
        }
        assertThat(above).isCloseTo(4.0 * count * count, within(1000.0));
        assertThat(below).isCloseTo(4.0 * count * (1000 - count), within(5000.0));
        // The same bits in every binding, at every level.
        assertThat(entries.getFloat(0)).isEqualTo(1.1120815f);
      }
      assertThatThrownBy(() -> NullUpdate.normal(context, new double[3], 3, new double[5], 3, 1))
          .hasMessage("5 variances are no square of them");
    }
  }

  @Test
  void projectedVariancesCross() {
    try (Context context = Context.open(DEVICE, 0);
        NativeBuffer memory = context.allocate(8 * 8)) {
      // diag(2, 1) and a column of zeros; entries of magnitude 2 have variance 5, of 1 variance 3.
      short[] codes = {0x4000, 0, 0, 0, (short) 0xbf80, 0};
      for (int i = 0; i < codes.length; i++) {
        memory.putShort(2 * i, codes[i]);
      }
      double[] table = new double[32768];
      table[0x4000] = 5;
      table[0x3f80] = 3;
      memory.putDoubles(16, new double[] {1, 0, 1, 0, 0});
      Operand matrix = Operand.of(Matrix.of(memory, Dtype.BF16, 2, 3));
      Matrix left = Matrix.of(memory, 16, Dtype.F64, 1, 2);
      Matrix right = Matrix.of(memory, 32, Dtype.F64, 1, 3);
      double[] values = {2, 1};
      // One other row, without a slope; two other columns, with the squared values 1 and 0.
      assertThat(ProjectedEnergy.variances(context, matrix, table, values, left, right))
          .containsExactly(new double[] {5, 0, 0, 0, 3 * 0.5, 3 * 0.5, 0, 0, 0}, within(1e-6));
      assertThatThrownBy(
              () -> ProjectedEnergy.variances(context, matrix, new double[3], values, left, right))
          .hasMessage("a table of 3 codes; there are 32768");
    }
  }

  @Test
  void matricesMustLieInTheirBuffer() {
    try (Context context = Context.open(DEVICE, 0);
        NativeBuffer memory = context.allocate(64)) {
      assertThatThrownBy(() -> Matrix.of(memory, 1, Dtype.F32, 4, 4))
          .isInstanceOf(IndexOutOfBoundsException.class);
      assertThatThrownBy(() -> Matrix.of(memory, 0, Dtype.F32, Long.MAX_VALUE, 4))
          .isInstanceOf(ArithmeticException.class);
      Matrix small = Matrix.of(memory, 0, Dtype.F32, 2, 2);
      Matrix other = Matrix.of(memory, 0, Dtype.F32, 2, 3);
      assertThatThrownBy(() -> Bf16Diff.compare(context, Operand.of(small), Operand.of(other)))
          .hasMessage("tuned is 2 x 3; base is 2 x 2");
    }
  }

  @Test
  void aContextTakesOneCallAtATime() throws InterruptedException {
    try (Context context = Context.open(DEVICE, 1);
        NativeBuffer memory = context.allocate(1L << 28);
        Control control = Control.open(context)) {
      Operand operand = Operand.of(Matrix.of(memory, Dtype.F8_E4M3, 1 << 14, 1 << 14));
      CompletableFuture<Void> other =
          CompletableFuture.runAsync(
              () -> Bf16Diff.compare(context, operand, operand, Bf16Diff.Profiles.NONE, control));
      while (control.done() == 0 && !other.isDone()) {
        Thread.onSpinWait();
      }
      assertThatThrownBy(context::threads)
          .isInstanceOfSatisfying(
              KernelException.class, e -> assertThat(e.status()).isEqualTo(Status.BUSY));
      assertThatThrownBy(memory::close).hasMessageContaining("in use");
      control.cancel();
      assertThatThrownBy(other::join).hasRootCauseInstanceOf(KernelException.class);
    }
  }

  @Test
  void digestsAreThoseOfTheJdk() throws Exception {
    Random random = Seeds.random("digestsAreThoseOfTheJdk");
    byte[] bytes = new byte[100_000];
    random.nextBytes(bytes);
    try (Context context = Context.open(DEVICE, 2);
        NativeBuffer buffer = context.allocate(bytes.length);
        Control control = Control.open(context)) {
      buffer.putBytes(0, bytes);
      List<Sha256.Range> ranges =
          List.of(
              new Sha256.Range(buffer, 0, bytes.length),
              new Sha256.Range(buffer, 3, 777),
              new Sha256.Range(buffer, bytes.length, 0));
      List<byte[]> digests = Sha256.of(context, ranges, control);
      for (int i = 0; i < ranges.size(); i++) {
        MessageDigest digest = MessageDigest.getInstance("SHA-256");
        digest.update(bytes, (int) ranges.get(i).offset(), (int) ranges.get(i).bytes());
        assertThat(digests.get(i)).isEqualTo(digest.digest());
      }
      assertThatThrownBy(() -> new Sha256.Range(buffer, 1, bytes.length))
          .isInstanceOf(IndexOutOfBoundsException.class);
      control.cancel();
      assertThatThrownBy(() -> Sha256.of(context, ranges, control)).hasMessage("cancelled");
    }
  }

  @Test
  void aMappedFileIsReadAndItsTruncationIsAnError() throws IOException {
    Path path = directory.resolve("ü.bin");
    Files.write(path, new byte[1 << 20]);
    try (Context context = Context.open(DEVICE, 0)) {
      try (MappedFile file = MappedFile.open(context, path)) {
        file.willNeed(context, 0, file.bytes());
        assertThat(file.buffer().getByte(file.bytes() - 1)).isZero();
        file.check();
        try (NativeBuffer copy = context.allocate(5000)) {
          copy.putByte(4999, (byte) 1);
          file.read(file.bytes() - 5000, copy);
          assertThat(copy.getByte(4999)).isZero();
          assertThatThrownBy(() -> file.read(file.bytes() - 4999, copy))
              .hasMessage("bytes is 5000; offset + bytes must lie in the file");
        }
        try (RandomAccessFile writer = new RandomAccessFile(path.toFile(), "rw")) {
          writer.setLength(4096);
        }
        Operand operand = Operand.of(Matrix.of(file.buffer(), Dtype.BF16, 512, 1024));
        assertThatThrownBy(() -> Bf16Diff.compare(context, operand, operand))
            .isInstanceOfSatisfying(
                KernelException.class, e -> assertThat(e.status()).isEqualTo(Status.IO));
        assertThatThrownBy(file::check).hasMessageContaining("ü.bin: changed while it was read");
        file.isDone(context, 0, file.bytes());
      }
      assertThatThrownBy(() -> MappedFile.open(context, directory.resolve("none")))
          .hasMessageEndingWith("none: cannot open: No such file or directory");
    }
  }

  /** A second class loader of one JVM loads the library too. */
  @Test
  void twoClassLoadersCanBothCall() throws Exception {
    List<URL> urls =
        Arrays.stream(System.getProperty("java.class.path").split(java.io.File.pathSeparator))
            .map(
                entry -> {
                  try {
                    return Path.of(entry).toUri().toURL();
                  } catch (java.net.MalformedURLException e) {
                    throw new IllegalArgumentException(e);
                  }
                })
            .toList();
    try (URLClassLoader loader =
        new URLClassLoader(urls.toArray(new URL[0]), ClassLoader.getPlatformClassLoader())) {
      Object other =
          loader.loadClass(Context.class.getName()).getMethod("liveObjects").invoke(null);
      assertThat(other).isEqualTo(Context.liveObjects());
    }
  }

  /** The example of the class documentation of {@link Bf16Diff}. */
  @Test
  void theDocumentedExampleRuns() {
    try (Context context = Context.open(DEVICE, 0);
        NativeBuffer base = context.allocate(2 * 3 * 4);
        NativeBuffer tuned = context.allocate(2 * 3 * 4)) {
      for (int i = 0; i < 12; i++) {
        base.putShort(2 * i, (short) 0x3f80);
        tuned.putShort(2 * i, (short) (i == 5 ? 0x3f81 : 0x3f80));
      }
      Matrix w0 = Matrix.of(base, Dtype.BF16, 3, 4);
      Matrix w1 = Matrix.of(tuned, Dtype.BF16, 3, 4);
      Bf16Diff.Result result = Bf16Diff.compare(context, Operand.of(w0), Operand.of(w1));
      assertThat(result.changed() + " of " + result.total() + " changed")
          .isEqualTo("1 of 12 changed");
    }
  }
}
