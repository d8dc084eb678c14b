package org.threegate.cuda;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.function.Consumer;
import org.bytedeco.cuda.cudart.CUstream_st;
import org.bytedeco.javacpp.FloatPointer;
import org.bytedeco.javacpp.Pointer;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.junit.jupiter.api.Test;
import org.threegate.buffer.NativeBuffer;
import org.threegate.dtype.Dtype;
import org.threegate.kernel.Bf16Diff;
import org.threegate.kernel.Context;
import org.threegate.kernel.Matrix;
import org.threegate.kernel.Operand;
import org.threegate.kernel.ProjectedEnergy;
import org.threegate.kernel.TruncatedSvd;
import org.threegate.testing.DeviceMemory;

/** Verifies that kernels read memory of JavaCPP and libtorch where it lies. */
@SuppressWarnings("try")
class DeviceMemoryTest {
  private static final int ROWS = 70;
  private static final int COLUMNS = 50;
  private static final int COUNT = ROWS * COLUMNS;

  /** A handle of a stream, of which nothing is known. */
  private static CUstream_st stream(long handle) {
    return new CUstream_st(
        new Pointer() {
          {
            address = handle;
          }
        });
  }

  private static void onDevice(Consumer<Context> body) {
    try (Context context = Context.open(Context.Device.CUDA, 1);
        PointerScope scope = new PointerScope()) {
      body.accept(context);
    }
  }

  private static Bf16Diff.Result compare(Context context, Matrix base, Matrix tuned) {
    return Bf16Diff.compare(context, Operand.of(base), Operand.of(tuned));
  }

  /** Kernels of the CPU refuse what the library finds in device memory. */
  private static void assertLiesOnDevice(Context context, Matrix matrix) {
    try (NativeBuffer host = context.allocate(4 * ROWS)) {
      Matrix left = Matrix.of(host, Dtype.F32, 1, ROWS);
      Matrix right = Matrix.of(host, Dtype.F32, 1, COLUMNS);
      assertThatThrownBy(
              () ->
                  ProjectedEnergy.of(
                      context, Operand.of(matrix), new ProjectedEnergy.Bases(left, right)))
          .hasMessageContaining("in device memory; it must be in host memory");
    }
  }

  @DeviceTest
  void kernelsReadAPointerToDeviceMemory() {
    onDevice(
        context -> {
          try (EmulatedMemory first = new EmulatedMemory(COUNT);
              EmulatedMemory second = new EmulatedMemory(COUNT);
              NativeBuffer host = context.allocate(4 * COUNT)) {
            for (int i = 0; i < COUNT; i++) {
              first.pointer().put(i, i + 1);
              second.pointer().put(i, i + 1);
              host.putFloat(4L * i, i + 1);
            }
            Matrix base =
                Matrix.of(
                    CudaPresets.wrap(context, first.pointer(), 4 * COUNT),
                    Dtype.F32,
                    ROWS,
                    COLUMNS);
            Matrix tuned =
                Matrix.of(
                    CudaPresets.wrap(context, second.pointer(), 4 * COUNT),
                    Dtype.F32,
                    ROWS,
                    COLUMNS);
            assertThat(compare(context, base, tuned).changed()).isZero();
            second.pointer().put(7, 0);
            assertThat(compare(context, base, tuned).changed()).isOne();
            Matrix copy = Matrix.of(host, Dtype.F32, ROWS, COLUMNS);
            assertThat(compare(context, copy, tuned).changed()).isOne();
            assertLiesOnDevice(context, base);
          }
        });
  }

  @DeviceTest
  void aPointerBeginsAtItsPositionAndEndsAtItsLimit() {
    onDevice(
        context -> {
          try (EmulatedMemory memory = new EmulatedMemory(COUNT)) {
            for (int i = 0; i < COUNT; i++) {
              memory.pointer().put(i, i / COLUMNS);
            }
            FloatPointer second = memory.pointer().position(COLUMNS);
            assertThatThrownBy(() -> CudaPresets.wrap(context, second, 4 * COUNT))
                .hasMessage(
                    "the pointer has "
                        + 4 * (COUNT - COLUMNS)
                        + " bytes, and "
                        + 4 * COUNT
                        + " are wanted");
            Matrix row =
                Matrix.of(CudaPresets.wrap(context, second, 4 * COLUMNS), Dtype.F32, 1, COLUMNS);
            assertThat(compare(context, row, row).baseSquares()).isEqualTo(COLUMNS);
            assertThatThrownBy(() -> CudaPresets.wrap(context, new FloatPointer(), 4))
                .hasMessage("the pointer is null");
          }
        });
  }

  @DeviceTest
  void kernelsReadATensorWhereItLies() {
    onDevice(
        context -> {
          try (EmulatedMemory memory = new EmulatedMemory(COUNT)) {
            // To libtorch without CUDA the emulated device is the CPU.
            Tensor weight = torch.from_blob(memory.pointer(), ROWS, COLUMNS);
            weight.fill_(new Scalar(1.5));
            Tensor before = weight.clone();
            Matrix there = TorchTensors.matrix(context, weight);
            assertLiesOnDevice(context, there);
            assertThat(compare(context, TorchTensors.matrix(context, before), there).changed())
                .isZero();
            weight.select(0, 3).mul_(new Scalar(2));
            assertThat(compare(context, TorchTensors.matrix(context, before), there).changed())
                .isEqualTo(COLUMNS);
          }
        });
  }

  /** The rows have a distance, which the copy has, too. */
  @DeviceTest
  void kernelsOfTheCpuReadOneCopyOfATensor() {
    onDevice(
        context -> {
          try (EmulatedMemory memory = new EmulatedMemory(COUNT)) {
            Tensor all = torch.from_blob(memory.pointer(), ROWS, COLUMNS);
            all.copy_(torch.randn(ROWS, COLUMNS));
            Tensor weight = all.narrow(1, 2, COLUMNS - 5);
            long[] copies = new long[2];
            Matrix there =
                TorchTensors.matrix(
                    context,
                    weight,
                    (to, from) -> {
                      copies[0]++;
                      copies[1] += 4 * from.numel();
                      DeviceMemory.copyToHost(
                          to.data_ptr().address(), from.data_ptr().address(), 4 * from.numel());
                    });
            Tensor host = weight.clone().contiguous();
            Matrix expected = TorchTensors.matrix(context, host);
            long before = DeviceMemory.bytesToHost();
            assertThat(compare(context, expected, there).changed()).isZero();
            assertThat(DeviceMemory.bytesToHost() - before).isBetween(1L, 256L);
            assertThat(copies[0]).isZero();
            assertThat(spectrum(context, there)).isEqualTo(spectrum(context, expected));
            assertThat(spectrum(context, there)).isEqualTo(spectrum(context, expected));
            assertThat(copies).containsExactly(1, 4 * (COUNT - 5));
            there.buffer().close();
          }
        });
  }

  private static double[] spectrum(Context context, Matrix matrix) {
    try (TruncatedSvd.Result svd =
        TruncatedSvd.of(
            context, TruncatedSvd.Request.of(Operand.of(matrix), 4, 1e-6).withSpectrum())) {
      return svd.spectrum().orElseThrow();
    }
  }

  @DeviceTest
  void aTensorOfAnotherDeviceIsRefused() {
    onDevice(
        context -> {
          TorchTensors.requireDevice(context, 0);
          assertThatThrownBy(() -> TorchTensors.requireDevice(context, 1))
              .hasMessage("the tensor lies on cuda:1, and the context is one of cuda:0");
        });
    try (Context context = Context.open()) {
      assertThatThrownBy(() -> TorchTensors.requireDevice(context, 1))
          .hasMessage("the tensor lies on cuda:1, and the context is one of the CPU");
    }
  }

  @DeviceTest
  void contextsFollowAStream() {
    onDevice(
        context -> {
          CudaPresets.follow(context, stream(2)); // cudaStreamPerThread
          try (Context other = context.another(1)) {
            assertThat(other.deviceIndex()).isZero();
            other.setStream(0);
          }
          CudaPresets.follow(context, stream(0));
          CudaPresets.follow(context, null); // as the presets return the default stream
        });
  }

  @Test
  void rowsOfATensorMayHaveADistance() {
    try (Context context = Context.open();
        PointerScope scope = new PointerScope()) {
      Tensor wide = torch.ones(4, 6);
      Tensor left = wide.narrow(1, 0, 3);
      Matrix matrix = TorchTensors.matrix(context, left);
      assertThat(matrix.columns()).isEqualTo(3);
      assertThat(matrix.rowStride()).isEqualTo(6);
      wide.select(1, 4).mul_(new Scalar(9));
      assertThat(compare(context, matrix, matrix).baseSquares()).isEqualTo(12);
      assertThat(TorchTensors.matrix(context, torch.ones(2, 3, 5)).columns()).isEqualTo(15);
      assertThat(TorchTensors.matrix(context, torch.ones(7)).rows()).isOne();
      assertThat(TorchTensors.matrix(context, torch.ones(0, 7)).rows()).isZero();
      assertThatThrownBy(() -> TorchTensors.matrix(context, left.transpose(0, 1)))
          .hasMessage("the rows of the tensor must be contiguous");
      assertThatThrownBy(() -> TorchTensors.matrix(context, left.toType(torch.ScalarType.Int)))
          .hasMessage("unsupported dtype Int; kernels need a floating-point type");
      assertThatThrownBy(() -> TorchTensors.matrix(context, wide.to_sparse()))
          .hasMessage("the tensor is sparse");
    }
  }

  @Test
  void aContextOfTheCpuTakesNeitherStreamsNorDeviceMemory() {
    try (Context context = Context.open();
        FloatPointer pointer = new FloatPointer(4)) {
      assertThatThrownBy(() -> CudaPresets.follow(context, stream(2)))
          .hasMessage("stream is a stream; a context of the CPU takes NULL only");
      assertThatThrownBy(() -> CudaPresets.wrap(context, pointer, 16))
          .hasMessage("a context of the CPU does not reach the memory of a device");
    }
  }
}
