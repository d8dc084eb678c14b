package org.threegate.cli;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.threegate.analysis.mask.MaskFile;
import org.threegate.checkpoint.SafetensorsWriter;
import org.threegate.checkpoint.TensorType;
import org.threegate.kernel.Context;
import org.threegate.kernel.Mask;

/**
 * Tests commands on matrices of which only leading singular values are computed. The limit of the
 * short side is 16,384. Here it is 256, so that small matrices are enough.
 */
class LongSidesTest {
  private static final int SIDE = 288;
  private static final String PREFIX = "model.layers.0.self_attn.";
  private static final String WHY =
      "its short side is longer than 256, so that only leading singular values are computed";

  @TempDir Path directory;
  private Path base;

  @BeforeEach
  void write() throws IOException {
    base = Files.createDirectory(directory.resolve("base"));
    Files.writeString(
        base.resolve("config.json"),
        """
        {"model_type":"cwm","num_hidden_layers":1,"num_attention_heads":4,
         "num_key_value_heads":4,"head_dim":72,"hidden_size":288}
        """);
    Random random = new Random(1);
    SafetensorsWriter writer = new SafetensorsWriter();
    for (String name : List.of("q_proj", "k_proj", "v_proj", "o_proj")) {
      ByteBuffer codes = ByteBuffer.allocate(2 * SIDE * SIDE).order(ByteOrder.LITTLE_ENDIAN);
      while (codes.hasRemaining()) {
        codes.putShort((short) (Float.floatToIntBits((float) random.nextGaussian()) >> 16));
      }
      writer.tensor(
          PREFIX + name + ".weight",
          TensorType.BF16,
          List.of((long) SIDE, (long) SIDE),
          codes.array());
    }
    writer.write(base.resolve("model.safetensors"));
  }

  /** Runs a command in a process whose native library and geometry have the lower limit. */
  private CommandRun run(Object... words) throws IOException, InterruptedException {
    CommandRun run =
        ChildRun.of(
            directory,
            "org.threegate.cli.Main",
            Map.of("THREEGATE_SVD_LONGEST_WHOLE", "256"),
            words);
    assertThat(run.code()).as(run.err() + run.out()).isZero();
    return run;
  }

  @Test
  void aReportSaysWhyMeasuresOfAllSingularValuesAreMissing() throws Exception {
    Path rotated = directory.resolve("rotated");
    assertThat(run("intervene", base, "--rotate-vo", "--layers", "0", "--out", rotated).out())
        .contains("logits: not compared");
    Path out = directory.resolve("report");
    CommandRun run = run("compare", base, rotated, "--rank", 4, "--draws", 2, "--out", out);
    String name = PREFIX + "v_proj.weight";
    assertThat(run.out().replaceAll("\\s+", " "))
        .contains("without NSS, rSpec and effective rank: ", name + " (" + WHY + ")");
    JsonNode report = new ObjectMapper().readTree(out.resolve("report.json").toFile());
    JsonNode tensor =
        report
            .path("tensors")
            .valueStream()
            .filter(one -> one.path("name").asText().equals(name))
            .findFirst()
            .orElseThrow();
    assertThat(tensor.path("wholeSpectrumOmitted").asText()).isEqualTo(WHY);
    JsonNode spectrum = tensor.path("spectrum");
    assertThat(spectrum.path("nss").isNull()).isTrue();
    assertThat(spectrum.path("converged").asBoolean()).isTrue();
    // A rotation of values changes their left directions, and no query.
    assertThat(spectrum.path("angleU").path("maxRadians").asDouble()).isGreaterThan(0.1);
    assertThat(Files.readString(out.resolve("report.html"))).contains(WHY);
  }

  /** The triplets of both ways agree within the tolerance, and few entries are as close. */
  @Test
  void aMaskHasTheEntriesOfLeadingTriplets() throws Exception {
    Path blocks = directory.resolve("blocks.safetensors");
    Path whole = directory.resolve("whole.safetensors");
    Object[] words = {"mask", base, "--kind", "principal", "--rank", 4, "--out", blocks};
    run(words);
    words[words.length - 1] = whole;
    assertThat(CommandRun.of(words).code()).isZero();
    try (Context context = Context.open(Context.Device.CPU, 1)) {
      List<MaskFile.Entry> actual = MaskFile.read(context, blocks).entries();
      List<MaskFile.Entry> expected = MaskFile.read(context, whole).entries();
      assertThat(actual).hasSameSizeAs(expected);
      for (int i = 0; i < actual.size(); i++) {
        Mask one = actual.get(i).mask();
        Mask other = expected.get(i).mask();
        assertThat(one.count()).isEqualTo(other.count()).isPositive();
        long[] left = one.words();
        long[] right = other.words();
        long differ = 0;
        for (int word = 0; word < left.length; word++) {
          differ += Long.bitCount(left[word] ^ right[word]);
        }
        assertThat(differ).isLessThan(SIDE * SIDE / 1000);
      }
    }
  }
}
