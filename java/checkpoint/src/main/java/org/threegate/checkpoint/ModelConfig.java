package org.threegate.checkpoint;

import com.fasterxml.jackson.databind.JsonNode;
import java.nio.file.Path;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Set;
import java.util.TreeSet;
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
 * @param fusedHeads order of heads in a fused matrix
 * @param global layers with other heads; empty if all are alike
 * @param quantization how the weights are quantized
 */
public record ModelConfig(
    String modelType,
    OptionalInt layers,
    OptionalInt attentionHeads,
    OptionalInt keyValueHeads,
    OptionalInt headDimension,
    boolean tiedEmbeddings,
    FusedHeads fusedHeads,
    Optional<GlobalAttention> global,
    Quantization quantization) {
  /** The order of heads in a matrix that holds queries, keys and values. */
  public enum FusedHeads {
    /** All queries, then all keys, then all values. */
    CONCATENATED,
    /** For each key-value head: its queries, its key, its value. */
    GROUPED
  }

  /**
   * Layers whose heads have another size than those of the other layers.
   *
   * @param layers numbers of these layers
   * @param keyValueHeads number of their key and value heads
   * @param headDimension elements of their heads
   */
  public record GlobalAttention(Set<Integer> layers, int keyValueHeads, int headDimension) {
    /** Copies the set. */
    public GlobalAttention {
      layers = Set.copyOf(layers);
    }
  }

  private static final String MODEL_OPT = "hf_quant_config.json";
  private static final Set<String> PER_HEAD =
      Set.of("gpt_neox", "bloom", "minimax", "falcon", "gpt_bigcode");
  private static final Set<String> MULTI_HEAD =
      Set.of(
          "gpt2", "gpt_neo", "gpt_neox", "gptj", "gpt_bigcode", "bloom", "mpt", "opt", "codegen");
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
          FusedHeads.CONCATENATED,
          Optional.empty(),
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
    OptionalInt heads =
        size(text, MOST_HEADS, "num_attention_heads", "n_head", "n_heads", "num_heads");
    OptionalInt hidden = size(text, WIDEST, "hidden_size", "n_embd", "d_model");
    boolean grouped = text.flag("new_decoder_architecture", false);
    // Falcon and GPT-BigCode have one key-value head unless they say otherwise.
    boolean shared =
        (type.equals("falcon") || type.equals("gpt_bigcode"))
            && text.flag("multi_query", true)
            && !grouped;
    OptionalInt keyValueHeads = size(text, MOST_HEADS, "num_key_value_heads", "num_kv_heads");
    if (shared) {
      keyValueHeads = OptionalInt.of(1);
    } else if (MULTI_HEAD.contains(type) || type.equals("falcon") && !grouped) {
      keyValueHeads = heads; // whatever a configuration of these families says beside it
    }
    OptionalInt headDimension = size(text, WIDEST, "head_dim");
    if (headDimension.isEmpty()
        && heads.isPresent()
        && hidden.isPresent()
        && hidden.getAsInt() >= heads.getAsInt()) {
      headDimension = OptionalInt.of(hidden.getAsInt() / heads.getAsInt());
    }
    return new ModelConfig(
        type,
        size(text, MOST_LAYERS, "num_hidden_layers", "n_layer"),
        heads,
        keyValueHeads.isPresent() ? keyValueHeads : heads,
        headDimension,
        root.flag("tie_word_embeddings", text.flag("tie_word_embeddings", false)),
        PER_HEAD.contains(type) && !shared ? FusedHeads.GROUPED : FusedHeads.CONCATENATED,
        global(text, keyValueHeads.isPresent() ? keyValueHeads : heads),
        Quantization.parse(root));
  }

  /** Returns the layers of Gemma 4 that attend to all tokens, if their heads differ. */
  private static Optional<GlobalAttention> global(JsonFields text, OptionalInt keyValueHeads) {
    OptionalInt dimension = size(text, WIDEST, "global_head_dim");
    OptionalInt own = size(text, MOST_HEADS, "num_global_key_value_heads");
    if (dimension.isEmpty() || keyValueHeads.isEmpty() || !text.value("layer_types").isArray()) {
      return Optional.empty();
    }
    Set<Integer> layers = new TreeSet<>();
    int layer = 0;
    for (JsonNode kind : text.value("layer_types")) {
      if (kind.asText().equals("full_attention") && layer < MOST_LAYERS) {
        layers.add(layer);
      }
      layer++;
    }
    return Optional.of(
        new GlobalAttention(layers, own.orElse(keyValueHeads.getAsInt()), dimension.getAsInt()));
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
        modelType,
        layers,
        attentionHeads,
        keyValueHeads,
        headDimension,
        tiedEmbeddings,
        fusedHeads,
        global,
        other);
  }
}
