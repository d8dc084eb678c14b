package org.threegate.rl.policy;

import com.fasterxml.jackson.databind.JsonNode;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.OptionalInt;
import org.threegate.checkpoint.InvalidInputException;
import org.threegate.checkpoint.Json;

/**
 * The shape of a decoder of the Llama, Qwen2, Qwen3 or Mistral family, from {@code config.json}.
 *
 * <pre>{@code
 * DecoderConfig config = DecoderConfig.read(Path.of("base"));
 * System.out.println(config.parameters().size() + " tensors");
 * }</pre>
 *
 * @param vocabulary entries
 * @param hidden width of the residual stream
 * @param intermediate width of the feed-forward network
 * @param heads of queries
 * @param keyValueHeads of keys and values; it divides heads
 * @param headDimension of each
 * @param normEpsilon in root mean squares
 * @param positions for which it was made
 * @param windows of each layer, how many tokens one sees, itself among them; 0: all before it
 * @param queryBias of queries, keys and values
 * @param outputBias of the attention's output
 * @param feedForwardBias of the feed-forward network
 * @param queryNorm of each head of queries and keys
 * @param tiedEmbeddings the output head is the input embedding
 * @param begin token that begins a text, if there is one
 * @param padding token that stands where there is none; the first of the end tokens where the file
 *     does not say
 * @param ends tokens that end a text
 */
public record DecoderConfig(
    int vocabulary,
    int hidden,
    int intermediate,
    int layers,
    int heads,
    int keyValueHeads,
    int headDimension,
    double normEpsilon,
    int positions,
    Rotary rotary,
    List<Integer> windows,
    boolean queryBias,
    boolean outputBias,
    boolean feedForwardBias,
    boolean queryNorm,
    boolean tiedEmbeddings,
    OptionalInt begin,
    int padding,
    List<Integer> ends) {
  static final String EMBEDDING = "model.embed_tokens.weight";
  static final String HEAD = "lm_head.weight";
  static final String NORM = "model.norm.weight";

  public DecoderConfig {
    windows = List.copyOf(windows);
    ends = List.copyOf(ends);
  }

  /**
   * @throws InvalidInputException for a model of another family, with the file
   */
  public static DecoderConfig read(Path directory) {
    Path path = directory.resolve("config.json");
    return parse(Json.readObject(path), path.toString());
  }

  static DecoderConfig parse(JsonNode config, String where) {
    String family = config.path("model_type").asText("");
    switch (family) {
      case "llama", "qwen2", "qwen3", "mistral" -> {}
      default ->
          throw new InvalidInputException(
              where
                  + ": model_type \""
                  + family
                  + "\" is not supported; llama, mistral, qwen2 and qwen3 are");
    }
    String activation = config.path("hidden_act").asText("silu");
    if (!activation.equals("silu")) {
      throw new InvalidInputException(
          where + ": hidden_act \"" + activation + "\" is not supported; silu is");
    }
    int hidden = positive(config, "hidden_size", where);
    int heads = positive(config, "num_attention_heads", where);
    int keyValueHeads =
        config.path("num_key_value_heads").isInt()
            ? positive(config, "num_key_value_heads", where)
            : heads;
    if (heads % keyValueHeads != 0) {
      throw new InvalidInputException(
          where
              + ": num_attention_heads "
              + heads
              + " is no multiple of num_key_value_heads "
              + keyValueHeads);
    }
    int headDimension =
        config.path("head_dim").isInt() ? positive(config, "head_dim", where) : hidden / heads;
    if (headDimension % 2 != 0) {
      throw new InvalidInputException(
          where + ": head_dim " + headDimension + " is odd; pairs of it are rotated");
    }
    int layers = positive(config, "num_hidden_layers", where);
    int positions = positive(config, "max_position_embeddings", where);
    boolean biased = config.path("attention_bias").asBoolean(false);
    List<Integer> ends = integers(config.path("eos_token_id"));
    return new DecoderConfig(
        positive(config, "vocab_size", where),
        hidden,
        positive(config, "intermediate_size", where),
        layers,
        heads,
        keyValueHeads,
        headDimension,
        config.path("rms_norm_eps").asDouble(1e-6),
        positions,
        Rotary.parse(config, positions, where),
        windows(config, family, layers, where),
        biased || family.equals("qwen2"),
        biased,
        config.path("mlp_bias").asBoolean(false),
        family.equals("qwen3"),
        config.path("tie_word_embeddings").asBoolean(false),
        config.path("bos_token_id").isInt()
            ? OptionalInt.of(config.path("bos_token_id").asInt())
            : OptionalInt.empty(),
        config.path("pad_token_id").asInt(ends.isEmpty() ? 0 : ends.get(0)),
        ends);
  }

  private static int positive(JsonNode config, String name, String where) {
    int value = config.path(name).asInt(0);
    if (value <= 0) {
      throw new InvalidInputException(
          where + ": " + name + " is " + config.path(name) + "; it must be a positive number");
    }
    return value;
  }

  private static List<Integer> integers(JsonNode node) {
    List<Integer> values = new ArrayList<>();
    if (node.isInt()) {
      values.add(node.asInt());
    }
    node.forEach(value -> values.add(value.asInt()));
    return values;
  }

  private static List<Integer> windows(JsonNode config, String family, int layers, String where) {
    int window = config.path("sliding_window").asInt(0);
    boolean slides =
        window > 0
            && (family.equals("mistral") || config.path("use_sliding_window").asBoolean(false));
    int first = family.equals("mistral") ? 0 : config.path("max_window_layers").asInt(0);
    JsonNode types = config.path("layer_types");
    if (types.isArray() && types.size() != layers) {
      throw new InvalidInputException(
          where + ": layer_types has " + types.size() + " entries for " + layers + " layers");
    }
    List<Integer> windows = new ArrayList<>();
    for (int i = 0; i < layers; i++) {
      String type =
          types.path(i).asText(slides && i >= first ? "sliding_attention" : "full_attention");
      switch (type) {
        case "full_attention" -> windows.add(0);
        case "sliding_attention" -> windows.add(window);
        default ->
            throw new InvalidInputException(
                where + ": layer_types \"" + type + "\" is not supported");
      }
    }
    return windows;
  }

  static String layer(int layer, String name) {
    return "model.layers." + layer + "." + name;
  }

  /** Names and shapes of all parameters, as checkpoints have them. */
  public Map<String, List<Long>> parameters() {
    Map<String, List<Long>> shapes = new LinkedHashMap<>();
    shapes.put(EMBEDDING, List.of((long) vocabulary, (long) hidden));
    for (int i = 0; i < layers; i++) {
      shapes.put(layer(i, "input_layernorm.weight"), List.of((long) hidden));
      int queries = heads * headDimension;
      int keys = keyValueHeads * headDimension;
      linear(shapes, layer(i, "self_attn.q_proj"), queries, hidden, queryBias);
      linear(shapes, layer(i, "self_attn.k_proj"), keys, hidden, queryBias);
      linear(shapes, layer(i, "self_attn.v_proj"), keys, hidden, queryBias);
      linear(shapes, layer(i, "self_attn.o_proj"), hidden, queries, outputBias);
      if (queryNorm) {
        shapes.put(layer(i, "self_attn.q_norm.weight"), List.of((long) headDimension));
        shapes.put(layer(i, "self_attn.k_norm.weight"), List.of((long) headDimension));
      }
      shapes.put(layer(i, "post_attention_layernorm.weight"), List.of((long) hidden));
      linear(shapes, layer(i, "mlp.gate_proj"), intermediate, hidden, feedForwardBias);
      linear(shapes, layer(i, "mlp.up_proj"), intermediate, hidden, feedForwardBias);
      linear(shapes, layer(i, "mlp.down_proj"), hidden, intermediate, feedForwardBias);
    }
    shapes.put(NORM, List.of((long) hidden));
    if (!tiedEmbeddings) {
      shapes.put(HEAD, List.of((long) vocabulary, (long) hidden));
    }
    return shapes;
  }

  private static void linear(
      Map<String, List<Long>> shapes, String name, int outputs, int inputs, boolean biased) {
    shapes.put(name + ".weight", List.of((long) outputs, (long) inputs));
    if (biased) {
      shapes.put(name + ".bias", List.of((long) outputs));
    }
  }
}
