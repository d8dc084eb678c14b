package org.threegate.checkpoint;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assumptions.assumeThat;

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
    assumeThat(dd("if=" + file, "iflag=direct", "of=/dev/null", "count=1", "bs=4096"))
        .as("SKIPPED: the file system has no direct reads")
        .isZero();
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
      assertThat(isMapped(file)).as("files that the cache can keep").isTrue();
      dropFromCache(file);
      try (ReadAhead ahead = ReadAhead.ofReleased(steps, () -> 0L, all - 1)) {
        ahead.start();
        ahead.awaitStep(0);
      }
      assertThat(isMapped(file)).as("other memory has its addresses").isFalse();
      assertThat(Digests.of(context, tensors, control)).isEqualTo(expected);
      tensors.forEach(tensor -> tensor.file().isDone(context, tensor.offset(), tensor.bytes()));
      assertThat(isMapped(file)).as("after release").isTrue();
      dropFromCache(file);
      try (ReadAhead ahead = ReadAhead.ofReleased(steps, () -> isMapped(file) ? 0 : all, all - 1)) {
        ahead.start();
        ahead.awaitStep(0);
      }
      assertThat(isMapped(file)).as("after the reader has read all").isTrue();
      assertThat(Digests.of(context, tensors, control)).isEqualTo(expected);
    }
  }

  /** The library reads past the cache only what the cache does not have. */
  private static void dropFromCache(Path file) throws IOException {
    try (FileChannel channel = FileChannel.open(file, StandardOpenOption.WRITE)) {
      channel.force(true);
    }
    assertThat(dd("of=" + file, "oflag=nocache", "conv=notrunc,fdatasync", "count=0")).isZero();
  }

  private static int dd(String... operands) throws IOException {
    List<String> command = new ArrayList<>(List.of("dd"));
    command.addAll(List.of(operands));
    return new ProcessBuilder(command)
        .redirectErrorStream(true)
        .redirectOutput(ProcessBuilder.Redirect.DISCARD)
        .start()
        .onExit()
        .join()
        .exitValue();
  }

  /**
   * Returns whether pages of the file have all addresses of its mapping, and no other memory has
   * any.
   */
  private static boolean isMapped(Path file) {
    try {
      long pages = 0;
      for (String line : Files.readAllLines(Path.of("/proc/self/maps"))) {
        if (line.endsWith(file.toString())) {
          String[] range = line.split("[- ]", 3);
          pages += Long.parseUnsignedLong(range[1], 16) - Long.parseUnsignedLong(range[0], 16);
        }
      }
      return pages >= Files.size(file);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
