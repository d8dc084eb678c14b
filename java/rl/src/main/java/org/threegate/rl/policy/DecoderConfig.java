package org.threegate.rl.policy;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.OptionalInt;
import java.util.Set;
import java.util.stream.Stream;
import org.threegate.checkpoint.JsonFields;
import org.threegate.file.InputFiles;
import org.threegate.run.InvalidInputException;

/**
 * The architecture of a decoder, as read from {@code config.json}. The families are those of {@code
 * model_type} gemma3_text, gpt_oss, llama, mistral, qwen2, qwen3, qwen3_5, qwen3_5_moe, qwen3_moe
 * and qwen3_next.
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
 * @param names the names of the tensors
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
    SpecialTokens tokens,
    TensorNames names) {
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
   * @param rotated the dimensions of a head that rotary embeddings turn, its first ones
   * @param scale the factor of products of queries and keys
   * @param queryBias whether queries, keys and values have a bias
   * @param outputBias whether the output projection has a bias
   * @param queryNorm whether each head of queries and keys is normalized
   * @param sinks whether each head has a logit to which attention may go without effect
   * @param gated whether the output of each head has a gate, which is projected with its queries
   */
  public record Attention(
      int heads,
      int keyValueHeads,
      int headDimension,
      int rotated,
      double scale,
      boolean queryBias,
      boolean outputBias,
      boolean queryNorm,
      boolean sinks,
      boolean gated) {}

  /**
   * A layer.
   *
   * @param mixer how its tokens see each other
   * @param feedForward the feed-forward network
   */
  public record Layer(Mixer mixer, FeedForward feedForward) {}

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

  static final String ATTENTION = "self_attn.";
  static final String SINKS = ATTENTION + "sinks";
  static final String MLP = "mlp.";
  static final String EXPERTS = MLP + "experts.";

  private static final String BEGIN = "bos_token_id";
  private static final String ENDS = "eos_token_id";
  private static final String PADDING = "pad_token_id";
  private static final String TIED = "tie_word_embeddings";
  private static final int MOST_HEADS = 1 << 16;
  private static final int WIDEST = 1 << 24;
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
    return with(layers, new SpecialTokens(tokens.begin(), tokens.padding(), ends), names);
  }

  private DecoderConfig with(List<Layer> ownLayers, SpecialTokens ownTokens, TensorNames own) {
    return new DecoderConfig(
        vocabulary,
        hidden,
        positions,
        norm,
        normalizesOutputs,
        embeddingScale,
        attention,
        ownLayers,
        tiedEmbeddings,
        ownTokens,
        own);
  }

  /**
   * Returns the configuration with the names and the layout of experts of a checkpoint. They do not
   * follow from {@code config.json}.
   *
   * @param stored the names of the tensors of the checkpoint
   */
  DecoderConfig storedAs(Set<String> stored) {
    TensorNames own = names.storedAs(stored);
    List<Layer> all = new ArrayList<>();
    for (Layer layer : layers) {
      boolean fused =
          layer.feedForward() instanceof FeedForward.Experts experts
              && experts.layout() == FeedForward.Layout.SEPARATE
              && stored.contains(own.layer(all.size(), EXPERTS + "gate_up_proj"));
      all.add(
          fused
              ? new Layer(
                  layer.mixer(),
                  ((FeedForward.Experts) layer.feedForward()).in(FeedForward.Layout.FUSED))
              : layer);
    }
    return with(all, tokens, own);
  }

  static DecoderConfig parse(JsonFields file) {
    DecoderFamily family = DecoderFamily.of(file);
    boolean nested = family.isNested(file);
    JsonFields config = nested ? file.object(DecoderFamily.TEXT_CONFIG) : file;
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
    int rotated =
        Rotary.rotated(
            Rotary.parameters(config),
            config,
            headDimension,
            family.rotatedShare(),
            family.isHybrid());
    List<Integer> ends = tokens(having(config, file, ENDS), ENDS, vocabulary);
    List<Integer> paddings = tokens(having(config, file, PADDING), PADDING, vocabulary);
    Attention attention =
        new Attention(
            heads,
            keyValueHeads,
            headDimension,
            rotated,
            scale(config, family, headDimension),
            biased || family.hasQueryBias(),
            biased,
            family.normalizesQueries(),
            family.hasSinks(),
            family.isHybrid());
    SpecialTokens tokens =
        new SpecialTokens(
            tokens(having(config, file, BEGIN), BEGIN, vocabulary).stream()
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
        layers(config, family, positions, rotated),
        tied(config, file, family),
        tokens,
        new TensorNames(nested ? TensorNames.NESTED : TensorNames.TEXT, family.others()));
  }

  /** Returns the configuration that has a field: that of the text model, or else the outer one. */
  private static JsonFields having(JsonFields text, JsonFields file, String field) {
    return text.has(field) ? text : file;
  }

  /** Returns whether the embeddings are tied, which both configurations may say. */
  private static boolean tied(JsonFields text, JsonFields file, DecoderFamily family) {
    boolean tied = having(text, file, TIED).flag(TIED, family.tiesEmbeddings());
    if (file.flag(TIED, tied) != tied) {
      throw file.refused(TIED, tied + ", as in " + DecoderFamily.TEXT_CONFIG);
    }
    return tied;
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
      JsonFields config, DecoderFamily family, int positions, int rotated) {
    List<Mixer> mixers = ConfiguredLayers.mixers(config, family, positions, rotated);
    List<FeedForward> networks = ConfiguredLayers.networks(config, family, mixers.size());
    List<Layer> layers = new ArrayList<>();
    for (int i = 0; i < mixers.size(); i++) {
      layers.add(new Layer(mixers.get(i), networks.get(i)));
    }
    return layers;
  }

  private static List<Integer> tokens(JsonFields config, String name, int vocabulary) {
    return config.integers(name, NONE, vocabulary - 1).stream()
        .filter(token -> token != NONE)
        .toList();
  }

  /** {@return the names and shapes of all parameters, in the order of checkpoints} */
  public Map<String, List<Long>> parameters() {
    Map<String, List<Long>> shapes = new LinkedHashMap<>();
    shapes.put(names.embedding(), List.of((long) vocabulary, (long) hidden));
    for (int i = 0; i < layers.size(); i++) {
      shapes.put(names.layer(i, "input_layernorm.weight"), List.of((long) hidden));
      if (layers.get(i).mixer() instanceof Mixer.DeltaRule rule) {
        shapes.putAll(rule.parameters(names.layer(i, Mixer.DeltaRule.PREFIX), hidden));
      } else {
        attention(shapes, i);
      }
      shapes.put(names.layer(i, "post_attention_layernorm.weight"), List.of((long) hidden));
      if (normalizesOutputs) {
        shapes.put(names.layer(i, "pre_feedforward_layernorm.weight"), List.of((long) hidden));
        shapes.put(names.layer(i, "post_feedforward_layernorm.weight"), List.of((long) hidden));
      }
      shapes.putAll(layers.get(i).feedForward().parameters(names.layer(i, MLP), hidden));
    }
    shapes.put(names.norm(), List.of((long) hidden));
    if (!tiedEmbeddings) {
      shapes.put(TensorNames.HEAD, List.of((long) vocabulary, (long) hidden));
    }
    return shapes;
  }

  private void attention(Map<String, List<Long>> shapes, int layer) {
    long width = attention.headDimension();
    long outputs = attention.heads() * width;
    long queries = attention.gated() ? 2 * outputs : outputs;
    long keys = attention.keyValueHeads() * width;
    String own = names.layer(layer, ATTENTION);
    linear(shapes, own + "q_proj", queries, hidden, attention.queryBias());
    linear(shapes, own + "k_proj", keys, hidden, attention.queryBias());
    linear(shapes, own + "v_proj", keys, hidden, attention.queryBias());
    linear(shapes, own + "o_proj", hidden, outputs, attention.outputBias());
    if (attention.queryNorm()) {
      shapes.put(own + "q_norm.weight", List.of(width));
      shapes.put(own + "k_norm.weight", List.of(width));
    }
    if (attention.sinks()) {
      shapes.put(names.layer(layer, SINKS), List.of((long) attention.heads()));
    }
  }

  /** {@return the parts of parameters that are measured and masked by themselves} */
  public List<WeightPart> parts() {
    List<WeightPart> all = new ArrayList<>();
    for (int i = 0; i < layers.size(); i++) {
      if (layers.get(i).mixer() instanceof Mixer.DeltaRule rule) {
        all.addAll(rule.parts(names.layer(i, Mixer.DeltaRule.PREFIX)));
      } else if (attention.gated()) {
        String fused = names.layer(i, ATTENTION + "q_proj.weight");
        long width = attention.headDimension();
        all.add(new RowPart(fused, "q", new RowPart.Rows(0, width, 2 * width, attention.heads())));
        all.add(
            new RowPart(
                fused, "gate", new RowPart.Rows(width, width, 2 * width, attention.heads())));
      }
      if (layers.get(i).feedForward() instanceof FeedForward.Experts experts) {
        all.addAll(ExpertPart.of(experts, names.layer(i, EXPERTS)));
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
