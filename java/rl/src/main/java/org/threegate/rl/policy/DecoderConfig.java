package org.threegate.rl.policy;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.OptionalInt;
import java.util.Set;
import java.util.function.IntPredicate;
import java.util.stream.Stream;
import org.threegate.checkpoint.JsonFields;
import org.threegate.file.InputFiles;
import org.threegate.run.InvalidInputException;

/**
 * The architecture of a decoder, as read from {@code config.json}. The families are those of {@code
 * model_type} gemma3_text, gpt_oss, llama, mistral, qwen2, qwen3 and qwen3_moe.
 *
 * <pre>{@code
 * DecoderConfig config = DecoderConfig.read(Path.of("base"));
 * System.out.println(config.parameters().size() + " tensors");
 * }</pre>
 *
 * @param vocabulary the number of tokens of the vocabulary ({@code vocab_size})
 * @param hidden the width of the residual stream ({@code hidden_size})
 * @param positions the maximal number of positions ({@code max_position_embeddings})
 * @param norm the norms
 * @param normalizesOutputs whether the outputs of attention and feed-forward networks are
 *     normalized, as their inputs are
 * @param embeddingScale the factor of the input embeddings, 1 or √hidden
 * @param attention the attention of all layers
 * @param layers what differs between layers
 * @param tiedEmbeddings whether the output head is the input embedding
 * @param tokens the tokens with a meaning of their own
 */
public record DecoderConfig(
    int vocabulary,
    int hidden,
    int positions,
    RmsNorm norm,
    boolean normalizesOutputs,
    double embeddingScale,
    Attention attention,
    List<Layer> layers,
    boolean tiedEmbeddings,
    SpecialTokens tokens) {
  /** Copies the list. */
  public DecoderConfig {
    layers = List.copyOf(layers);
  }

  /**
   * The attention of a decoder.
   *
   * @param heads the number of query heads ({@code num_attention_heads})
   * @param keyValueHeads the number of key and value heads, which divides {@code heads} ({@code
   *     num_key_value_heads})
   * @param headDimension the width of a head ({@code head_dim})
   * @param scale the factor of products of queries and keys
   * @param queryBias whether queries, keys and values have a bias
   * @param outputBias whether the output projection has a bias
   * @param queryNorm whether each head of queries and keys is normalized
   * @param sinks whether each head has a logit to which attention may go without effect
   */
  public record Attention(
      int heads,
      int keyValueHeads,
      int headDimension,
      double scale,
      boolean queryBias,
      boolean outputBias,
      boolean queryNorm,
      boolean sinks) {}

  /**
   * A layer.
   *
   * @param window the attention window in tokens, including the token itself; 0 is full attention
   * @param rotary the rotary position embeddings
   * @param feedForward the feed-forward network
   */
  public record Layer(int window, Rotary rotary, FeedForward feedForward) {}

  /**
   * Tokens with a meaning of their own.
   *
   * @param begin the token that begins a text, if there is one
   * @param padding the padding token. It is the first end token when the file has none, or has -1
   * @param ends the tokens that end a text
   */
  public record SpecialTokens(OptionalInt begin, int padding, List<Integer> ends) {
    /** Copies the list. */
    public SpecialTokens {
      ends = List.copyOf(ends);
    }
  }

  static final String EMBEDDING = "model.embed_tokens.weight";
  static final String HEAD = "lm_head.weight";
  static final String NORM = "model.norm.weight";
  static final String SINKS = "self_attn.sinks";
  static final String MLP = "mlp.";
  static final String EXPERTS = MLP + "experts.";

  private static final String ENDS = "eos_token_id";
  private static final int MOST_LAYERS = 10_000;
  private static final int MOST_HEADS = 1 << 16;
  private static final int MOST_EXPERTS = 1 << 18; // in all layers
  private static final int WIDEST = 1 << 24;
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

  private static final int NONE = -1; // some files write this for a missing token

  /**
   * Reads {@code config.json}. The end tokens of {@code generation_config.json} are added to its
   * own, where there is such a file.
   *
   * @param directory the directory of the model
   * @return the configuration
   * @throws InvalidInputException when the model is of an unsupported family or a value is invalid
   */
  public static DecoderConfig read(Path directory) {
    DecoderConfig config = parse(JsonFields.read(directory.resolve("config.json")));
    Path generation = directory.resolve("generation_config.json");
    return InputFiles.isThere(generation)
        ? config.withEnds(tokens(JsonFields.read(generation), ENDS, config.vocabulary()))
        : config;
  }

  /** Adds end tokens after the own ones, the first of which ends texts to imitate. */
  private DecoderConfig withEnds(List<Integer> others) {
    List<Integer> ends = Stream.concat(tokens.ends().stream(), others.stream()).distinct().toList();
    return new DecoderConfig(
        vocabulary,
        hidden,
        positions,
        norm,
        normalizesOutputs,
        embeddingScale,
        attention,
        layers,
        tiedEmbeddings,
        new SpecialTokens(tokens.begin(), tokens.padding(), ends));
  }

  /**
   * Returns the configuration with the layout in which the experts are stored. It does not follow
   * from {@code config.json}.
   *
   * @param names the names of the tensors of the checkpoint
   */
  DecoderConfig storedAs(Set<String> names) {
    List<Layer> stored = new ArrayList<>();
    for (Layer layer : layers) {
      boolean fused =
          layer.feedForward() instanceof FeedForward.Experts experts
              && experts.layout() == FeedForward.Layout.SEPARATE
              && names.contains(layer(stored.size(), EXPERTS + "gate_up_proj"));
      stored.add(
          fused
              ? new Layer(
                  layer.window(),
                  layer.rotary(),
                  ((FeedForward.Experts) layer.feedForward()).in(FeedForward.Layout.FUSED))
              : layer);
    }
    return new DecoderConfig(
        vocabulary,
        hidden,
        positions,
        norm,
        normalizesOutputs,
        embeddingScale,
        attention,
        stored,
        tiedEmbeddings,
        tokens);
  }

  static DecoderConfig parse(JsonFields config) {
    DecoderFamily family = DecoderFamily.of(config);
    family.requireKnown(config);
    int hidden = config.requiredInteger("hidden_size", 1, WIDEST);
    int heads = config.requiredInteger("num_attention_heads", 1, MOST_HEADS);
    int keyValueHeads = config.integer("num_key_value_heads", 1, MOST_HEADS).orElse(heads);
    if (heads % keyValueHeads != 0) {
      throw new InvalidInputException(
          config.where()
              + ": num_attention_heads "
              + heads
              + " is not a multiple of num_key_value_heads "
              + keyValueHeads);
    }
    int headDimension =
        config.integer("head_dim", 1, WIDEST).orElse(family.headDimension().orElse(hidden / heads));
    if (headDimension == 0) {
      throw config.refused("num_attention_heads", "at most hidden_size " + hidden);
    }
    if (headDimension % 2 != 0) {
      throw new InvalidInputException(
          config.where()
              + ": head_dim "
              + headDimension
              + " is odd, but rotary embeddings need an even one");
    }
    int vocabulary = config.requiredInteger("vocab_size", 1, WIDEST);
    int positions = config.requiredInteger("max_position_embeddings", 1, Integer.MAX_VALUE);
    boolean biased = config.flag("attention_bias", family.attentionBias());
    List<Integer> ends = tokens(config, ENDS, vocabulary);
    List<Integer> paddings = tokens(config, "pad_token_id", vocabulary);
    Attention attention =
        new Attention(
            heads,
            keyValueHeads,
            headDimension,
            scale(config, family, headDimension),
            biased || family.hasQueryBias(),
            biased,
            family.normalizesQueries(),
            family.hasSinks());
    SpecialTokens tokens =
        new SpecialTokens(
            tokens(config, "bos_token_id", vocabulary).stream()
                .mapToInt(Integer::intValue)
                .findFirst(),
            Stream.concat(paddings.stream(), ends.stream()).findFirst().orElse(0),
            ends);
    return new DecoderConfig(
        vocabulary,
        hidden,
        positions,
        new RmsNorm(
            family.norm(), config.number("rms_norm_eps", 0, 1).orElse(family.normEpsilon())),
        family.normalizesOutputs(),
        family.scalesEmbeddings() ? Math.sqrt(hidden) : 1,
        attention,
        layers(config, family, positions, headDimension),
        config.flag("tie_word_embeddings", family.tiesEmbeddings()),
        tokens);
  }

  private static double scale(JsonFields config, DecoderFamily family, int headDimension) {
    String name = "query_pre_attn_scalar";
    double width =
        family == DecoderFamily.GEMMA3
            ? config.number(name, 1e-6, WIDEST).orElse(256)
            : headDimension;
    return 1 / Math.sqrt(width);
  }

  private static List<Layer> layers(
      JsonFields config, DecoderFamily family, int positions, int headDimension) {
    List<Integer> windows =
        windows(config, family, config.requiredInteger("num_hidden_layers", 1, MOST_LAYERS));
    List<FeedForward> networks = networks(config, family, windows.size());
    Rotary full = rotary(config, family, positions, headDimension, "full_attention");
    Rotary sliding = rotary(config, family, positions, headDimension, "sliding_attention");
    List<Layer> layers = new ArrayList<>();
    for (int i = 0; i < windows.size(); i++) {
      layers.add(new Layer(windows.get(i), windows.get(i) == 0 ? full : sliding, networks.get(i)));
    }
    return layers;
  }

  private static Rotary rotary(
      JsonFields config, DecoderFamily family, int positions, int headDimension, String type) {
    return switch (family) {
      case LLAMA, MISTRAL, QWEN2, QWEN3, QWEN3_MOE ->
          Rotary.parse(
              Rotary.parameters(config),
              config,
              new Rotary.Base("rope_theta", 10000),
              positions,
              headDimension);
      case GEMMA3 -> {
        boolean full = type.equals("full_attention");
        JsonFields all = config.object(Rotary.PARAMETERS);
        if (all.has("rope_type")) {
          throw config.refused(Rotary.PARAMETERS, "an object with one object for each layer type");
        }
        yield Rotary.parse(
            full && !config.has(Rotary.PARAMETERS) ? Rotary.parameters(config) : all.object(type),
            config,
            full
                ? new Rotary.Base("rope_theta", 1e6)
                : new Rotary.Base("rope_local_base_freq", 1e4),
            positions,
            headDimension);
      }
      case GPT_OSS -> {
        JsonFields own = Rotary.parameters(config);
        yield Rotary.parse(
            own.names().isEmpty() ? JsonFields.of(EXTENDED, config.where()) : own,
            config,
            new Rotary.Base("rope_theta", 150000),
            positions,
            headDimension);
      }
    };
  }

  private static List<FeedForward> networks(JsonFields config, DecoderFamily family, int layers) {
    FeedForward.Gating gating = family.gating(config);
    FeedForward.Dense dense =
        new FeedForward.Dense(
            config.requiredInteger("intermediate_size", 1, WIDEST),
            config.flag("mlp_bias", false),
            gating);
    return switch (family) {
      case LLAMA, MISTRAL, QWEN2, QWEN3, GEMMA3 -> Collections.nCopies(layers, dense);
      case QWEN3_MOE -> {
        int every = config.integer("decoder_sparse_step", 1, MOST_LAYERS).orElse(1);
        Set<Integer> plain = new HashSet<>(config.integers("mlp_only_layers", 0, MOST_LAYERS));
        boolean normalized = config.flag("norm_topk_prob", false);
        int count = experts(config, layers, 0);
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
                      FeedForward.Layout.SEPARATE));
        }
        yield networks;
      }
      case GPT_OSS -> {
        int count = experts(config, layers, 1);
        yield Collections.nCopies(
            layers,
            new FeedForward.Experts(
                dense.intermediate(),
                count,
                config.requiredInteger("num_experts_per_tok", 1, count),
                FeedForward.Routing.CHOSEN,
                gating,
                FeedForward.Layout.TRANSPOSED));
      }
    };
  }

  /** Returns the number of experts of a layer, which newer files call num_local_experts. */
  private static int experts(JsonFields config, int layers, int least) {
    String name = config.has("num_local_experts") ? "num_local_experts" : "num_experts";
    return config.requiredInteger(name, least, MOST_EXPERTS / layers);
  }

  private static List<Integer> tokens(JsonFields config, String name, int vocabulary) {
    return config.integers(name, NONE, vocabulary - 1).stream()
        .filter(token -> token != NONE)
        .toList();
  }

  private static List<Integer> windows(JsonFields config, DecoderFamily family, int layers) {
    int window =
        config
            .integer("sliding_window", 0, Integer.MAX_VALUE)
            .orElse(config.names().contains("sliding_window") ? 0 : family.window());
    IntPredicate slides = slides(config, family, window);
    JsonNode types = config.value("layer_types");
    if (!types.isMissingNode() && (!types.isArray() || types.size() != layers)) {
      throw config.refused("layer_types", "a list of " + layers + " types, one per layer");
    }
    List<Integer> windows = new ArrayList<>();
    for (int i = 0; i < layers; i++) {
      String type = types.path(i).asText(slides.test(i) ? "sliding_attention" : "full_attention");
      switch (type) {
        case "full_attention" -> windows.add(0);
        case "sliding_attention" -> {
          if (window == 0) {
            throw config.refused("sliding_window", "1 or more with sliding_attention layers");
          }
          windows.add(window);
        }
        default ->
            throw new InvalidInputException(
                config.where() + ": layer_types \"" + type + "\" is not supported");
      }
    }
    return windows;
  }

  /** Returns which layers have a window, if the configuration does not list the types of layers. */
  private static IntPredicate slides(JsonFields config, DecoderFamily family, int window) {
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
    };
  }

  static String layer(int layer, String name) {
    return "model.layers." + layer + "." + name;
  }

  /** {@return the names and shapes of all parameters, in the order of checkpoints} */
  public Map<String, List<Long>> parameters() {
    Map<String, List<Long>> shapes = new LinkedHashMap<>();
    shapes.put(EMBEDDING, List.of((long) vocabulary, (long) hidden));
    for (int i = 0; i < layers.size(); i++) {
      shapes.put(layer(i, "input_layernorm.weight"), List.of((long) hidden));
      long queries = (long) attention.heads() * attention.headDimension();
      long keys = (long) attention.keyValueHeads() * attention.headDimension();
      linear(shapes, layer(i, "self_attn.q_proj"), queries, hidden, attention.queryBias());
      linear(shapes, layer(i, "self_attn.k_proj"), keys, hidden, attention.queryBias());
      linear(shapes, layer(i, "self_attn.v_proj"), keys, hidden, attention.queryBias());
      linear(shapes, layer(i, "self_attn.o_proj"), hidden, queries, attention.outputBias());
      if (attention.queryNorm()) {
        shapes.put(layer(i, "self_attn.q_norm.weight"), List.of((long) attention.headDimension()));
        shapes.put(layer(i, "self_attn.k_norm.weight"), List.of((long) attention.headDimension()));
      }
      if (attention.sinks()) {
        shapes.put(layer(i, SINKS), List.of((long) attention.heads()));
      }
      shapes.put(layer(i, "post_attention_layernorm.weight"), List.of((long) hidden));
      if (normalizesOutputs) {
        shapes.put(layer(i, "pre_feedforward_layernorm.weight"), List.of((long) hidden));
        shapes.put(layer(i, "post_feedforward_layernorm.weight"), List.of((long) hidden));
      }
      shapes.putAll(layers.get(i).feedForward().parameters(layer(i, MLP), hidden));
    }
    shapes.put(NORM, List.of((long) hidden));
    if (!tiedEmbeddings) {
      shapes.put(HEAD, List.of((long) vocabulary, (long) hidden));
    }
    return shapes;
  }

  /** {@return the parts of parameters that all experts of a layer are stored in} */
  public List<ExpertPart> expertParts() {
    List<ExpertPart> all = new ArrayList<>();
    for (int i = 0; i < layers.size(); i++) {
      if (layers.get(i).feedForward() instanceof FeedForward.Experts experts) {
        all.addAll(ExpertPart.of(experts, layer(i, EXPERTS)));
      }
    }
    return all;
  }

  private static void linear(
      Map<String, List<Long>> shapes, String name, long outputs, long inputs, boolean biased) {
    shapes.put(name + ".weight", List.of(outputs, inputs));
    if (biased) {
      shapes.put(name + ".bias", List.of(outputs));
    }
  }
}
