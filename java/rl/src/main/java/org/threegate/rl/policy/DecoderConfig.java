package org.threegate.rl.policy;

import com.fasterxml.jackson.databind.JsonNode;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.OptionalInt;
import java.util.stream.Stream;
import org.threegate.checkpoint.JsonFields;
import org.threegate.file.InputFiles;
import org.threegate.run.InvalidInputException;

/**
 * The architecture of a decoder of the Llama, Qwen2, Qwen3 or Mistral family, as read from {@code
 * config.json}.
 *
 * <pre>{@code
 * DecoderConfig config = DecoderConfig.read(Path.of("base"));
 * System.out.println(config.parameters().size() + " tensors");
 * }</pre>
 *
 * @param vocabulary the number of tokens of the vocabulary ({@code vocab_size})
 * @param hidden the width of the residual stream ({@code hidden_size})
 * @param intermediate the width of the feed-forward network ({@code intermediate_size})
 * @param positions the maximal number of positions ({@code max_position_embeddings})
 * @param normEpsilon the epsilon of RMS norms ({@code rms_norm_eps})
 * @param attention the attention of all layers
 * @param rotary the rotary position embeddings
 * @param feedForwardBias whether the feed-forward network has biases
 * @param tiedEmbeddings whether the output head is the input embedding
 * @param tokens the tokens with a meaning of their own
 */
public record DecoderConfig(
    int vocabulary,
    int hidden,
    int intermediate,
    int positions,
    double normEpsilon,
    Attention attention,
    Rotary rotary,
    boolean feedForwardBias,
    boolean tiedEmbeddings,
    SpecialTokens tokens) {
  /**
   * The attention of a decoder.
   *
   * @param heads the number of query heads ({@code num_attention_heads})
   * @param keyValueHeads the number of key and value heads, which divides {@code heads} ({@code
   *     num_key_value_heads})
   * @param headDimension the width of a head ({@code head_dim})
   * @param windows the attention window of each layer in tokens, including the token itself; 0 is
   *     full attention
   * @param queryBias whether queries, keys and values have a bias
   * @param outputBias whether the output projection has a bias
   * @param queryNorm whether each head of queries and keys is normalized
   */
  public record Attention(
      int heads,
      int keyValueHeads,
      int headDimension,
      List<Integer> windows,
      boolean queryBias,
      boolean outputBias,
      boolean queryNorm) {
    /** Copies the list. */
    public Attention {
      windows = List.copyOf(windows);
    }
  }

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

  private static final String ENDS = "eos_token_id";
  private static final int MOST_LAYERS = 10_000;
  private static final int MOST_HEADS = 1 << 16;
  private static final int WIDEST = 1 << 24;
  private static final int NONE = -1; // some files write this for a missing token

  /** {@return the number of layers ({@code num_hidden_layers})} */
  public int layers() {
    return attention.windows().size();
  }

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
        intermediate,
        positions,
        normEpsilon,
        attention,
        rotary,
        feedForwardBias,
        tiedEmbeddings,
        new SpecialTokens(tokens.begin(), tokens.padding(), ends));
  }

  static DecoderConfig parse(JsonFields config) {
    String family = config.text("model_type").orElse("");
    switch (family) {
      case "llama", "qwen2", "qwen3", "mistral" -> {}
      default ->
          throw new InvalidInputException(
              config.where()
                  + ": model_type \""
                  + family
                  + "\" is not supported; llama, mistral, qwen2 and qwen3 are");
    }
    String activation = config.text("hidden_act").orElse("silu");
    if (!activation.equals("silu")) {
      throw new InvalidInputException(
          config.where() + ": hidden_act \"" + activation + "\" is not supported; silu is");
    }
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
    int headDimension = config.integer("head_dim", 1, WIDEST).orElse(hidden / heads);
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
    boolean biased = config.flag("attention_bias", false);
    List<Integer> ends = tokens(config, ENDS, vocabulary);
    List<Integer> paddings = tokens(config, "pad_token_id", vocabulary);
    List<Integer> windows =
        windows(config, family, config.requiredInteger("num_hidden_layers", 1, MOST_LAYERS));
    Attention attention =
        new Attention(
            heads,
            keyValueHeads,
            headDimension,
            windows,
            biased || family.equals("qwen2"),
            biased,
            family.equals("qwen3"));
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
        config.requiredInteger("intermediate_size", 1, WIDEST),
        positions,
        config.number("rms_norm_eps", 0, 1).orElse(1e-6),
        attention,
        Rotary.parse(config, positions, headDimension),
        config.flag("mlp_bias", false),
        config.flag("tie_word_embeddings", false),
        tokens);
  }

  private static List<Integer> tokens(JsonFields config, String name, int vocabulary) {
    return config.integers(name, NONE, vocabulary - 1).stream()
        .filter(token -> token != NONE)
        .toList();
  }

  private static List<Integer> windows(JsonFields config, String family, int layers) {
    int window = config.integer("sliding_window", 0, Integer.MAX_VALUE).orElse(0);
    boolean slides =
        window > 0 && (family.equals("mistral") || config.flag("use_sliding_window", false));
    int first =
        family.equals("mistral")
            ? 0
            : config.integer("max_window_layers", 0, Integer.MAX_VALUE).orElse(0);
    JsonNode types = config.value("layer_types");
    if (!types.isMissingNode() && (!types.isArray() || types.size() != layers)) {
      throw config.refused("layer_types", "a list of " + layers + " types, one per layer");
    }
    List<Integer> windows = new ArrayList<>();
    for (int i = 0; i < layers; i++) {
      String type =
          types.path(i).asText(slides && i >= first ? "sliding_attention" : "full_attention");
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

  static String layer(int layer, String name) {
    return "model.layers." + layer + "." + name;
  }

  /** {@return the names and shapes of all parameters, in the order of checkpoints} */
  public Map<String, List<Long>> parameters() {
    Map<String, List<Long>> shapes = new LinkedHashMap<>();
    shapes.put(EMBEDDING, List.of((long) vocabulary, (long) hidden));
    for (int i = 0; i < layers(); i++) {
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
      Map<String, List<Long>> shapes, String name, long outputs, long inputs, boolean biased) {
    shapes.put(name + ".weight", List.of(outputs, inputs));
    if (biased) {
      shapes.put(name + ".bias", List.of(outputs));
    }
  }
}
