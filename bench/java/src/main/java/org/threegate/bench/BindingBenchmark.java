package org.threegate.bench;

import java.nio.ByteBuffer;
import java.util.concurrent.TimeUnit;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;
import org.openjdk.jmh.annotations.Warmup;
import org.threegate.buffer.NativeBuffer;
import org.threegate.dtype.Dtype;
import org.threegate.kernel.Bf16Diff;
import org.threegate.kernel.Context;
import org.threegate.kernel.Control;
import org.threegate.kernel.Matrix;
import org.threegate.kernel.Operand;
import org.threegate.loading.Bindings;
import org.threegate.spi.KernelBinding;

/**
 * Measures calls through the binding that {@code -Dthreegate.binding} names, and the diff through
 * the whole Java API. {@code ci/bench} runs both bindings.
 */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.NANOSECONDS)
@Warmup(iterations = 3, time = 1)
@Measurement(iterations = 5, time = 1)
@Fork(1)
public class BindingBenchmark {
  private static final int ROWS = 8192;
  private static final int COLUMNS = 1536;

  private final KernelBinding binding = Bindings.get();
  private final ByteBuffer out = ByteBuffer.allocateDirect(16);
  private final long address = binding.addressOf(out);
  private Context context;
  private NativeBuffer weights;
  private Control control;
  private Operand operand;

  @Setup
  public void open() {
    context = Context.open(Context.Device.CPU, 1);
    weights = context.allocate(2L * ROWS * COLUMNS);
    for (long i = 0; i < weights.bytes(); i += 8) {
      weights.putLong(i, 0x3c003c10bc203c40L);
    }
    control = Control.open(context);
    operand = Operand.of(Matrix.of(weights, Dtype.BF16, ROWS, COLUMNS));
  }

  @TearDown
  public void close() {
    control.close();
    weights.close();
    context.close();
  }

  /** Calls a C function without arguments. */
  @Benchmark
  public int callWithoutArguments() {
    return binding.abiVersion();
  }

  /** Calls a C function that writes through two pointers. */
  @Benchmark
  public int callWithPointers() {
    return binding.liveObjects(address, address + 8);
  }

  /** Compares 25 MB with itself, with row and column profiles. */
  @Benchmark
  @OutputTimeUnit(TimeUnit.MICROSECONDS)
  public Bf16Diff.Result diff() {
    return Bf16Diff.compare(
        context, new Bf16Diff.Pair(operand, operand, Bf16Diff.Profiles.ROWS_AND_COLUMNS), control);
  }
}
