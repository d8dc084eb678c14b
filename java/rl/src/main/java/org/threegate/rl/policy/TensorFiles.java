package org.threegate.rl.policy;

import java.nio.ByteBuffer;
import org.bytedeco.javacpp.BytePointer;
import org.bytedeco.javacpp.Pointer;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptions;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.threegate.buffer.NativeBuffer;
import org.threegate.checkpoint.SafetensorsWriter;
import org.threegate.checkpoint.TensorType;
import org.threegate.kernel.Matrix;
import org.threegate.run.InvalidInputException;

/**
 * Reads tensors of any size from files, and writes them.
 *
 * <pre>{@code
 * TensorFiles.put(new SafetensorsWriter(), "weight", TensorType.F32, decoder.weight("lm_head.weight"))
 *     .write(Path.of("weight.safetensors"));
 * }</pre>
 */
public final class TensorFiles {
  private static final int CHUNK = 1 << 30; // bytes per copy

  private TensorFiles() {}

  /**
   * Reads a stored tensor in its dtype.
   *
   * @param stored the stored tensor
   * @return the tensor
   * @throws InvalidInputException when the dtype is not a supported floating-point type, or an
   *     entry is not finite
   */
  public static Tensor read(org.threegate.checkpoint.Tensor stored) {
    ScalarType type =
        switch (stored.type()) {
          case BF16 -> ScalarType.BFloat16;
          case F16 -> ScalarType.Half;
          case F32 -> ScalarType.Float;
          case F64 -> ScalarType.Double;
          default ->
              throw new InvalidInputException(
                  stored.file().path()
                      + ": tensor \""
                      + stored.name()
                      + "\" is "
                      + stored.type()
                      + "; it must be BF16, F16, F32 or F64");
        };
    return Scopes.keep(
        () -> {
          Tensor copy = torch.empty(Tensors.shape(stored.shape()), new TensorOptions(type), null);
          copy(stored.file().buffer(), stored.offset(), stored.bytes(), copy);
          if (!Tensors.areFinite(copy)) {
            throw new InvalidInputException(
                stored.file().path()
                    + ": tensor \""
                    + stored.name()
                    + "\" has entries that are not finite; the file is damaged or training diverged");
          }
          return ModelDevice.placed(copy);
        });
  }

  /**
   * Adds a tensor to a file. Its values are read when the file is written.
   *
   * @param writer the writer of the file
   * @param name the name in the file
   * @param type BF16 (rounded to nearest, ties to even) or F32
   * @param tensor the tensor
   * @return the writer
   */
  public static SafetensorsWriter put(
      SafetensorsWriter writer, String name, TensorType type, Tensor tensor) {
    ScalarType to =
        switch (type) {
          case BF16 -> ScalarType.BFloat16;
          case F32 -> ScalarType.Float;
          default ->
              throw new IllegalArgumentException("the type must be BF16 or F32, not " + type);
        };
    return writer.tensor(
        name,
        type,
        Tensors.shape(tensor),
        out -> {
          try (Tensor stored =
              Scopes.own(() -> ModelDevice.onHost(tensor.detach().to(to)).contiguous())) {
            long bytes = stored.numel() * stored.element_size();
            BytePointer data = new BytePointer(stored.data_ptr());
            for (long at = 0; at < bytes; at += CHUNK) {
              long count = Math.min(CHUNK, bytes - at);
              ByteBuffer part = data.getPointer(at).capacity(count).asByteBuffer();
              while (part.hasRemaining()) {
                out.write(part);
              }
            }
          }
        });
  }

  /**
   * {@return a copy of a contiguous matrix, in its dtype}
   *
   * @param matrix a contiguous matrix in bf16, float16, float32 or float64
   */
  public static Tensor copyOf(Matrix matrix) {
    ScalarType type =
        switch (matrix.dtype()) {
          case BF16 -> ScalarType.BFloat16;
          case F16 -> ScalarType.Half;
          case F32 -> ScalarType.Float;
          case F64 -> ScalarType.Double;
          default -> throw new IllegalArgumentException("unsupported dtype " + matrix.dtype());
        };
    if (matrix.rowStride() != matrix.columns()) {
      throw new IllegalArgumentException("the matrix must be contiguous");
    }
    return Scopes.keep(
        () -> {
          Tensor copy =
              torch.empty(
                  new long[] {matrix.rows(), matrix.columns()}, new TensorOptions(type), null);
          copy(matrix.buffer(), matrix.offset(), copy.numel() * copy.element_size(), copy);
          return ModelDevice.placed(copy);
        });
  }

  private static void copy(NativeBuffer from, long offset, long bytes, Tensor to) {
    try (NativeBuffer.Lease lease = from.lease()) {
      for (long at = 0; at < bytes; at += CHUNK) {
        int count = (int) Math.min(CHUNK, bytes - at);
        Pointer.memcpy(
            new BytePointer(to.data_ptr()).getPointer(at),
            new BytePointer(lease.view(offset + at, count)),
            count);
      }
    }
  }
}
