package org.threegate.spark;

import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.stream.Collectors;
import org.threegate.checkpoint.SafetensorsWriter;
import org.threegate.checkpoint.TensorType;

/** Writes checkpoints in shards, with linear layers, norms and three-dimensional experts. */
final class Models {
  private static final int SHARDS = 3;

  private Models() {}

  private static Map<String, List<Long>> shapes(int layers, long width) {
    Map<String, List<Long>> shapes = new LinkedHashMap<>();
    shapes.put("model.embed_tokens.weight", List.of(3 * width, width));
    for (int layer = 0; layer < layers; layer++) {
      String prefix = "model.layers." + layer + ".";
      shapes.put(prefix + "input_layernorm.weight", List.of(width));
      shapes.put(prefix + "self_attn.q_proj.weight", List.of(width, width));
      shapes.put(prefix + "self_attn.o_proj.weight", List.of(width, width));
      shapes.put(prefix + "mlp.experts.gate_up_proj", List.of(3L, width, 2 * width));
      shapes.put(prefix + "mlp.down_proj.weight", List.of(width, 2 * width));
    }
    return shapes;
  }

  /**
   * Writes a checkpoint.
   *
   * @param step the size of a random update of the weights that {@code seed} gives, or 0
   */
  static Path write(Path directory, int layers, long width, double step, long seed)
      throws IOException {
    Files.createDirectories(directory);
    List<SafetensorsWriter> shards = new ArrayList<>();
    for (int i = 0; i < SHARDS; i++) {
      shards.add(new SafetensorsWriter());
    }
    Map<String, String> index = new LinkedHashMap<>();
    int number = 0;
    for (Map.Entry<String, List<Long>> tensor : shapes(layers, width).entrySet()) {
      int elements = tensor.getValue().stream().reduce(1L, Math::multiplyExact).intValue();
      Random base = new Random(seed + number);
      Random update = new Random(~(seed + number));
      ByteBuffer bytes = ByteBuffer.allocate(2 * elements).order(ByteOrder.LITTLE_ENDIAN);
      for (int i = 0; i < elements; i++) {
        double value = base.nextGaussian() * 0.02 + step * update.nextGaussian();
        bytes.putShort((short) (Float.floatToIntBits((float) value) >>> 16));
      }
      int shard = number++ % SHARDS;
      shards.get(shard).tensor(tensor.getKey(), TensorType.BF16, tensor.getValue(), bytes.array());
      index.put(tensor.getKey(), shard(shard));
    }
    for (int i = 0; i < SHARDS; i++) {
      shards.get(i).write(directory.resolve(shard(i)));
    }
    Files.writeString(
        directory.resolve("model.safetensors.index.json"),
        index.entrySet().stream()
            .map(entry -> "\"" + entry.getKey() + "\":\"" + entry.getValue() + "\"")
            .collect(Collectors.joining(",", "{\"weight_map\":{", "}}")));
    Files.writeString(
        directory.resolve("config.json"),
        "{\"model_type\":\"qwen3_moe\",\"hidden_size\":"
            + width
            + ",\"num_attention_heads\":4,\"num_key_value_heads\":4}");
    return directory;
  }

  static String shard(int number) {
    return "model-0000" + (number + 1) + "-of-0000" + SHARDS + ".safetensors";
  }

  /** Cuts off the end of a shard. */
  static void truncate(Path model, int shard) throws IOException {
    try (RandomAccessFile file = new RandomAccessFile(model.resolve(shard(shard)).toFile(), "rw")) {
      file.setLength(file.length() - 100);
    }
  }

  /** Writes a LoRA adapter of a query projection. */
  static Path adapter(Path directory, int width) throws IOException {
    Files.createDirectories(directory);
    Random random = new Random(3);
    SafetensorsWriter writer = new SafetensorsWriter();
    int rank = 4;
    for (String factor : List.of("lora_A", "lora_B")) {
      ByteBuffer bytes = ByteBuffer.allocate(4 * rank * width).order(ByteOrder.LITTLE_ENDIAN);
      for (int i = 0; i < rank * width; i++) {
        bytes.putFloat((float) (random.nextGaussian() * 0.01));
      }
      writer.tensor(
          "base_model.model.model.layers.0.self_attn.q_proj." + factor + ".weight",
          TensorType.F32,
          factor.equals("lora_A")
              ? List.of((long) rank, (long) width)
              : List.of((long) width, (long) rank),
          bytes.array());
    }
    writer.write(directory.resolve("adapter_model.safetensors"));
    Files.writeString(
        directory.resolve("adapter_config.json"),
        "{\"peft_type\":\"LORA\",\"r\":4,\"lora_alpha\":8,\"target_modules\":[\"q_proj\"]}");
    return directory;
  }
}
