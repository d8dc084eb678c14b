package org.threegate.checkpoint;

import com.fasterxml.jackson.databind.JsonNode;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;
import java.util.OptionalInt;

/**
 * What a Hugging Face {@code config.json} says about the shapes of a model. Anything may be
 * missing; what is missing is not guessed.
 *
 * @param attentionHeads query heads
 * @param keyValueHeads key and value heads; the query heads where the file does not say
 * @param headDimension entries of a head; hidden size over heads where the file does not say
 * @param tiedEmbeddings the output head is the input embedding
 * @param blockRows rows of a block that shares a scale, in a block-scaled FP8 checkpoint
 */
public record ModelConfig(
    String modelType,
    OptionalInt layers,
    OptionalInt attentionHeads,
    OptionalInt keyValueHeads,
    OptionalInt headDimension,
    boolean tiedEmbeddings,
    int blockRows,
    int blockColumns) {
  private static final int DEFAULT_BLOCK = 128;

  /** Of a checkpoint without a config.json. */
  public static final ModelConfig UNKNOWN =
      new ModelConfig(
          "",
          OptionalInt.empty(),
          OptionalInt.empty(),
          OptionalInt.empty(),
          OptionalInt.empty(),
          false,
          DEFAULT_BLOCK,
          DEFAULT_BLOCK);

  /** Reads {@code config.json} of a directory, if it is there. */
  public static Optional<ModelConfig> read(Path directory) {
    Path path = directory.resolve("config.json");
    return Files.isRegularFile(path) ? Optional.of(parse(Json.readObject(path))) : Optional.empty();
  }

  static ModelConfig parse(JsonNode root) {
    JsonNode text = root.path("text_config").isObject() ? root.path("text_config") : root;
    OptionalInt heads = integer(text, "num_attention_heads", "n_head");
    OptionalInt hidden = integer(text, "hidden_size", "n_embd");
    OptionalInt keyValueHeads = integer(text, "num_key_value_heads");
    OptionalInt headDimension = integer(text, "head_dim");
    if (headDimension.isEmpty() && heads.isPresent() && hidden.isPresent()) {
      headDimension = OptionalInt.of(hidden.getAsInt() / heads.getAsInt());
    }
    JsonNode block = root.path("quantization_config").path("weight_block_size");
    return new ModelConfig(
        text.path("model_type").asText(root.path("model_type").asText("")),
        integer(text, "num_hidden_layers", "n_layer"),
        heads,
        keyValueHeads.isPresent() ? keyValueHeads : heads,
        headDimension,
        root.path("tie_word_embeddings")
            .asBoolean(text.path("tie_word_embeddings").asBoolean(false)),
        Math.max(1, block.path(0).asInt(DEFAULT_BLOCK)),
        Math.max(1, block.path(1).asInt(DEFAULT_BLOCK)));
  }

  /** The first of the fields that holds a positive number. */
  private static OptionalInt integer(JsonNode node, String... names) {
    for (String name : names) {
      if (node.path(name).asInt(0) > 0) {
        return OptionalInt.of(node.path(name).asInt());
      }
    }
    return OptionalInt.empty();
  }
}
