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
 * @param hidden width of the residual stream
 * @param heads attention heads
 * @param linear heads of linear attention
 * @param experts number of experts of a layer, where a file stores them as one matrix
 * @param embeddings whether the output head is the input embedding
 * @param quantization how the weights are quantized
 */
public record ModelConfig(
    String modelType,
    OptionalInt layers,
    OptionalInt hidden,
    AttentionHeads heads,
    Optional<LinearHeads> linear,
    OptionalInt experts,
    Embeddings embeddings,
    Quantization quantization) {
  /** Whether the output head is the input embedding. */
  public enum Embeddings {
    /** The output head is the embedding. */
    TIED,
    /** The output head is a matrix of its own. */
    SEPARATE,
    /** The configuration does not say, and its family has no known default. */
    UNSTATED;

    /**
     * {@return whether the output head is the embedding}
     *
     * @param stored whether the checkpoint stores an output head
     */
    public boolean areTied(boolean stored) {
      return this == TIED || this == UNSTATED && !stored;
    }
  }

  private static final String TIE = "tie_word_embeddings";
  private static final String MODEL_OPT = "hf_quant_config.json";
  private static final int MOST_EXPERTS = 1 << 16;
  private static final int MOST_LAYERS = 1 << 16;
  private static final int WIDEST = 1 << 24;

  /** The configuration of a checkpoint without a {@code config.json}. */
  public static final ModelConfig UNKNOWN =
      new ModelConfig(
          "",
          OptionalInt.empty(),
          OptionalInt.empty(),
          AttentionHeads.UNKNOWN,
          Optional.empty(),
          OptionalInt.empty(),
          Embeddings.UNSTATED,
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
    String type = text.text("model_type").or(() -> root.text("model_type")).orElse("");
    OptionalInt hidden =
        AttentionHeads.size(text, WIDEST, "hidden_size", "n_embd", "d_model", "model_dim");
    Optional<Boolean> tied =
        root.has(TIE) || text.has(TIE)
            ? Optional.of(root.flag(TIE, text.flag(TIE, false)))
            : DefaultEmbeddings.areTied(type);
    return new ModelConfig(
        type,
        AttentionHeads.size(
            text, MOST_LAYERS, "num_hidden_layers", "n_layer", "n_layers", "num_layers"),
        hidden,
        AttentionHeads.parse(text, type, hidden),
        LinearHeads.parse(text),
        text.value("ffn_config").isObject()
            ? AttentionHeads.size(text.object("ffn_config"), MOST_EXPERTS, "moe_num_experts")
            : OptionalInt.empty(),
        tied.map(own -> own ? Embeddings.TIED : Embeddings.SEPARATE).orElse(Embeddings.UNSTATED),
        Quantization.parse(root));
  }

  private ModelConfig with(Quantization other) {
    return new ModelConfig(modelType, layers, hidden, heads, linear, experts, embeddings, other);
  }
}
