package org.threegate.checkpoint;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.OptionalLong;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Derives the role of a tensor from its name, and the places of its parts and heads from the
 * configuration. Fused matrices may have their parts one after the other (Phi-3), head by head
 * (GPT-NeoX), or as inputs x outputs (GPT-2's Conv1D). Experts may be matrices of their own, or
 * stored together in a tensor of three dimensions.
 *
 * <pre>{@code
 * Architecture architecture = new Architecture(ModelConfig.read(directory).orElseThrow());
 * String name = "model.layers.3.self_attn.q_proj.weight";
 * System.out.println(architecture.kind(name, 2).label() + " of layer " + architecture.layer(name));
 * }</pre>
 */
public final class Architecture {
  private static final Pattern LAYER = Pattern.compile("(?:^|\\.)(?:layers|h|blocks)\\.(\\d+)\\.");
  private static final Pattern CONV1D =
      Pattern.compile(
          "(?:^|\\.)h\\.\\d+\\.(?:attn\\.c_attn|attn\\.c_proj|mlp\\.c_fc|mlp\\.c_proj)\\.weight$");

  /** Modules of other modalities and of draft tokens, whose layers are counted apart. */
  private static final Pattern TOWER =
      Pattern.compile(
          "(?:^|\\.)(?:visual|vision_tower|vision_model|vision_encoder|image_encoder|audio_tower"
              + "|audio_model|audio_encoder|speech_encoder|vit|mtp|mtp_layers|mtp_block)\\.");

  /** Families whose experts are inputs x outputs in files and in the modules of transformers. */
  private static final List<String> INPUTS_FIRST =
      List.of("gpt_oss", "aria", "openai_privacy_filter");

  /** Families whose modules do not say so, or have the other order. */
  private static final List<String> INPUTS_FIRST_IN_FILES = List.of("llama4", "qwen3_vl_moe");

  private static final Set<String> ATTENTION =
      Set.of("self_attn", "self_attention", "attn", "attention", "mixer");

  /** Modules that mix tokens in another way than attention. */
  private static final Set<String> MIXERS = Set.of("linear_attn", "mamba", "mixer", "conv");

  private static final Set<String> FEED_FORWARD =
      Set.of(
          "mlp",
          "feed_forward",
          "ffn",
          "block_sparse_moe",
          "moe",
          "mixer",
          "shared_expert",
          "shared_experts");
  private static final Set<String> STACKED = Set.of("input_linear", "output_linear");
  private static final Set<String> GATE_UP = Set.of("gate_up_proj", "input_linear");
  private static final Set<String> GATES = Set.of("gate_proj", "g_proj", "output_gate");

  /** Matrices of an expert. */
  private static final Map<String, TensorKind> IN_EXPERT =
      Map.of(
          "gate_proj", TensorKind.EXPERT_GATE,
          "w1", TensorKind.EXPERT_GATE,
          "up_proj", TensorKind.EXPERT_UP,
          "w3", TensorKind.EXPERT_UP,
          "v1", TensorKind.EXPERT_UP,
          "down_proj", TensorKind.EXPERT_DOWN,
          "w2", TensorKind.EXPERT_DOWN,
          "fc2", TensorKind.EXPERT_DOWN,
          "output_linear", TensorKind.EXPERT_DOWN);

  /** Matrices of all experts one below the other, as DBRX stores them. */
  private static final Pattern STACKED_EXPERTS = Pattern.compile("\\.experts\\.mlp\\.(w1|v1|w2)$");

  private static final String DBRX = "dbrx";

  /** Modules with the same role wherever they are. */
  private static final Map<String, TensorKind> ANYWHERE =
      Map.ofEntries(
          Map.entry("q_proj", TensorKind.Q_PROJ),
          Map.entry("k_proj", TensorKind.K_PROJ),
          Map.entry("v_proj", TensorKind.V_PROJ),
          Map.entry("o_proj", TensorKind.O_PROJ),
          Map.entry("qkv_proj", TensorKind.QKV),
          Map.entry("query_key_value", TensorKind.QKV),
          Map.entry("Wqkv", TensorKind.QKV),
          Map.entry("wqkv", TensorKind.QKV),
          Map.entry("c_attn", TensorKind.QKV),
          Map.entry("q_a_proj", TensorKind.Q_A_PROJ),
          Map.entry("wq_a", TensorKind.Q_A_PROJ),
          Map.entry("q_b_proj", TensorKind.Q_B_PROJ),
          Map.entry("wq_b", TensorKind.Q_B_PROJ),
          Map.entry("kv_a_proj_with_mqa", TensorKind.KV_A_PROJ),
          Map.entry("kv_b_proj", TensorKind.KV_B_PROJ),
          Map.entry("up_proj", TensorKind.UP_PROJ),
          Map.entry("c_fc", TensorKind.UP_PROJ),
          Map.entry("fc1", TensorKind.UP_PROJ),
          Map.entry("fc_in", TensorKind.UP_PROJ),
          Map.entry("dense_h_to_4h", TensorKind.UP_PROJ),
          Map.entry("down_proj", TensorKind.DOWN_PROJ),
          Map.entry("fc2", TensorKind.DOWN_PROJ),
          Map.entry("fc_out", TensorKind.DOWN_PROJ),
          Map.entry("dense_4h_to_h", TensorKind.DOWN_PROJ),
          Map.entry("gate_up_proj", TensorKind.GATE_UP),
          Map.entry("input_linear", TensorKind.GATE_UP),
          Map.entry("output_linear", TensorKind.DOWN_PROJ),
          Map.entry("router", TensorKind.ROUTER),
          Map.entry("shared_expert_gate", TensorKind.ROUTER),
          Map.entry("embed_tokens", TensorKind.EMBED),
          Map.entry("embed_positions", TensorKind.EMBED),
          Map.entry("embed_in", TensorKind.EMBED),
          Map.entry("word_embeddings", TensorKind.EMBED),
          Map.entry("embeddings", TensorKind.EMBED),
          Map.entry("wte", TensorKind.EMBED),
          Map.entry("wpe", TensorKind.EMBED),
          Map.entry("embed_out", TensorKind.LM_HEAD),
          Map.entry("lm_head", TensorKind.LM_HEAD));

  /** Modules whose role depends on the module that they are in. */
  private static final Map<String, TensorKind> IN_ATTENTION =
      Map.of(
          "out_proj", TensorKind.O_PROJ,
          "c_proj", TensorKind.O_PROJ,
          "dense", TensorKind.O_PROJ,
          "wo", TensorKind.O_PROJ,
          "kv_proj", TensorKind.QKV);

  private static final Map<String, TensorKind> IN_FEED_FORWARD =
      Map.ofEntries(
          Map.entry("c_proj", TensorKind.DOWN_PROJ),
          Map.entry("w1", TensorKind.GATE_PROJ),
          Map.entry("w2", TensorKind.DOWN_PROJ),
          Map.entry("w3", TensorKind.UP_PROJ),
          Map.entry("gate", TensorKind.ROUTER));

  private static final Map<HeadPart, TensorKind> KINDS =
      Map.of(
          HeadPart.QUERY, TensorKind.Q_PROJ,
          HeadPart.KEY, TensorKind.K_PROJ,
          HeadPart.VALUE, TensorKind.V_PROJ);

  private final ModelConfig config;

  /**
   * Creates the rules for a model.
   *
   * @param config shapes of the model; {@link ModelConfig#UNKNOWN} if it has no configuration
   */
  public Architecture(ModelConfig config) {
    this.config = config;
  }

  /**
   * The rows or columns of one attention head.
   *
   * @param part matrix of attention that the head has a part of
   * @param index number of the head within its part, from 0
   * @param onRows whether the range is one of rows, which are outputs, or of columns
   * @param begin first row or column
   * @param end row or column after the last one
   */
  public record Head(HeadPart part, int index, boolean onRows, long begin, long end) {}

  /**
   * {@return whether a tensor belongs to another modality, or to the prediction of further tokens}
   * DeepSeek and GLM number the layers of the latter after those of the model.
   *
   * @param name name of a tensor in the checkpoint
   */
  public boolean isApart(String name) {
    OptionalInt number = number(name);
    return TOWER.matcher(name).find()
        || number.isPresent()
            && config.layers().isPresent()
            && number.getAsInt() >= config.layers().getAsInt();
  }

  /**
   * {@return the number of the layer in a tensor's name, if it has one}
   *
   * @param name name of a tensor in the checkpoint
   */
  public OptionalInt layer(String name) {
    return isApart(name) ? OptionalInt.empty() : number(name);
  }

  private static OptionalInt number(String name) {
    Matcher matcher = LAYER.matcher(name);
    try {
      return matcher.find()
          ? OptionalInt.of(Integer.parseInt(matcher.group(1)))
          : OptionalInt.empty();
    } catch (NumberFormatException e) {
      return OptionalInt.empty();
    }
  }

  /**
   * {@return the role of a tensor with a name and a number of dimensions}
   *
   * @param name name of a tensor in the checkpoint
   * @param dimensions number of dimensions of the tensor
   */
  public TensorKind kind(String name, int dimensions) {
    if (name.endsWith(".bias") || name.endsWith("_bias")) {
      return TensorKind.BIAS;
    }
    String module =
        name.endsWith(".weight") ? name.substring(0, name.length() - ".weight".length()) : name;
    String[] segments = module.split("\\.");
    String last = segments.length == 0 ? module : segments[segments.length - 1];
    String parent = segments.length < 2 ? "" : segments[segments.length - 2];
    if (parent.equals("router") && (last.equals("layer") || last.equals("gate"))
        || parent.equals("gate") && last.equals("wg")) {
      return TensorKind.ROUTER;
    }
    if (module.contains(".experts.") || dimensions == 3 && STACKED.contains(last)) {
      return isExpertOfAttention(name)
          ? TensorKind.EXPERT
          : IN_EXPERT.getOrDefault(last, TensorKind.EXPERT);
    }
    if (ATTENTION.contains(parent) && !parent.equals("mixer") && GATES.contains(last)) {
      return TensorKind.ATTENTION_GATE; // "gate_proj" is also the name in a feed-forward network
    }
    if (last.equals("gate_proj")) {
      return TensorKind.GATE_PROJ;
    }
    if (module.equals("head")) {
      return TensorKind.LM_HEAD;
    }
    if (MIXERS.contains(parent) && dimensions == 2) {
      if (last.startsWith("in_proj")) {
        return TensorKind.MIXER_IN;
      }
      if (last.equals("out_proj")) {
        return TensorKind.MIXER_OUT;
      }
    }
    TensorKind kind = ANYWHERE.get(last);
    if (kind == null && ATTENTION.contains(parent)) {
      kind = IN_ATTENTION.get(last);
    }
    if (kind == null && FEED_FORWARD.contains(parent)) {
      kind =
          config.modelType().equals("qwen") && last.matches("w[12]")
              ? last.equals("w1") ? TensorKind.UP_PROJ : TensorKind.GATE_PROJ
              : IN_FEED_FORWARD.get(last);
    }
    if (kind != null) {
      return kind;
    }
    if (last.contains("norm") || last.matches("ln_(1|2|f)")) {
      return TensorKind.NORM;
    }
    return last.contains("conv") && dimensions > 2 ? TensorKind.CONV : TensorKind.OTHER;
  }

  /** Returns the last part of a name, without the ending of weights. */
  private static String module(String name) {
    String module =
        name.endsWith(".weight") ? name.substring(0, name.length() - ".weight".length()) : name;
    return module.substring(module.lastIndexOf('.') + 1);
  }

  private static boolean isInAttention(String name) {
    return Arrays.stream(name.split("\\.")).anyMatch(ATTENTION::contains);
  }

  /**
   * {@return whether the rows of a stored matrix are inputs, as in GPT-2's Conv1D and in the
   * experts of some families}
   *
   * @param name name of a tensor in the checkpoint
   * @param shape dimensions of the tensor; of three, the first counts experts
   */
  public boolean isTransposed(String name, List<Long> shape) {
    if (shape.size() == 3) {
      TensorKind kind = kind(name, 3);
      boolean down = kind == TensorKind.EXPERT_DOWN;
      boolean up = kind == TensorKind.EXPERT && isGateUp(name);
      if ((down || up) && config.hidden().isPresent()) {
        long hidden = config.hidden().getAsInt();
        boolean plain = shape.get(down ? 1 : 2) == hidden;
        boolean turned = shape.get(down ? 2 : 1) == hidden;
        if (plain != turned) {
          return turned;
        }
      }
      return name.contains(".experts.")
          && (hasInputsFirst(config.modelType())
              || INPUTS_FIRST_IN_FILES.stream().anyMatch(config.modelType()::startsWith));
    }
    if (shape.size() == 2 && experts(name, shape).isPresent()) {
      return name.endsWith(".w2");
    }
    return shape.size() == 2
        && (config.modelType().isEmpty() || config.modelType().equals("gpt2"))
        && CONV1D.matcher(name).find();
  }

  /**
   * {@return whether the modules of a family in transformers hold experts as inputs x outputs}
   * Adapters have factors for the matrices of modules.
   *
   * @param modelType name of the family
   */
  public static boolean hasInputsFirst(String modelType) {
    return INPUTS_FIRST.stream().anyMatch(modelType::startsWith);
  }

  /**
   * {@return the number of experts whose matrices a tensor holds; empty if it is none of experts}
   *
   * @param name name of a tensor in the checkpoint
   * @param shape dimensions of the tensor
   */
  public OptionalLong experts(String name, List<Long> shape) {
    if (shape.size() == 3) {
      return kind(name, 3).isExpert() ? OptionalLong.of(shape.get(0)) : OptionalLong.empty();
    }
    boolean stacked =
        shape.size() == 2
            && config.modelType().equals(DBRX)
            && config.experts().isPresent()
            && shape.get(0) % config.experts().getAsInt() == 0
            && STACKED_EXPERTS.matcher(name).find();
    return stacked ? OptionalLong.of(config.experts().getAsInt()) : OptionalLong.empty();
  }

  /** Returns whether a name is that of an expert of attention, as JetMoE has them. */
  private static boolean isExpertOfAttention(String name) {
    return isInAttention(name) && !name.contains(".mixer.");
  }

  /** Returns whether a matrix of an expert holds gate and first projection. */
  private boolean isGateUp(String name) {
    String module = module(name);
    boolean aria = module.equals("fc1") && config.modelType().startsWith("aria");
    return (GATE_UP.contains(module) || aria) && !isExpertOfAttention(name);
  }

  /**
   * A part of a fused matrix.
   *
   * @param label label in the names of reports, such as "q"
   * @param kind role of the part
   * @param outputs the outputs of the fused matrix that are those of the part
   * @param heads attention heads as ranges of the outputs of the part
   */
  public record Part(String label, TensorKind kind, Ranges outputs, List<Head> heads) {
    /** Copies the list. */
    public Part {
      heads = List.copyOf(heads);
    }
  }

  /**
   * {@return the parts of a fused matrix, or of its bias: queries, keys and values, or gate and up}
   *
   * @param name name of the tensor
   * @param kind role of the tensor
   * @param rows number of outputs
   * @param columns number of inputs
   */
  public List<Part> parts(String name, TensorKind kind, long rows, long columns) {
    if (kind == TensorKind.BIAS) {
      String weight =
          name.endsWith(".bias")
              ? name.substring(0, name.length() - "bias".length()) + "weight"
              : name.substring(0, name.length() - "_bias".length());
      TensorKind own = kind(weight, 2);
      return own == TensorKind.BIAS
          ? List.of()
          : parts(weight, own, rows, columns).stream()
              .map(part -> new Part(part.label(), kind, part.outputs(), List.of()))
              .toList();
    }
    boolean expert = kind == TensorKind.EXPERT && isGateUp(name);
    if ((kind == TensorKind.GATE_UP || expert) && rows > 0 && rows % 2 == 0) {
      long half = rows / 2;
      boolean mixed = expert && config.modelType().equals("gpt_oss");
      return List.of(
          new Part(
              "gate",
              expert ? TensorKind.EXPERT_GATE : TensorKind.GATE_PROJ,
              mixed ? new Ranges(0, 1, 2, half) : Ranges.of(0, half),
              List.of()),
          new Part(
              "up",
              expert ? TensorKind.EXPERT_UP : TensorKind.UP_PROJ,
              mixed ? new Ranges(1, 1, 2, half) : Ranges.of(half, rows),
              List.of()));
    }
    if (kind == TensorKind.MIXER_IN && !isApart(name) && rows > 0 && columns > 0) {
      return config.linear().map(own -> own.parts(module(name), rows)).orElse(List.of()).stream()
          .map(part -> new Part(part.label(), kind, part.outputs(), List.of()))
          .toList();
    }
    boolean whole = kind != TensorKind.QKV && kind != TensorKind.Q_PROJ;
    List<AttentionLayout.Place> places =
        whole
            ? List.of()
            : attention(name).map(own -> own.places(kind, rows, columns)).orElse(List.of());
    List<Part> parts = new ArrayList<>();
    for (AttentionLayout.Place place : places) {
      Ranges outputs = place.ranges();
      boolean gated = kind == TensorKind.Q_PROJ && outputs.size() < rows;
      if (kind == TensorKind.QKV || gated) {
        AttentionLayout.Place own =
            new AttentionLayout.Place(place.part(), Ranges.of(0, outputs.size()), place.head());
        parts.add(new Part(place.part().label(), KINDS.get(place.part()), outputs, heads(own)));
      }
      if (gated) {
        // What lies between the queries of the heads are their gates.
        Ranges gates =
            new Ranges(
                outputs.begin() + outputs.length(),
                outputs.step() - outputs.length(),
                outputs.step(),
                outputs.count());
        parts.add(new Part("gate", TensorKind.ATTENTION_GATE, gates, List.of()));
      }
    }
    return parts;
  }

  /**
   * Returns the attention heads in a matrix of a layer.
   *
   * @param name name of the matrix; it has heads only within an attention module of the language
   *     model
   * @param kind role of the matrix; only the matrices of attention have heads
   * @param rows number of outputs
   * @param columns number of inputs
   * @return empty if the configuration does not fit the matrix
   */
  public List<Head> heads(String name, TensorKind kind, long rows, long columns) {
    return attention(name).map(own -> heads(own.places(kind, rows, columns))).orElse(List.of());
  }

  /**
   * Returns the attention heads in a matrix of a layer as most layers are.
   *
   * @param kind role of the matrix; only the matrices of attention have heads
   * @param rows number of outputs
   * @param columns number of inputs
   * @return empty if the configuration does not fit the matrix
   */
  public List<Head> heads(TensorKind kind, long rows, long columns) {
    return config
        .heads()
        .ofMost()
        .map(own -> heads(new AttentionLayout(config, own).places(kind, rows, columns)))
        .orElse(List.of());
  }

  private static List<Head> heads(List<AttentionLayout.Place> places) {
    return places.stream().flatMap(place -> heads(place).stream()).toList();
  }

  private static List<Head> heads(AttentionLayout.Place place) {
    List<Head> heads = new ArrayList<>();
    boolean onRows = place.part() != HeadPart.OUTPUT;
    for (long index = 0; index < place.ranges().size() / place.head(); index++) {
      long begin = place.ranges().at(index * place.head());
      heads.add(new Head(place.part(), (int) index, onRows, begin, begin + place.head()));
    }
    return heads;
  }

  /** Returns the places of heads in the layer of a tensor of the language model's attention. */
  private Optional<AttentionLayout> attention(String name) {
    if (!isInAttention(name) || isApart(name)) {
      return Optional.empty();
    }
    OptionalInt layer = layer(name);
    AttentionHeads heads = config.heads();
    Optional<AttentionHeads.OfLayer> own =
        layer.isPresent() ? heads.ofLayer(layer.getAsInt()) : heads.ofMost();
    return own.map(sizes -> new AttentionLayout(config, sizes));
  }
}
