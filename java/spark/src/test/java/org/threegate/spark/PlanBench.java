package org.threegate.spark;

import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import org.apache.spark.api.java.JavaSparkContext;
import org.apache.spark.sql.SparkSession;
import org.threegate.analysis.geometry.GeometryOptions;

/** Times the planning of checkpoints with very many tensors: {@code ci/bench-spark} runs it. */
public final class PlanBench {
  private static final int SHARDS = 200;
  private static final long WIDTH = 2048;

  private PlanBench() {}

  /** Writes sparse files with the headers of bf16 experts of 2048 x 2048, 8 MB each. */
  private static Path write(Path directory, int tensors) throws IOException {
    Files.createDirectories(directory);
    StringBuilder index = new StringBuilder("{\"weight_map\":{");
    for (int shard = 0; shard < SHARDS; shard++) {
      String name = String.format(Locale.ROOT, "model-%05d-of-%05d.safetensors", shard, SHARDS);
      StringBuilder header = new StringBuilder("{");
      long end = 0;
      for (int i = shard; i < tensors; i += SHARDS) {
        String tensor = "model.layers." + i % 60 + ".mlp.experts." + i / 60 + ".up_proj.weight";
        header
            .append(header.length() > 1 ? "," : "")
            .append("\"" + tensor + "\":{\"dtype\":\"BF16\",\"shape\":[")
            .append(WIDTH + "," + WIDTH + "],\"data_offsets\":[" + end + ",");
        end += 2 * WIDTH * WIDTH;
        header.append(end).append("]}");
        index.append(index.length() > 16 ? "," : "").append("\"" + tensor + "\":\"" + name + "\"");
      }
      byte[] text = header.append("}").toString().getBytes(StandardCharsets.UTF_8);
      try (RandomAccessFile file = new RandomAccessFile(directory.resolve(name).toFile(), "rw")) {
        file.write(
            ByteBuffer.allocate(8).order(ByteOrder.LITTLE_ENDIAN).putLong(text.length).array());
        file.write(text);
        file.setLength(8 + text.length + end);
      }
    }
    Files.writeString(directory.resolve("model.safetensors.index.json"), index + "}}");
    return directory;
  }

  /**
   * Prints the time that planning takes.
   *
   * @param arguments a new directory, and the number of tensors
   */
  public static void main(String[] arguments) throws IOException {
    int tensors = Integer.parseInt(arguments[1]);
    Path base = write(Path.of(arguments[0], "base"), tensors);
    Path tuned = write(Path.of(arguments[0], "tuned"), tensors);
    try (SparkSession spark =
        SparkSession.builder()
            .master("local[2]")
            .config("spark.ui.enabled", "false")
            .config("spark.driver.host", "127.0.0.1")
            .config("spark.driver.bindAddress", "127.0.0.1")
            .getOrCreate()) {
      JavaSparkContext own = JavaSparkContext.fromSparkContext(spark.sparkContext());
      long begin = System.nanoTime();
      long bytes = 0;
      int units = 0;
      try (Plan plan = new Plan(own)) {
        Plan.Sides sides =
            plan.compare(
                base.toString(), tuned.toString(), Optional.empty(), name -> true, Map.of());
        List<Descriptions.Item> items =
            sides.items(true, Optional.of(GeometryOptions.DEFAULT), Set.of());
        for (String line : UnitJob.encode(plan.units(items))) {
          bytes += line.length();
          units++;
        }
      }
      System.out.printf(
          Locale.ROOT,
          "plan of %d tensors\t%.2f\t%d tasks, %.1f MB of descriptions%n",
          tensors,
          (System.nanoTime() - begin) * 1e-9,
          units,
          bytes * 1e-6);
    }
  }
}
