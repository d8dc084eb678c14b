package org.threegate.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.threegate.checkpoint.SafetensorsWriter;
import org.threegate.checkpoint.TensorType;

/** Tests that the memory of a process stays within what --memory allows. */
class MemoryTest {
  private static final int SIDE = 1024;
  private static final int MATRICES = 8;
  private static final long MEGABYTE = 1 << 20;

  /** The geometry of one matrix. Without a bound, those of all matrices take 300 MB. */
  private static final long ALLOWED = 115 * MEGABYTE;

  /** Memory of the Java heap and of code that geometries use, and counts do not. */
  private static final long JAVA = 40 * MEGABYTE;

  private static final Pattern PEAK = Pattern.compile("VmHWM:\\s+(\\d+) kB");

  @TempDir Path directory;

  private Path write(String name, int changed) throws Exception {
    SafetensorsWriter writer = new SafetensorsWriter();
    Random random = new Random(1);
    for (int matrix = 0; matrix < MATRICES; matrix++) {
      ByteBuffer codes = ByteBuffer.allocate(2 * SIDE * SIDE).order(ByteOrder.LITTLE_ENDIAN);
      for (int i = 0; i < SIDE * SIDE; i++) {
        int code = Float.floatToIntBits((float) random.nextGaussian()) >> 16;
        codes.putShort((short) (i % 64 == 0 ? code ^ changed : code));
      }
      writer.tensor(
          "model.layers." + matrix + ".mlp.up_proj.weight",
          TensorType.BF16,
          List.of((long) SIDE, (long) SIDE),
          codes.array());
    }
    Path path = directory.resolve(name);
    writer.write(path);
    return path;
  }

  /** Returns the largest resident size of a comparison with as many threads as matrices. */
  private long peak(Path base, Path tuned, Object... options) throws Exception {
    List<Object> words = new ArrayList<>(List.of("compare", base, tuned, "--digest", "none"));
    words.addAll(
        List.of("--threads", MATRICES, "--out", directory.resolve("report-" + options.length)));
    words.addAll(List.of(options));
    CommandRun run =
        ChildRun.of(directory, "org.threegate.cli.PeakMemoryMain", Map.of(), words.toArray());
    assertThat(run.code()).as(run.err()).isZero();
    Matcher peak = PEAK.matcher(run.out());
    assertThat(peak.find()).as(run.out()).isTrue();
    return Long.parseLong(peak.group(1)) * 1024;
  }

  @Test
  void geometriesTakeNoMoreThanAllowed() throws Exception {
    Assumptions.assumeTrue(
        Files.isReadable(Path.of("/proc/self/status")), "the size of a process is not known here");
    Path base = write("base.safetensors", 0);
    Path tuned = write("tuned.safetensors", 1);
    long counts = peak(base, tuned, "--no-spectrum");
    long geometry =
        peak(
            base,
            tuned,
            "--memory",
            ALLOWED,
            "--rank-fraction",
            0.1,
            "--nulls",
            "norm-matched",
            "--draws",
            2);
    assertThat(geometry).isBetween(counts, counts + ALLOWED + JAVA);
  }
}
