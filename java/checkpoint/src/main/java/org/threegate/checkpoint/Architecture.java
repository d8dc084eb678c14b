package org.threegate.checkpoint;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Derives the role of a tensor from its name. Known model families are Llama, Qwen2, Qwen3,
 * Mistral, Gemma, Phi-3 (fused qkv and gate-up), GPT-2 (Conv1D, stored transposed) and Qwen3-MoE
 * (separate experts, or all experts in one tensor of three dimensions).
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
              + "|audio_model|audio_encoder|speech_encoder|vit|mtp)\\.");

  private static final Set<String> ATTENTION =
      Set.of("self_attn", "self_attention", "attn", "attention", "mixer");
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
          Map.entry("c_attn", TensorKind.QKV),
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
          "out_proj", TensorKind.O_PROJ, "c_proj", TensorKind.O_PROJ, "dense", TensorKind.O_PROJ);

  private static final Map<String, TensorKind> IN_FEED_FORWARD =
      Map.ofEntries(
          Map.entry("c_proj", TensorKind.DOWN_PROJ),
          Map.entry("w1", TensorKind.GATE_PROJ),
          Map.entry("w2", TensorKind.DOWN_PROJ),
          Map.entry("w3", TensorKind.UP_PROJ),
          Map.entry("gate", TensorKind.ROUTER));

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
   *
   * @param name name of a tensor in the checkpoint
   */
  public boolean isApart(String name) {
    return TOWER.matcher(name).find();
  }

  /**
   * {@return the number of the layer in a tensor's name, if it has one}
   *
   * @param name name of a tensor in the checkpoint
   */
  public OptionalInt layer(String name) {
    Matcher matcher = LAYER.matcher(name);
    if (isApart(name) || !matcher.find()) {
      return OptionalInt.empty();
    }
    try {
      return OptionalInt.of(Integer.parseInt(matcher.group(1)));
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
    if (module.contains(".experts.")) {
      return TensorKind.EXPERT;
    }
    String[] segments = module.split("\\.");
    String last = segments.length == 0 ? module : segments[segments.length - 1];
    String parent = segments.length < 2 ? "" : segments[segments.length - 2];
    if (dimensions == 3 && STACKED.contains(last)) {
      return TensorKind.EXPERT;
    }
    if (parent.equals("router") && last.equals("layer")
        || parent.equals("gate") && last.equals("wg")) {
      return TensorKind.ROUTER;
    }
    if (last.equals("gate_proj")) {
      // A gate of attention has the name of the one in the feed-forward network.
      return ATTENTION.contains(parent) && !parent.equals("mixer")
          ? TensorKind.OTHER
          : TensorKind.GATE_PROJ;
    }
    if (module.equals("head")) {
      return TensorKind.LM_HEAD;
    }
    boolean mamba = parent.equals("mixer") && last.equals("out_proj");
    TensorKind kind = mamba ? null : ANYWHERE.get(last);
    if (kind == null && ATTENTION.contains(parent) && !mamba) {
      kind = IN_ATTENTION.get(last);
    }
    if (kind == null && FEED_FORWARD.contains(parent)) {
      kind = IN_FEED_FORWARD.get(last);
    }
    if (kind != null) {
      return kind;
    }
    if (last.contains("norm") || last.matches("ln_(1|2|f)")) {
      return TensorKind.NORM;
    }
    return last.contains("conv") && dimensions > 2 ? TensorKind.CONV : TensorKind.OTHER;
  }

  /**
   * {@return whether the rows of a stored matrix are inputs, as in GPT-2's Conv1D}
   *
   * @param name name of a tensor in the checkpoint
   * @param dimensions number of dimensions of the tensor; only matrices can be transposed
   */
  public boolean isTransposed(String name, int dimensions) {
    if (dimensions == 3) {
      boolean inputsFirst =
          config.modelType().equals("gpt_oss") || config.modelType().startsWith("llama4");
      return inputsFirst && name.contains(".experts.");
    }
    return dimensions == 2
        && (config.modelType().isEmpty() || config.modelType().equals("gpt2"))
        && CONV1D.matcher(name).find();
  }

  /**
   * A part of a fused matrix.
   *
   * @param label label in the names of reports, such as "q"
   * @param kind role of the part
   * @param begin first row
   * @param end row after the last one
   */
  public record Part(String label, TensorKind kind, long begin, long end) {}

  /**
   * {@return the parts of a fused matrix whose rows lie together: queries, keys and values, or gate
   * and up}
   *
   * @param name name of the matrix
   * @param kind role of the matrix
   * @param rows number of outputs
   * @param columns number of inputs
   */
  public List<Part> parts(String name, TensorKind kind, long rows, long columns) {
    if (kind == TensorKind.GATE_UP && rows % 2 == 0) {
      return List.of(
          new Part("gate", TensorKind.GATE_PROJ, 0, rows / 2),
          new Part("up", TensorKind.UP_PROJ, rows / 2, rows));
    }
    if (kind != TensorKind.QKV) {
      return List.of();
    }
    List<Part> parts = new ArrayList<>();
    List<Head> heads = heads(name, kind, rows, columns);
    Map<HeadPart, TensorKind> kinds =
        Map.of(
            HeadPart.QUERY, TensorKind.Q_PROJ,
            HeadPart.KEY, TensorKind.K_PROJ,
            HeadPart.VALUE, TensorKind.V_PROJ);
    long covered = 0;
    for (HeadPart part : List.of(HeadPart.QUERY, HeadPart.KEY, HeadPart.VALUE)) {
      long begin = covered;
      for (Head head : heads) {
        if (head.part() == part) {
          if (head.begin() != covered) {
            return List.of(); // The parts are interleaved.
          }
          covered = head.end();
        }
      }
      if (covered > begin) {
        parts.add(new Part(part.label(), kinds.get(part), begin, covered));
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
    String[] segments = name.split("\\.");
    boolean attention = Arrays.stream(segments).anyMatch(ATTENTION::contains);
    if (!attention || isApart(name)) {
      return List.of();
    }
    Optional<ModelConfig.GlobalAttention> own =
        config
            .global()
            .filter(
                all -> layer(name).isPresent() && all.layers().contains(layer(name).getAsInt()));
    return own.map(
            all -> heads(kind, rows, columns, all.keyValueHeads(), (long) all.headDimension()))
        .orElseGet(() -> heads(kind, rows, columns));
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
    if (config.keyValueHeads().isEmpty() || config.headDimension().isEmpty()) {
      return List.of();
    }
    return heads(
        kind,
        rows,
        columns,
        config.keyValueHeads().getAsInt(),
        (long) config.headDimension().getAsInt());
  }

  private List<Head> heads(
      TensorKind kind, long rows, long columns, int keyValues, long dimension) {
    if (config.attentionHeads().isEmpty() || rows == 0 || columns == 0) {
      return List.of();
    }
    int queries = config.attentionHeads().getAsInt();
    if (kind == TensorKind.QKV && config.modelType().equals("minimax")) {
      // Its layers of linear attention are fused, and have as many keys as queries.
      return rows == 3 * queries * dimension ? fused(queries, queries, dimension) : List.of();
    }
    // Qwen3-Next and Qwen3.5 store a gate after the queries of each head.
    boolean gated =
        kind == TensorKind.Q_PROJ
            && rows == 2 * queries * dimension
            && (config.modelType().startsWith("qwen3_next")
                || config.modelType().startsWith("qwen3_5"));
    long covered =
        switch (kind) {
          case Q_PROJ -> gated ? rows : queries * dimension;
          case O_PROJ -> queries * dimension;
          case K_PROJ, V_PROJ -> keyValues * dimension;
          case QKV -> (queries + 2L * keyValues) * dimension;
          default -> 0;
        };
    // Before a head is listed: a matrix that is there bounds how many there are.
    if (covered != (kind == TensorKind.O_PROJ ? columns : rows)) {
      return List.of();
    }
    List<Head> heads = new ArrayList<>();
    switch (kind) {
      case Q_PROJ ->
          add(
              heads,
              HeadPart.QUERY,
              queries,
              true,
              0,
              dimension,
              gated ? 2 * dimension : dimension);
      case K_PROJ -> add(heads, HeadPart.KEY, keyValues, true, 0, dimension, dimension);
      case V_PROJ -> add(heads, HeadPart.VALUE, keyValues, true, 0, dimension, dimension);
      case O_PROJ -> add(heads, HeadPart.OUTPUT, queries, false, 0, dimension, dimension);
      default -> heads.addAll(fused(queries, keyValues, dimension));
    }
    return heads;
  }

  private List<Head> fused(int queries, int keyValues, long dimension) {
    List<Head> heads = new ArrayList<>();
    if (config.fusedHeads() == ModelConfig.FusedHeads.CONCATENATED) {
      add(heads, HeadPart.QUERY, queries, true, 0, dimension, dimension);
      long keys = queries * dimension;
      add(heads, HeadPart.KEY, keyValues, true, keys, dimension, dimension);
      long values = keys + keyValues * dimension;
      add(heads, HeadPart.VALUE, keyValues, true, values, dimension, dimension);
      return heads;
    }
    int group = queries / keyValues;
    long step = (group + 2) * dimension;
    for (int query = 0; query < queries; query++) {
      long begin = query / group * step + query % group * dimension;
      heads.add(new Head(HeadPart.QUERY, query, true, begin, begin + dimension));
    }
    add(heads, HeadPart.KEY, keyValues, true, group * dimension, dimension, step);
    add(heads, HeadPart.VALUE, keyValues, true, (group + 1) * dimension, dimension, step);
    return heads;
  }

  private static void add(
      List<Head> heads,
      HeadPart part,
      int count,
      boolean onRows,
      long begin,
      long dimension,
      long step) {
    for (int i = 0; i < count; i++) {
      heads.add(new Head(part, i, onRows, begin + i * step, begin + i * step + dimension));
    }
  }
}
