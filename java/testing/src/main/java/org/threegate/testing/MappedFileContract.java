package org.threegate.testing;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.threegate.testing.TestDevice.DEVICE;

import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.threegate.buffer.NativeBuffer;
import org.threegate.dtype.Dtype;
import org.threegate.kernel.Bf16Diff;
import org.threegate.kernel.Context;
import org.threegate.kernel.KernelException;
import org.threegate.kernel.MappedFile;
import org.threegate.kernel.Matrix;
import org.threegate.kernel.Operand;
import org.threegate.kernel.Status;

/** Tests files that are mapped into memory. */
interface MappedFileContract {
  @Test
  default void aMappedFileIsReadAndItsTruncationIsAnError(@TempDir Path directory)
      throws IOException {
    Path path = directory.resolve("ü.bin");
    Files.write(path, new byte[1 << 20]);
    try (Context context = Context.open(DEVICE, 0)) {
      try (MappedFile file = MappedFile.open(context, path)) {
        file.willNeed(context, 0, file.bytes());
        file.readOnce(context, 0, file.bytes());
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

  @Test
  default void aClosedMappedFileIsRefused(@TempDir Path directory) throws IOException {
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
              () -> file.readOnce(context, 0, 1),
              () -> file.isDone(context, 0, 1),
              () -> file.buffer().getByte(0))) {
        assertThatThrownBy(use)
            .isInstanceOf(IllegalStateException.class)
            .hasMessageContaining("closed");
      }
    }
  }
}
