package org.threegate.checkpoint;

import java.nio.file.Path;
import java.util.Optional;
import java.util.OptionalInt;
import org.threegate.file.InputFiles;
import org.threegate.run.InvalidInputException;

/**
 * The shapes of a model, from a Hugging Face {@code config.json}. Values that are missing, zero or
 * in an unknown layout are empty. Impossible values are refused.
 *
 * @param modelType name of the model family; "" if unknown
 * @param layers number of layers
 * @param attentionHeads number of query heads, at most 65,536
 * @param keyValueHeads number of key and value heads; by default, that of query heads
 * @param headDimension elements of a head; by default, the hidden size over the query heads
 * @param tiedEmbeddings whether the output head is the input embedding
 * @param quantization how the weights are quantized
 */
public record ModelConfig(
    String modelType,
    OptionalInt layers,
    OptionalInt attentionHeads,
    OptionalInt keyValueHeads,
    OptionalInt headDimension,
    boolean tiedEmbeddings,
    Quantization quantization) {
  private static final String MODEL_OPT = "hf_quant_config.json";
  private static final int MOST_HEADS = 1 << 16;
  private static final int MOST_LAYERS = 1 << 16;
  private static final int WIDEST = 1 << 24;

  /** The configuration of a checkpoint without a {@code config.json}. */
  public static final ModelConfig UNKNOWN =
      new ModelConfig(
          "",
          OptionalInt.empty(),
          OptionalInt.empty(),
          OptionalInt.empty(),
          OptionalInt.empty(),
          false,
          Quantization.NONE);

  /**
   * Reads the {@code config.json} of a directory, if it has one.
   *
   * @param directory directory of a model
   * @return the configuration; empty if there is no such file
   * @throws InvalidInputException if the file is not a JSON object, or has an impossible size
   */
  public static Optional<ModelConfig> read(Path directory) {
    Path path = directory.resolve("config.json");
    if (!InputFiles.isThere(path)) {
      return Optional.empty();
    }
    ModelConfig config = parse(JsonFields.read(path));
    Path modelOpt = directory.resolve(MODEL_OPT);
    boolean stated = !config.quantization().method().isEmpty() || !InputFiles.isThere(modelOpt);
    return Optional.of(
        stated ? config : config.with(Quantization.parseModelOpt(JsonFields.read(modelOpt))));
  }

  static ModelConfig parse(JsonFields root) {
    JsonFields text = root.value("text_config").isObject() ? root.object("text_config") : root;
    OptionalInt heads = size(text, MOST_HEADS, "num_attention_heads", "n_head");
    OptionalInt hidden = size(text, WIDEST, "hidden_size", "n_embd");
    OptionalInt keyValueHeads = size(text, MOST_HEADS, "num_key_value_heads");
    OptionalInt headDimension = size(text, WIDEST, "head_dim");
    if (headDimension.isEmpty()
        && heads.isPresent()
        && hidden.isPresent()
        && hidden.getAsInt() >= heads.getAsInt()) {
      headDimension = OptionalInt.of(hidden.getAsInt() / heads.getAsInt());
    }
    return new ModelConfig(
        text.text("model_type").or(() -> root.text("model_type")).orElse(""),
        size(text, MOST_LAYERS, "num_hidden_layers", "n_layer"),
        heads,
        keyValueHeads.isPresent() ? keyValueHeads : heads,
        headDimension,
        root.flag("tie_word_embeddings", text.flag("tie_word_embeddings", false)),
        Quantization.parse(root));
  }

  /** Returns the first field with a size. A list, with a size for each layer, is skipped. */
  private static OptionalInt size(JsonFields fields, int most, String... names) {
    for (String name : names) {
      if (!fields.value(name).isContainerNode()) {
        OptionalInt size = fields.integer(name, 0, most);
        if (size.isPresent() && size.getAsInt() > 0) {
          return size;
        }
      }
    }
    return OptionalInt.empty();
  }

  private ModelConfig with(Quantization other) {
    return new ModelConfig(
        modelType, layers, attentionHeads, keyValueHeads, headDimension, tiedEmbeddings, other);
  }
}
