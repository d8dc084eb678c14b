package org.threegate.checkpoint;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.OptionalInt;
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
  private static final Map<String, TensorKind> MODULES =
      Map.ofEntries(
          Map.entry("q_proj", TensorKind.Q_PROJ),
          Map.entry("k_proj", TensorKind.K_PROJ),
          Map.entry("v_proj", TensorKind.V_PROJ),
          Map.entry("o_proj", TensorKind.O_PROJ),
          Map.entry("out_proj", TensorKind.O_PROJ),
          Map.entry("attn.c_proj", TensorKind.O_PROJ),
          Map.entry("qkv_proj", TensorKind.QKV),
          Map.entry("c_attn", TensorKind.QKV),
          Map.entry("gate_proj", TensorKind.GATE_PROJ),
          Map.entry("up_proj", TensorKind.UP_PROJ),
          Map.entry("c_fc", TensorKind.UP_PROJ),
          Map.entry("fc1", TensorKind.UP_PROJ),
          Map.entry("down_proj", TensorKind.DOWN_PROJ),
          Map.entry("mlp.c_proj", TensorKind.DOWN_PROJ),
          Map.entry("fc2", TensorKind.DOWN_PROJ),
          Map.entry("gate_up_proj", TensorKind.GATE_UP),
          Map.entry("mlp.gate", TensorKind.ROUTER),
          Map.entry("block_sparse_moe.gate", TensorKind.ROUTER),
          Map.entry("router", TensorKind.ROUTER),
          Map.entry("shared_expert_gate", TensorKind.ROUTER),
          Map.entry("embed_tokens", TensorKind.EMBED),
          Map.entry("wte", TensorKind.EMBED),
          Map.entry("wpe", TensorKind.EMBED),
          Map.entry("lm_head", TensorKind.LM_HEAD));

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
   * {@return the number of the layer in a tensor's name, if it has one}
   *
   * @param name name of a tensor in the checkpoint
   */
  public OptionalInt layer(String name) {
    Matcher matcher = LAYER.matcher(name);
    if (!matcher.find()) {
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
    String lastTwo = segments.length < 2 ? last : segments[segments.length - 2] + "." + last;
    TensorKind kind = MODULES.getOrDefault(lastTwo, MODULES.get(last));
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
    return dimensions == 2
        && (config.modelType().isEmpty() || config.modelType().equals("gpt2"))
        && CONV1D.matcher(name).find();
  }

  /**
   * Returns the attention heads in a matrix.
   *
   * @param kind role of the matrix; only the matrices of attention have heads
   * @param rows number of outputs
   * @param columns number of inputs
   * @return empty if the configuration does not fit the matrix
   */
  public List<Head> heads(TensorKind kind, long rows, long columns) {
    if (config.attentionHeads().isEmpty()
        || config.keyValueHeads().isEmpty()
        || config.headDimension().isEmpty()) {
      return List.of();
    }
    int queries = config.attentionHeads().getAsInt();
    int keyValues = config.keyValueHeads().getAsInt();
    long dimension = config.headDimension().getAsInt();
    long covered =
        switch (kind) {
          case Q_PROJ, O_PROJ -> queries * dimension;
          case K_PROJ, V_PROJ -> keyValues * dimension;
          case QKV -> (queries + 2L * keyValues) * dimension;
          default -> 0;
        };
    // Before a head is listed: a matrix that is there bounds how many there are.
    if (rows == 0 || columns == 0 || covered != (kind == TensorKind.O_PROJ ? columns : rows)) {
      return List.of();
    }
    List<Head> heads = new ArrayList<>();
    switch (kind) {
      case Q_PROJ -> add(heads, HeadPart.QUERY, queries, true, 0, dimension);
      case K_PROJ -> add(heads, HeadPart.KEY, keyValues, true, 0, dimension);
      case V_PROJ -> add(heads, HeadPart.VALUE, keyValues, true, 0, dimension);
      case O_PROJ -> add(heads, HeadPart.OUTPUT, queries, false, 0, dimension);
      default -> {
        add(heads, HeadPart.QUERY, queries, true, 0, dimension);
        add(heads, HeadPart.KEY, keyValues, true, queries * dimension, dimension);
        add(heads, HeadPart.VALUE, keyValues, true, (queries + keyValues) * dimension, dimension);
      }
    }
    return heads;
  }

  private static void add(
      List<Head> heads, HeadPart part, int count, boolean onRows, long begin, long dimension) {
    for (int i = 0; i < count; i++) {
      heads.add(new Head(part, i, onRows, begin + i * dimension, begin + (i + 1) * dimension));
    }
  }
}
