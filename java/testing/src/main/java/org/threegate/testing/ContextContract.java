package org.threegate.testing;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.threegate.testing.TestDevice.DEVICE;

import java.io.IOException;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.function.Supplier;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.DisabledIfEnvironmentVariable;
import org.junit.jupiter.api.condition.DisabledIfSystemProperty;
import org.threegate.buffer.NativeBuffer;
import org.threegate.dtype.Dtype;
import org.threegate.kernel.Bf16Diff;
import org.threegate.kernel.Capabilities;
import org.threegate.kernel.Context;
import org.threegate.kernel.Control;
import org.threegate.kernel.KernelException;
import org.threegate.kernel.Matrix;
import org.threegate.kernel.Operand;
import org.threegate.kernel.PrincipalAngles;
import org.threegate.kernel.Status;
import org.threegate.kernel.TruncatedSvd;
import org.threegate.loading.Bindings;

/** Tests bindings, capabilities and contexts. */
interface ContextContract {
  /** Returns {@code "jni"} or {@code "ffm"}. */
  String expectedBinding();

  @Test
  default void theForcedBindingIsTheOneInUse() {
    assertThat(Bindings.get().name()).isEqualTo(expectedBinding());
  }

  @Test
  default void versionsAgree() throws IOException {
    assertThat(Bindings.get().abiVersion()).isEqualTo(Header.read().constant("TG_ABI_VERSION"));
    assertThat(Bindings.ABI_VERSION).isEqualTo(Header.read().constant("TG_ABI_VERSION"));
    String pom = Files.readString(Path.of(System.getProperty("threegate.root"), "pom.xml"));
    assertThat(pom)
        .containsPattern(
            "<revision>"
                + Pattern.quote(Capabilities.query().version())
                + "(-SNAPSHOT)?</revision>");
  }

  @Test
  default void capabilitiesSayWhatRunsAndWhyNotMore() {
    Capabilities capabilities = Capabilities.query();
    assertThat(capabilities.hardwareThreads()).isPositive();
    assertThat(capabilities.memoryBytes()).isGreaterThan(1L << 20);
    assertThat(capabilities.blas()).startsWith("OpenBLAS");
    assertThat(capabilities.cudaReason().isEmpty()).isEqualTo(capabilities.cudaDevices() > 0);
    Optional.ofNullable(System.getenv("THREEGATE_SIMD"))
        .ifPresent(forced -> assertThat(capabilities.simd()).isEqualTo(forced));
    assertThat(capabilities.simdReason().isEmpty())
        .isEqualTo(List.of("avx512", "neon").contains(capabilities.simd()));
  }

  @Test
  default void aContextTellsItsThreadsAndClosesTwice() {
    Context context = Context.open(DEVICE, 3);
    assertThat(context.threads()).isEqualTo(3);
    context.close();
    context.close();
    assertThatThrownBy(context::threads)
        .isInstanceOf(IllegalStateException.class)
        .hasMessageContaining("closed");
  }

  @Test
  default void wrongOptionsAreRefusedWithTheArgumentNamed() {
    assertThatThrownBy(() -> Context.open(DEVICE, -5))
        .isInstanceOfSatisfying(
            KernelException.class, e -> assertThat(e.status()).isEqualTo(Status.INVALID_ARGUMENT))
        .hasMessage("options.threads is -5; allowed are 0 (all) to 1024");
  }

  @Test
  default void aContextOfADeviceFollowsAStream() {
    long perThread = 2; // cudaStreamPerThread
    try (Context context = Context.open(DEVICE, 1)) {
      context.setStream(0);
      if (DEVICE == Context.Device.CPU) {
        assertThatThrownBy(() -> context.setStream(perThread))
            .isInstanceOfSatisfying(
                KernelException.class,
                e -> assertThat(e.status()).isEqualTo(Status.INVALID_ARGUMENT))
            .hasMessage("stream is a stream; a context of the CPU takes NULL only");
      } else {
        context.setStream(perThread);
      }
      try (Context other = context.another(1)) {
        assertThat(other.device()).isEqualTo(DEVICE);
        assertThat(other.deviceIndex()).isEqualTo(context.deviceIndex());
      }
    }
  }

  @Test
  default void onlyKernelsReachTheMemoryOfADevice() {
    try (Context context = Context.open(DEVICE, 1);
        NativeBuffer host = context.allocate(8);
        NativeBuffer.Lease memory = host.lease()) {
      if (DEVICE == Context.Device.CPU) {
        assertThatThrownBy(() -> context.wrapOnDevice(memory.address(), 8, host))
            .hasMessage("a context of the CPU does not reach the memory of a device");
        return;
      }
      NativeBuffer buffer = context.wrapOnDevice(memory.address(), 8, host);
      for (Runnable access :
          List.<Runnable>of(
              () -> buffer.getLong(0),
              () -> buffer.putInt(0, 1),
              () -> buffer.getDoubles(0, 1),
              () -> buffer.slice(0, 8))) {
        assertThatThrownBy(access::run)
            .hasMessage("the buffer lies in the memory of a device, which only kernels reach");
      }
      buffer.close();
      assertThat(buffer.isClosed()).isTrue();
    }
  }

  /** The processor would end the process with a signal. */
  @Test
  default void aContextOfTheCpuRefusesTheMemoryOfADevice() {
    try (Context cpu = Context.open(Context.Device.CPU, 1);
        NativeBuffer host = cpu.allocate(64);
        NativeBuffer there = NativeBuffer.wrapOnDevice(Bindings.get(), 1, 64, host)) {
      Matrix matrix = Matrix.of(there, Dtype.F32, 4, 4);
      Operand operand = Operand.of(matrix);
      for (Runnable call :
          List.<Runnable>of(
              there::lease,
              there::leaseForOutput,
              () -> Bf16Diff.compare(cpu, operand, operand),
              () -> PrincipalAngles.of(cpu, matrix, matrix),
              () -> TruncatedSvd.of(cpu, TruncatedSvd.Request.of(operand, 1, 1e-6)).close())) {
        assertThatThrownBy(call::run)
            .isInstanceOf(UnsupportedOperationException.class)
            .hasMessage("the buffer lies in the memory of a device, which only kernels reach");
      }
    }
  }

  /** The copy is made once, when a call first needs it, and closed with the buffer. */
  @Test
  default void callsOnTheProcessorReadTheCopyOfDeviceMemory() {
    try (Context cpu = Context.open(Context.Device.CPU, 1);
        NativeBuffer host = cpu.allocate(64)) {
      host.fill(0, 64, (byte) 0);
      host.putFloat(0, 3);
      List<NativeBuffer> copies = new ArrayList<>();
      Supplier<NativeBuffer> copy =
          () -> {
            NativeBuffer made = cpu.allocate(64);
            made.putBytes(0, host.getBytes(0, 64));
            copies.add(made);
            return made;
          };
      assertThatThrownBy(() -> host.withHostCopy(copy)).isInstanceOf(IllegalStateException.class);
      NativeBuffer unused =
          NativeBuffer.wrapOnDevice(Bindings.get(), 1, 64, host).withHostCopy(copy);
      unused.close();
      NativeBuffer there =
          NativeBuffer.wrapOnDevice(Bindings.get(), 1, 64, host).withHostCopy(copy);
      assertThat(there.hasHostCopy()).isTrue();
      assertThat(copies).isEmpty();
      Operand operand = Operand.of(Matrix.of(there, Dtype.F32, 4, 4));
      Operand same = Operand.of(Matrix.of(host, Dtype.F32, 4, 4));
      assertThat(Bf16Diff.compare(cpu, operand, same).changed()).isZero();
      try (TruncatedSvd.Result svd =
          TruncatedSvd.of(cpu, TruncatedSvd.Request.of(operand, 1, 1e-6).withSpectrum())) {
        assertThat(svd.values()).containsExactly(3);
      }
      assertThat(copies).hasSize(1);
      try (NativeBuffer.Lease lease = there.lease()) {
        assertThat(lease.view(0, 4).getFloat(0)).isEqualTo(3);
        assertThatThrownBy(there::close).hasMessage("the buffer is in use by 1 running call");
        assertThat(copies.get(0).isClosed()).isFalse();
      }
      assertThatThrownBy(there::leaseForOutput).isInstanceOf(UnsupportedOperationException.class);
      there.close();
      assertThat(copies.get(0).isClosed()).isTrue();
      assertThatThrownBy(there::lease).hasMessage("the buffer is closed");
      assertThat(copies).hasSize(1);
    }
  }

  @Test
  default void aContextTakesOneCallAtATime() throws InterruptedException {
    try (Context context = Context.open(DEVICE, 1);
        NativeBuffer memory = context.allocate(1L << 30);
        Control control = Control.open(context)) {
      // Pairs of two dtypes are not compared by their codes, which would end too soon.
      Operand base = Operand.of(Matrix.of(memory, Dtype.F8_E4M3, 1 << 15, 1 << 15));
      Operand tuned = Operand.of(Matrix.of(memory, Dtype.F8_E5M2, 1 << 15, 1 << 15));
      CompletableFuture<Void> other =
          CompletableFuture.runAsync(
              () ->
                  Bf16Diff.compare(
                      context, new Bf16Diff.Pair(base, tuned, Bf16Diff.Profiles.NONE), control));
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

  /** Runs in another JVM, because a crash would end this one. */
  @Test
  @DisabledIfEnvironmentVariable(named = "THREEGATE_SIMD", matches = ".+")
  @DisabledIfSystemProperty(named = "threegate.test.device", matches = "CUDA")
  default void anythingCanBeCalledWhileAnythingCloses() throws Exception {
    long seed = Seeds.random("anythingCanBeCalledWhileAnythingCloses").nextLong();
    ChildJvm.Result result =
        ChildJvm.of(ApiAttack.class, "10000", Long.toString(seed))
            .options("-Xmx512m")
            .before("ulimit -v 8000000")
            .run();
    assertThat(result.code()).as(result.output()).isZero();
    assertThat(result.output()).contains("10000 rounds");
  }

  /** A second class loader of the same JVM can load the library, too. */
  @Test
  default void twoClassLoadersCanBothCall() throws Exception {
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
}
