package org.threegate.checkpoint;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assumptions.assumeThatCode;

import com.sun.nio.file.ExtendedOpenOption;
import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.HexFormat;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.threegate.kernel.Context;
import org.threegate.kernel.Control;

class ReadAheadTest {
  private static final int BYTES = 9 << 20;

  @TempDir Path directory;

  @Test
  void whatTheCacheCannotKeepIsReadPastItAndReleased() throws IOException, InterruptedException {
    Path file = directory.resolve("model.safetensors");
    byte[] first = random(1);
    byte[] second = random(2);
    new SafetensorsWriter()
        .tensor("a.weight", TensorType.U8, List.of((long) BYTES), first)
        .tensor("b.weight", TensorType.U8, List.of((long) BYTES), second)
        .write(file);
    assumeThatCode(
            () ->
                FileChannel.open(file, StandardOpenOption.READ, ExtendedOpenOption.DIRECT).close())
        .as("SKIPPED: the file system has no direct reads")
        .doesNotThrowAnyException();
    dropFromCache(file);
    List<String> expected = List.of(sha256(first), sha256(second));
    try (Context context = Context.open(Context.Device.CPU, 1);
        Control control = Control.open(context);
        Checkpoint checkpoint = Checkpoint.open(context, file)) {
      List<Tensor> tensors = List.copyOf(checkpoint.tensors().values());
      try (ReadAhead ahead = ReadAhead.ofReleased(List.of(tensors), () -> 0L, 2L * BYTES)) {
        ahead.start();
      }
      assertThat(mappingsOf(file)).as("files that the cache can keep").isEqualTo(1);
      try (ReadAhead ahead = ReadAhead.ofReleased(List.of(tensors), () -> 0L, 2L * BYTES - 1)) {
        ahead.start();
        for (int i = 0; i < 1000 && mappingsOf(file) < 2; i++) {
          Thread.sleep(10);
        }
      }
      assertThat(mappingsOf(file)).as("other memory lies within the mapping").isGreaterThan(1);
      assertThat(Digests.of(context, tensors, control)).isEqualTo(expected);
      tensors.forEach(tensor -> tensor.file().isDone(context, tensor.offset(), tensor.bytes()));
      assertThat(mappingsOf(file)).as("after release").isEqualTo(1);
      assertThat(Digests.of(context, tensors, control)).isEqualTo(expected);
    }
  }

  private static byte[] random(int seed) {
    byte[] bytes = new byte[BYTES];
    new Random(seed).nextBytes(bytes);
    return bytes;
  }

  private static String sha256(byte[] bytes) {
    return HexFormat.of().formatHex(Digests.sha256().digest(bytes));
  }

  /** The library reads past the cache only what the cache does not have. */
  private static void dropFromCache(Path file) throws IOException {
    try (FileChannel channel = FileChannel.open(file, StandardOpenOption.WRITE)) {
      channel.force(true);
    }
    new ProcessBuilder("dd", "of=" + file, "oflag=nocache", "conv=notrunc,fdatasync", "count=0")
        .redirectErrorStream(true)
        .start()
        .onExit()
        .join();
  }

  private static long mappingsOf(Path file) throws IOException {
    return Files.readAllLines(Path.of("/proc/self/maps")).stream()
        .filter(line -> line.endsWith(file.toString()))
        .count();
  }
}
