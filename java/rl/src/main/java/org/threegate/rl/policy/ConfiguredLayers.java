package org.threegate.rl.policy;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.function.IntPredicate;
import org.threegate.checkpoint.JsonFields;
import org.threegate.run.InvalidInputException;

/** Reads what differs between the layers of a decoder from {@code config.json}. */
final class ConfiguredLayers {
  private static final int MOST_LAYERS = 10_000;
  private static final int MOST_EXPERTS = 1 << 18; // in all layers
  private static final int MOST_HEADS = 1 << 16;
  private static final int WIDEST = 1 << 24;
  private static final int LONGEST_KERNEL = 1 << 10;
  private static final String FULL = "full_attention";
  private static final String SLIDING = "sliding_attention";
  private static final String LINEAR = "linear_attention";

  // The embeddings of gpt-oss, if the configuration has none.
  private static final JsonNode EXTENDED =
      JsonNodeFactory.instance
          .objectNode()
          .put("rope_type", "yarn")
          .put("factor", 32.0)
          .put("beta_fast", 32.0)
          .put("beta_slow", 1.0)
          .put("truncate", false)
          .put("original_max_position_embeddings", 4096);

  private ConfiguredLayers() {}

  /**
   * Returns how the tokens of each layer see each other.
   *
   * @param rotated the dimensions of a head that rotary embeddings turn
   */
  static List<Mixer> mixers(JsonFields config, DecoderFamily family, int positions, int rotated) {
    List<String> types =
        types(config, family, config.requiredInteger("num_hidden_layers", 1, MOST_LAYERS));
    int window = family.isHybrid() ? 0 : window(config, family);
    Mixer full = new Mixer.Attention(0, rotary(config, family, positions, rotated, FULL));
    Mixer sliding =
        new Mixer.Attention(window, rotary(config, family, positions, rotated, SLIDING));
    Optional<Mixer> linear =
        types.contains(LINEAR) ? Optional.of(deltaRule(config, family)) : Optional.empty();
    return types.stream()
        .map(type -> type.equals(SLIDING) ? sliding : type.equals(FULL) ? full : linear.get())
        .toList();
  }

  private static Mixer deltaRule(JsonFields config, DecoderFamily family) {
    int keys = config.integer("linear_num_key_heads", 1, MOST_HEADS).orElse(16);
    int values = config.integer("linear_num_value_heads", 1, MOST_HEADS).orElse(32);
    if (values % keys != 0) {
      throw config.refused("linear_num_value_heads", "a multiple of linear_num_key_heads " + keys);
    }
    return new Mixer.DeltaRule(
        keys,
        values,
        config.integer("linear_key_head_dim", 1, WIDEST).orElse(128),
        config.integer("linear_value_head_dim", 1, WIDEST).orElse(128),
        config.integer("linear_conv_kernel_dim", 2, LONGEST_KERNEL).orElse(4),
        family == DecoderFamily.QWEN3_NEXT
            ? Mixer.Projections.GROUPED
            : Mixer.Projections.SEPARATE);
  }

  private static Rotary rotary(
      JsonFields config, DecoderFamily family, int positions, int rotated, String type) {
    return switch (family) {
      case LLAMA, MISTRAL, QWEN2, QWEN3, QWEN3_MOE, QWEN3_5, QWEN3_5_MOE, QWEN3_NEXT ->
          Rotary.parse(
              Rotary.parameters(config),
              config,
              new Rotary.Base("rope_theta", 10000),
              positions,
              rotated);
      case GEMMA3 -> {
        boolean full = type.equals(FULL);
        JsonFields all = config.object(Rotary.PARAMETERS);
        if (all.has("rope_type")) {
          throw config.refused(Rotary.PARAMETERS, "an object with one object for each layer type");
        }
        JsonFields own =
            full && !config.has(Rotary.PARAMETERS) ? Rotary.parameters(config) : all.object(type);
        yield Rotary.parse(
            own,
            config,
            full
                ? new Rotary.Base("rope_theta", 1e6)
                : new Rotary.Base("rope_local_base_freq", 1e4),
            positions,
            Rotary.rotated(own, config, rotated, 1, false));
      }
      case GPT_OSS -> {
        JsonFields own = Rotary.parameters(config);
        yield Rotary.parse(
            own.names().isEmpty() ? JsonFields.of(EXTENDED, config.where()) : own,
            config,
            new Rotary.Base("rope_theta", 150000),
            positions,
            rotated);
      }
    };
  }

  /** Returns the feed-forward network of each layer. */
  static List<FeedForward> networks(JsonFields config, DecoderFamily family, int layers) {
    FeedForward.Gating gating = family.gating(config);
    return switch (family) {
      case LLAMA, MISTRAL, QWEN2, QWEN3, QWEN3_5, GEMMA3 ->
          Collections.nCopies(layers, dense(config, gating));
      case QWEN3_MOE, QWEN3_NEXT -> {
        int every = config.integer("decoder_sparse_step", 1, MOST_LAYERS).orElse(1);
        Set<Integer> plain = new HashSet<>(config.integers("mlp_only_layers", 0, MOST_LAYERS));
        boolean next = family == DecoderFamily.QWEN3_NEXT;
        boolean normalized = config.flag("norm_topk_prob", next);
        int count = experts(config, layers, 0);
        FeedForward dense = dense(config, gating);
        List<FeedForward> networks = new ArrayList<>();
        for (int i = 0; i < layers; i++) {
          networks.add(
              count == 0 || (i + 1) % every != 0 || plain.contains(i)
                  ? dense
                  : new FeedForward.Experts(
                      config.requiredInteger("moe_intermediate_size", 1, WIDEST),
                      count,
                      config.requiredInteger("num_experts_per_tok", 1, count),
                      normalized
                          ? FeedForward.Routing.NORMALIZED_SHARES
                          : FeedForward.Routing.SHARES,
                      gating,
                      FeedForward.Layout.SEPARATE,
                      next ? shared(config) : 0));
        }
        yield networks;
      }
      case QWEN3_5_MOE -> {
        int count = experts(config, layers, 1);
        yield Collections.nCopies(
            layers,
            new FeedForward.Experts(
                config.requiredInteger("moe_intermediate_size", 1, WIDEST),
                count,
                config.requiredInteger("num_experts_per_tok", 1, count),
                FeedForward.Routing.NORMALIZED_SHARES,
                gating,
                FeedForward.Layout.SEPARATE,
                shared(config)));
      }
      case GPT_OSS -> {
        int count = experts(config, layers, 1);
        yield Collections.nCopies(
            layers,
            new FeedForward.Experts(
                config.requiredInteger("intermediate_size", 1, WIDEST),
                count,
                config.requiredInteger("num_experts_per_tok", 1, count),
                FeedForward.Routing.CHOSEN,
                gating,
                FeedForward.Layout.TRANSPOSED,
                0));
      }
    };
  }

  private static FeedForward dense(JsonFields config, FeedForward.Gating gating) {
    return new FeedForward.Dense(
        config.requiredInteger("intermediate_size", 1, WIDEST),
        config.flag("mlp_bias", false),
        gating);
  }

  /** Returns the width of the expert that all tokens share. */
  private static int shared(JsonFields config) {
    return config.requiredInteger("shared_expert_intermediate_size", 1, WIDEST);
  }

  /** Returns the number of experts of a layer, which newer files call num_local_experts. */
  private static int experts(JsonFields config, int layers, int least) {
    String name = config.has("num_local_experts") ? "num_local_experts" : "num_experts";
    return config.requiredInteger(name, least, MOST_EXPERTS / layers);
  }

  /** Returns the types of the layers. */
  private static List<String> types(JsonFields config, DecoderFamily family, int layers) {
    JsonNode given = config.value("layer_types");
    if (!given.isMissingNode() && (!given.isArray() || given.size() != layers)) {
      throw config.refused("layer_types", "a list of " + layers + " types, one per layer");
    }
    Set<String> known = family.isHybrid() ? Set.of(FULL, LINEAR) : Set.of(FULL, SLIDING);
    IntPredicate others = family.isHybrid() ? linear(config) : slides(config, family);
    String other = family.isHybrid() ? LINEAR : SLIDING;
    List<String> types = new ArrayList<>();
    for (int i = 0; i < layers; i++) {
      String type = given.path(i).asText(others.test(i) ? other : FULL);
      if (!known.contains(type)) {
        throw new InvalidInputException(
            config.where() + ": layer_types \"" + type + "\" is not supported");
      }
      if (type.equals(SLIDING) && window(config, family) == 0) {
        throw config.refused("sliding_window", "1 or more with sliding_attention layers");
      }
      types.add(type);
    }
    return types;
  }

  private static int window(JsonFields config, DecoderFamily family) {
    return config
        .integer("sliding_window", 0, Integer.MAX_VALUE)
        .orElse(config.names().contains("sliding_window") ? 0 : family.window());
  }

  /** Returns which layers have linear attention, if the configuration does not list the types. */
  private static IntPredicate linear(JsonFields config) {
    int every = config.integer("full_attention_interval", 1, MOST_LAYERS).orElse(4);
    return layer -> (layer + 1) % every != 0;
  }

  /** Returns which layers have a window, if the configuration does not list the types of layers. */
  private static IntPredicate slides(JsonFields config, DecoderFamily family) {
    int window = window(config, family);
    boolean asked = window > 0 && config.flag("use_sliding_window", false);
    return switch (family) {
      case MISTRAL -> layer -> window > 0;
      case LLAMA, QWEN2, QWEN3 -> {
        int first = config.integer("max_window_layers", 0, Integer.MAX_VALUE).orElse(0);
        yield layer -> asked && layer >= first;
      }
      case QWEN3_MOE -> layer -> asked;
      case GEMMA3 -> {
        int every = config.integer("sliding_window_pattern", 1, MOST_LAYERS).orElse(6);
        yield layer -> (layer + 1) % every != 0;
      }
      case GPT_OSS -> layer -> layer % 2 == 0;
      case QWEN3_5, QWEN3_5_MOE, QWEN3_NEXT -> layer -> false;
    };
  }
}
