package org.threegate.checkpoint;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assumptions.assumeThatCode;

import com.sun.nio.file.ExtendedOpenOption;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.threegate.kernel.Context;
import org.threegate.kernel.Control;

class ReadAheadTest {
  private static final int BYTES = 5 << 20;
  private static final int TENSORS = 17;

  @TempDir Path directory;

  @Test
  void whatTheCacheCannotKeepIsReadPastItAndReleased() throws IOException, InterruptedException {
    Path file = directory.resolve("model.safetensors");
    SafetensorsWriter writer = new SafetensorsWriter();
    List<String> expected = new ArrayList<>();
    for (int i = 0; i < TENSORS; i++) {
      byte[] bytes = new byte[BYTES];
      new Random(i).nextBytes(bytes);
      writer.tensor("weight." + (char) ('a' + i), TensorType.U8, List.of((long) BYTES), bytes);
      expected.add(HexFormat.of().formatHex(Digests.sha256().digest(bytes)));
    }
    writer.write(file);
    assumeThatCode(
            () ->
                FileChannel.open(file, StandardOpenOption.READ, ExtendedOpenOption.DIRECT).close())
        .as("SKIPPED: the file system has no direct reads")
        .doesNotThrowAnyException();
    dropFromCache(file);
    try (Context context = Context.open(Context.Device.CPU, 1);
        Control control = Control.open(context);
        Checkpoint checkpoint = Checkpoint.open(context, file)) {
      List<Tensor> tensors = List.copyOf(checkpoint.tensors().values());
      List<List<Tensor>> steps = List.of(tensors);
      long all = (long) TENSORS * BYTES;
      try (ReadAhead ahead = ReadAhead.ofReleased(steps, () -> 0L, all)) {
        ahead.start();
      }
      assertThat(mappingsOf(file)).as("files that the cache can keep").isEqualTo(1);
      dropFromCache(file);
      try (ReadAhead ahead = ReadAhead.ofReleased(steps, () -> 0L, all - 1)) {
        ahead.start();
        for (int i = 0; i < 1000 && mappingsOf(file) < 2; i++) {
          Thread.sleep(10);
        }
      }
      assertThat(mappingsOf(file)).as("other memory lies within the mapping").isGreaterThan(1);
      assertThat(Digests.of(context, tensors, control)).isEqualTo(expected);
      tensors.forEach(tensor -> tensor.file().isDone(context, tensor.offset(), tensor.bytes()));
      assertThat(mappingsOf(file)).as("after release").isEqualTo(1);
      dropFromCache(file);
      try (ReadAhead ahead =
          ReadAhead.ofReleased(steps, () -> mappingsOf(file) > 1 ? all : 0, all - 1)) {
        ahead.start();
        Thread.sleep(1000);
      }
      assertThat(mappingsOf(file)).as("read after the reader has read it").isEqualTo(1);
      assertThat(Digests.of(context, tensors, control)).isEqualTo(expected);
    }
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

  private static long mappingsOf(Path file) {
    try {
      return Files.readAllLines(Path.of("/proc/self/maps")).stream()
          .filter(line -> line.endsWith(file.toString()))
          .count();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
