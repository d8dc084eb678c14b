package org.threegate.testing;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.FutureTask;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.DisabledIfEnvironmentVariable;
import org.junit.jupiter.api.condition.DisabledIfSystemProperty;
import org.junit.jupiter.api.io.TempDir;
import org.threegate.buffer.NativeBuffer;
import org.threegate.dtype.Dtype;
import org.threegate.kernel.Bf16Diff;
import org.threegate.kernel.Blake3;
import org.threegate.kernel.ByteRange;
import org.threegate.kernel.ChangedElements;
import org.threegate.kernel.Context;
import org.threegate.kernel.Control;
import org.threegate.kernel.Direction;
import org.threegate.kernel.DirectionEntries;
import org.threegate.kernel.FiniteDifferences;
import org.threegate.kernel.KernelException;
import org.threegate.kernel.LayerSamples;
import org.threegate.kernel.MagnitudeHistogram;
import org.threegate.kernel.MagnitudeOverlaps;
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

/** Tests that an interrupt of a thread cancels its call, with a control or without one. */
interface InterruptionContract {
  /** Milliseconds after an interrupt within which a call must return, on a machine that is idle. */
  long LATENCY = 100;

  /** On a busy machine everything is slower, so that a call must return in a part of its time. */
  long PART = 10;

  /** Attempts to meet the latency, because other processes may delay any of them. */
  int ATTEMPTS = 5;

  /** Every family of kernels, with small inputs: no kernel begins in an interrupted thread. */
  @Test
  @DisabledIfSystemProperty(named = "threegate.test.device", matches = "CUDA")
  default void anInterruptedThreadComputesNothing(@TempDir Path directory) throws Exception {
    Path path = Files.write(directory.resolve("file"), new byte[100]);
    int n = 8;
    try (Context context = Context.open(Context.Device.CPU, 2);
        NativeBuffer memory = context.allocate(8L * n * n);
        NativeBuffer other = context.allocate(8L * n * n);
        Control control = Control.open(context);
        MappedFile file = MappedFile.open(context, path);
        Xxh3 checksum = Xxh3.begin(context)) {
      for (int i = 0; i < n * n; i++) {
        memory.putFloat(4L * i, i / n == i % n ? n - i / n : 0).putFloat(4L * i + 4L * n * n, 0);
      }
      other.fill(0, other.bytes(), (byte) 0);
      Matrix matrix = Matrix.of(memory, Dtype.F32, n, n);
      Matrix zeros = Matrix.of(other, Dtype.F32, n, n);
      Matrix basis = matrix.firstRows(1);
      Operand operand = Operand.of(matrix);
      Operand bf16 = Operand.of(Matrix.of(memory, Dtype.BF16, n, n));
      Mask mask = MaskSelection.largest(context, operand, n, control);
      double[] values = {3, 2, 1};
      Matrix core =
          NullUpdate.rotated(
              context, new NullUpdate.Spectrum(values, n), new NullUpdate.Draw(1, 0));
      LayerSamples samples = new LayerSamples(matrix, matrix);
      ChangedElements.Elements before = new ChangedElements.Elements(memory, 0, n * n, 4);
      ChangedElements.Elements after = new ChangedElements.Elements(other, 0, n * n, 4);
      ChangedElements changed =
          ChangedElements.allocate(context, n * n, 4, ChangedElements.Form.OVERWRITE);
      Map<String, Runnable> calls = new LinkedHashMap<>();
      calls.put("diff", () -> Bf16Diff.compare(context, operand, operand));
      calls.put(
          "svd", () -> TruncatedSvd.of(context, TruncatedSvd.Request.of(operand, 1, 1e-6)).close());
      calls.put("angles", () -> PrincipalAngles.of(context, basis, basis));
      calls.put(
          "energy",
          () -> ProjectedEnergy.of(context, operand, new ProjectedEnergy.Bases(basis, basis)));
      calls.put(
          "variances",
          () ->
              ProjectedEnergy.variances(
                  context,
                  bf16,
                  new double[MagnitudeHistogram.CODES],
                  new ProjectedEnergy.SingularBases(
                      new double[] {8, 7, 6, 5, 4, 3, 2, 1}, basis, basis)));
      calls.put(
          "rotated",
          () ->
              NullUpdate.rotated(
                      context, new NullUpdate.Spectrum(values, n), new NullUpdate.Draw(1, 0))
                  .buffer()
                  .close());
      calls.put(
          "shuffled",
          () -> NullUpdate.shuffled(context, core, new NullUpdate.Draw(1, 0)).buffer().close());
      calls.put(
          "normal",
          () ->
              NullUpdate.normal(
                      context,
                      new NullUpdate.Spectrum(values, n),
                      new double[] {1, 0, 0, 0},
                      new NullUpdate.Draw(1, 0))
                  .buffer()
                  .close());
      calls.put(
          "permuted",
          () ->
              NullUpdate.permuted(
                      context,
                      new NullUpdate.Pair(operand, operand),
                      new NullUpdate.Draw(1, 0),
                      control)
                  .buffer()
                  .close());
      calls.put("perturbation", () -> SpectrumPerturbation.of(context, values, core, List.of(1)));
      calls.put("selection", () -> MaskSelection.largest(context, operand, n, control));
      calls.put("combination", () -> MaskSets.combine(context, MaskSets.Operation.UNION, mask));
      calls.put("overlaps", () -> MaskSets.overlaps(context, List.of(mask, mask)));
      calls.put("histogram", () -> MagnitudeHistogram.of(context, operand, mask, mask));
      calls.put("own codes", () -> MagnitudeOverlaps.of(context, operand, List.of(mask)));
      calls.put(
          "sums of own codes",
          () ->
              MagnitudeHistogram.profiles(
                  context, operand, new int[] {1}, List.of(new double[] {1})));
      calls.put(
          "profile",
          () -> MagnitudeHistogram.profile(context, operand, new double[MagnitudeHistogram.CODES]));
      calls.put("entries", () -> DirectionEntries.of(context, Direction.of(operand)).close());
      calls.put("slopes", () -> samples.slopes(context, List.of(Direction.of(operand)), control));
      calls.put("products", () -> samples.addInputProducts(context, new double[n * n], control));
      calls.put(
          "displacement",
          () ->
              FiniteDifferences.displace(
                  context, new FiniteDifferences.Displacement(matrix, zeros, 1), matrix));
      calls.put("extraction", () -> changed.extract(before, after));
      calls.put("differing", () -> changed.differing(after));
      calls.put("sha256", () -> Sha256.of(context, List.of(new ByteRange(memory, 0, 64)), control));
      calls.put("blake3", () -> Blake3.of(context, List.of(new ByteRange(memory, 0, 64)), control));
      calls.put("xxh3", () -> Xxh3.update(context, checksum.part(memory, 0, 64)));
      calls.put("read", () -> file.read(context, 0, other, 100));
      try (changed;
          NativeBuffer of = core.buffer()) {
        assertThat(of.isClosed()).isFalse();
        calls.forEach(
            (name, call) -> {
              call.run();
              Thread.currentThread().interrupt();
              assertThatThrownBy(call::run)
                  .as(name)
                  .isInstanceOfSatisfying(
                      KernelException.class,
                      e -> assertThat(e.status()).as(name).isEqualTo(Status.CANCELLED))
                  .hasMessage("cancelled, because the thread was interrupted");
              assertThat(Thread.interrupted()).as(name).isTrue();
              call.run();
            });
      }
      assertThat(control.isCancelled()).isFalse();
    }
  }

  /** In place, half of the changes would be worse than a late end. */
  @Test
  @DisabledIfSystemProperty(named = "threegate.test.device", matches = "CUDA")
  default void changesInPlaceAreFinished() {
    try (Context context = Context.open(Context.Device.CPU, 1);
        NativeBuffer memory = context.allocate(16);
        ChangedElements changed =
            ChangedElements.allocate(context, 4, 2, ChangedElements.Form.OVERWRITE)) {
      memory.putLong(0, 0).putLong(8, 5);
      ChangedElements.Elements before = new ChangedElements.Elements(memory, 0, 4, 2);
      changed.extract(before, new ChangedElements.Elements(memory, 8, 4, 2));
      Thread.currentThread().interrupt();
      changed.apply(before);
      changed.toGaps(-1);
      changed.toPositions(-1);
      assertThat(Thread.interrupted()).isTrue();
      assertThat(memory.getLong(0)).isEqualTo(5);
    }
  }

  /** Families that can run long, each with an input that takes about a second on one thread. */
  @Test
  @DisabledIfEnvironmentVariable(named = "THREEGATE_SIMD", matches = ".+")
  @DisabledIfSystemProperty(named = "threegate.test.device", matches = "CUDA")
  default void anInterruptCancelsARunningKernel() throws Exception {
    int side = 1 << 14;
    int small = 1 << 11;
    try (Context context = Context.open(Context.Device.CPU, 1);
        NativeBuffer memory = context.allocate((long) side * side);
        NativeBuffer numbers = context.allocate(4L * small * small);
        Control control = Control.open(context)) {
      memory.fill(0, memory.bytes(), (byte) 0);
      Random random = new Random(1);
      for (int i = 0; i < small * small; i++) {
        numbers.putFloat(4L * i, (float) random.nextGaussian());
      }
      Matrix normal = Matrix.of(numbers, Dtype.F32, small, small);
      Operand large = Operand.of(Matrix.of(memory, Dtype.F8_E4M3, side, side));
      // Pairs of this dtype and another one are not compared by their codes, which is much faster.
      Operand other = Operand.of(Matrix.of(memory, Dtype.F8_E5M2, side, side));
      Operand half = Operand.of(Matrix.of(memory, Dtype.F8_E4M3, side / 2, side));
      Matrix basis = Matrix.of(memory, Dtype.F32, 1, side);
      Mask mask = new Mask(side, side, new long[side / 64 * side]);
      LayerSamples samples =
          new LayerSamples(
              Matrix.of(memory, Dtype.F32, 1 << 14, small),
              Matrix.of(memory, Dtype.F32, 1 << 14, small));
      List<ByteRange> ranges = new ArrayList<>();
      for (int i = 0; i < 16; i++) {
        ranges.add(new ByteRange(memory, 0, memory.bytes()));
      }
      Map<String, Runnable> calls = new LinkedHashMap<>();
      calls.put(
          "diff",
          () ->
              Bf16Diff.compare(
                  context,
                  new Bf16Diff.Pair(large, other, Bf16Diff.Profiles.ROWS_AND_COLUMNS),
                  control));
      calls.put(
          "svd",
          () ->
              TruncatedSvd.of(context, TruncatedSvd.Request.of(Operand.of(normal), 64, 1e-12))
                  .close());
      calls.put(
          "energy",
          () -> ProjectedEnergy.of(context, large, new ProjectedEnergy.Bases(basis, basis)));
      calls.put("selection", () -> MaskSelection.largest(context, large, 1 << 20, control));
      calls.put("histogram", () -> MagnitudeHistogram.of(context, large, mask, mask));
      calls.put("own codes", () -> MagnitudeOverlaps.of(context, large, List.of(mask)));
      calls.put(
          "perturbation",
          () ->
              NullUpdate.gaussian(
                      context,
                      new NullUpdate.Noise(half, 1, Dtype.BF16),
                      new NullUpdate.Draw(1, 0),
                      control)
                  .buffer()
                  .close());
      calls.put(
          "slopes",
          () -> samples.slopes(context, List.of(Direction.of(Operand.of(normal))), control));
      calls.put("sha256", () -> Sha256.of(context, ranges, control));
      calls.put("blake3", () -> Blake3.of(context, ranges, control));
      for (Map.Entry<String, Runnable> call : calls.entrySet()) {
        long least = Long.MAX_VALUE;
        for (int attempt = 0; attempt < ATTEMPTS && least > LATENCY; attempt++) {
          least = Math.min(least, latency(call.getKey(), call.getValue()));
        }
        assertThat(least)
            .as(call.getKey() + " ended before the interrupt each time")
            .isNotEqualTo(Long.MAX_VALUE);
        if (least > LATENCY) {
          long begin = System.nanoTime();
          call.getValue().run();
          long whole = (System.nanoTime() - begin) / 1_000_000;
          assertThat(least)
              .as(call.getKey() + ", in milliseconds; the whole call takes " + whole)
              .isLessThanOrEqualTo(whole / PART);
        }
      }
      assertThat(control.isCancelled()).isFalse();
    }
  }

  /**
   * Returns the milliseconds between an interrupt and the end of a call. On a busy machine the call
   * may end first: then it is the largest number.
   */
  private static long latency(String name, Runnable call) throws Exception {
    FutureTask<KernelException> task =
        new FutureTask<>(
            () -> {
              try {
                call.run();
                return null;
              } catch (KernelException e) {
                assertThat(Thread.currentThread().isInterrupted()).as(name).isTrue();
                return e;
              }
            });
    Thread thread = new Thread(task, "interrupted-" + name);
    thread.start();
    Thread.sleep(60);
    long from = System.nanoTime();
    thread.interrupt();
    KernelException thrown = task.get();
    long millis = (System.nanoTime() - from) / 1_000_000;
    if (thrown == null) {
      return Long.MAX_VALUE;
    }
    assertThat(thrown.status()).as(name).isEqualTo(Status.CANCELLED);
    return millis;
  }
}
