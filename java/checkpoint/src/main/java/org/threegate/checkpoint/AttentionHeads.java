package org.threegate.checkpoint;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.MissingNode;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;

/**
 * The attention heads of a model, from its configuration.
 *
 * @param queries number of query heads, at most 65,536
 * @param keyValues number of key and value heads; by default, that of query heads
 * @param dimension rows of a head of queries and keys; by default, the hidden size over the query
 *     heads
 * @param valueDimension rows of a head of values; by default, {@code dimension}
 * @param unrotated rows of a head of keys that multi-head latent attention computes from the latent
 *     vector; empty for other attention
 * @param fused order of heads in a fused matrix
 * @param byLayer layers with other heads than most
 */
public record AttentionHeads(
    OptionalInt queries,
    OptionalInt keyValues,
    OptionalInt dimension,
    OptionalInt valueDimension,
    OptionalInt unrotated,
    FusedHeads fused,
    Map<Integer, OfLayer> byLayer) {
  /** The order of heads in a matrix that holds queries, keys and values. */
  public enum FusedHeads {
    /** All queries, then all keys, then all values. */
    CONCATENATED,
    /** For each key-value head: its queries, its key, its value. */
    GROUPED,
    /** For each quarter of the heads: queries, values, keys, as in CodeGen. */
    QUARTERS
  }

  /**
   * The heads of one layer.
   *
   * @param queries number of query heads
   * @param keyValues number of key and value heads
   * @param dimension rows of a head of queries and keys
   * @param valueDimension rows of a head of values
   */
  public record OfLayer(int queries, int keyValues, int dimension, int valueDimension) {}

  /** The heads of a model whose configuration is not known. */
  public static final AttentionHeads UNKNOWN =
      new AttentionHeads(
          OptionalInt.empty(),
          OptionalInt.empty(),
          OptionalInt.empty(),
          OptionalInt.empty(),
          OptionalInt.empty(),
          FusedHeads.CONCATENATED,
          Map.of());

  private static final int MOST_HEADS = 1 << 16;
  private static final int MOST_LAYERS = 1 << 16;
  private static final int WIDEST = 1 << 24;
  private static final String SLIDING = "sliding_attention";
  private static final String[] QUERIES_BY_LAYER = {
    "num_attention_heads_per_layer", "num_attention_heads", "num_query_heads"
  };

  /** Copies the map. */
  public AttentionHeads {
    byLayer = Map.copyOf(byLayer);
  }

  /** {@return the heads of most layers, if the configuration states them} */
  public Optional<OfLayer> ofMost() {
    return common(queries, keyValues, dimension, valueDimension);
  }

  /**
   * {@return the heads of a layer, if the configuration states them}
   *
   * @param layer number of the layer
   */
  public Optional<OfLayer> ofLayer(int layer) {
    return Optional.ofNullable(byLayer.get(layer)).or(this::ofMost);
  }

  private static Optional<OfLayer> common(
      OptionalInt queries, OptionalInt keyValues, OptionalInt dimension, OptionalInt values) {
    return queries.isPresent() && keyValues.isPresent() && dimension.isPresent()
        ? Optional.of(
            new OfLayer(
                queries.getAsInt(),
                keyValues.getAsInt(),
                dimension.getAsInt(),
                values.orElse(dimension.getAsInt())))
        : Optional.empty();
  }

  /** Reads the fields of the language model of a configuration. */
  static AttentionHeads parse(JsonFields text, String type, OptionalInt hidden) {
    OptionalInt queries =
        size(text, MOST_HEADS, "num_attention_heads", "n_head", "n_heads", "num_heads");
    int first = entry(list(text, QUERIES_BY_LAYER).path(0), MOST_HEADS, 0);
    if (queries.isEmpty() && first > 0) {
      queries = OptionalInt.of(first);
    }
    boolean grouped = text.flag("new_decoder_architecture", false);
    // Falcon and GPT-BigCode have one key-value head unless they say otherwise.
    boolean shared =
        (type.equals("falcon") || type.equals("gpt_bigcode"))
            && text.flag("multi_query", true)
            && !grouped;
    boolean perQuery =
        switch (type) {
          case "gpt2", "gpt_neo", "gpt_neox", "gptj", "gpt_bigcode", "bloom", "mpt", "opt" -> true;
          case "codegen" -> true;
          case "falcon" -> !grouped;
          default -> false;
        };
    OptionalInt stated = size(text, MOST_HEADS, "num_key_value_heads", "num_kv_heads");
    if (stated.isEmpty() && text.value("attn_config").isObject()) {
      stated = size(text.object("attn_config"), MOST_HEADS, "kv_n_heads"); // DBRX
    }
    OptionalInt keyValues = perQuery || stated.isEmpty() ? queries : stated;
    if (shared) {
      keyValues = OptionalInt.of(1); // whatever a configuration of these families says beside it
    }
    OptionalInt dimension = size(text, WIDEST, "head_dim", "kv_channels");
    if (dimension.isEmpty()
        && queries.isPresent()
        && hidden.isPresent()
        && hidden.getAsInt() >= queries.getAsInt()) {
      dimension = OptionalInt.of(hidden.getAsInt() / queries.getAsInt());
    }
    OptionalInt values = size(text, WIDEST, "v_head_dim");
    OptionalInt unrotated = OptionalInt.empty();
    // DeepSeek-V4 has a latent vector for queries only.
    if (size(text, WIDEST, "kv_lora_rank").isPresent() && !type.equals("deepseek_v4")) {
      unrotated = size(text, WIDEST, "qk_nope_head_dim");
      OptionalInt rotated = size(text, WIDEST, "qk_rope_head_dim");
      if (unrotated.isPresent() && rotated.isPresent()) {
        dimension = OptionalInt.of(unrotated.getAsInt() + rotated.getAsInt());
      }
    }
    return new AttentionHeads(
        queries,
        keyValues,
        dimension,
        values,
        unrotated,
        fused(type, shared),
        byLayer(text, common(queries, keyValues, dimension, values)));
  }

  private static FusedHeads fused(String type, boolean shared) {
    return switch (type) {
      case "gpt_neox", "bloom", "minimax", "internlm2" -> FusedHeads.GROUPED;
      case "falcon", "gpt_bigcode" -> shared ? FusedHeads.CONCATENATED : FusedHeads.GROUPED;
      case "codegen" -> FusedHeads.QUARTERS;
      default -> FusedHeads.CONCATENATED;
    };
  }

  /** Returns the layers whose heads are others than those of most layers. */
  private static Map<Integer, OfLayer> byLayer(JsonFields text, Optional<OfLayer> common) {
    Map<Integer, OfLayer> own = new LinkedHashMap<>();
    if (common.isEmpty()) {
      return own;
    }
    OfLayer most = common.get();
    kindsOfLayers(text, most, own);
    lists(text, most, own);
    JsonNode perLayer = text.value("per_layer_config");
    perLayer
        .properties()
        .forEach(
            layer -> {
              if (layer.getKey().matches("[0-9]{1,5}")) {
                int index = Integer.parseInt(layer.getKey());
                JsonNode fields = layer.getValue();
                own.put(
                    index,
                    new OfLayer(
                        entry(fields.path("num_attention_heads"), MOST_HEADS, most.queries()),
                        entry(fields.path("num_key_value_heads"), MOST_HEADS, most.keyValues()),
                        entry(fields.path("head_dim"), WIDEST, most.dimension()),
                        valueDimension(fields, most)));
              }
            });
    return own;
  }

  private static int valueDimension(JsonNode fields, OfLayer most) {
    int otherwise =
        most.valueDimension() == most.dimension()
            ? entry(fields.path("head_dim"), WIDEST, most.dimension())
            : most.valueDimension();
    return entry(fields.path("v_head_dim"), WIDEST, otherwise);
  }

  /** Gemma 4 states the heads of layers that attend to all tokens, MiMo those of the others. */
  private static void kindsOfLayers(JsonFields text, OfLayer most, Map<Integer, OfLayer> own) {
    OptionalInt global = size(text, WIDEST, "global_head_dim");
    if (global.isPresent()) {
      int dimension = global.getAsInt();
      int keyValues = size(text, MOST_HEADS, "num_global_key_value_heads").orElse(most.keyValues());
      layers(text, "full_attention")
          .forEach(
              (layer, is) -> {
                if (is) {
                  own.put(layer, new OfLayer(most.queries(), keyValues, dimension, dimension));
                }
              });
    }
    OptionalInt sliding = size(text, MOST_HEADS, "swa_num_key_value_heads");
    OptionalInt width = size(text, WIDEST, "swa_head_dim");
    if (sliding.isPresent() || width.isPresent()) {
      int dimension = width.orElse(most.dimension());
      OfLayer heads =
          new OfLayer(
              size(text, MOST_HEADS, "swa_num_attention_heads").orElse(most.queries()),
              sliding.orElse(most.keyValues()),
              dimension,
              size(text, WIDEST, "swa_v_head_dim").orElse(dimension));
      layers(text, SLIDING)
          .forEach(
              (layer, is) -> {
                if (is) {
                  own.put(layer, heads);
                }
              });
    }
  }

  /** Returns for each layer whether it is of a type. MiMo writes 1 for sliding attention. */
  private static Map<Integer, Boolean> layers(JsonFields text, String type) {
    Map<Integer, Boolean> layers = new LinkedHashMap<>();
    JsonNode types = text.value("layer_types");
    boolean numbers = !types.isArray();
    int layer = 0;
    for (JsonNode own : numbers ? text.value("hybrid_layer_pattern") : types) {
      if (layer < MOST_LAYERS) {
        boolean is =
            numbers ? (own.asInt(0) == 1) == type.equals(SLIDING) : own.asText().equals(type);
        layers.put(layer++, is);
      }
    }
    return layers;
  }

  /** Takes the sizes that a configuration lists for each layer. */
  private static void lists(JsonFields text, OfLayer most, Map<Integer, OfLayer> own) {
    JsonNode queries = list(text, QUERIES_BY_LAYER);
    JsonNode keyValues = list(text, "num_key_value_heads", "num_kv_heads");
    int layers = Math.min(MOST_LAYERS, Math.max(queries.size(), keyValues.size()));
    for (int layer = 0; layer < layers; layer++) {
      OfLayer before = own.getOrDefault(layer, most);
      own.put(
          layer,
          new OfLayer(
              entry(queries.path(layer), MOST_HEADS, before.queries()),
              entry(keyValues.path(layer), MOST_HEADS, before.keyValues()),
              before.dimension(),
              before.valueDimension()));
    }
  }

  private static JsonNode list(JsonFields text, String... names) {
    for (String name : names) {
      if (text.value(name).isArray()) {
        return text.value(name);
      }
    }
    return MissingNode.getInstance();
  }

  private static int entry(JsonNode value, int most, int otherwise) {
    boolean fits = value.canConvertToInt() && value.intValue() > 0 && value.intValue() <= most;
    return fits ? value.intValue() : otherwise;
  }

  /** Returns the first field with a size. A list, with a size for each layer, is skipped. */
  static OptionalInt size(JsonFields fields, int most, String... names) {
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
}
