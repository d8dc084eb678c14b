package org.threegate.analysis.intervention;

import com.fasterxml.jackson.databind.JsonNode;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;
import java.util.regex.Pattern;
import org.threegate.checkpoint.Checkpoint;
import org.threegate.checkpoint.JsonFields;
import org.threegate.checkpoint.Tensor;
import org.threegate.run.InvalidInputException;

/**
 * The attention whose function is known well enough to change its bases: a softmax over products of
 * queries and keys, whose mean of the values goes straight into the output matrix. Everything that
 * is not known to belong to such attention is refused by name, because a change of bases might not
 * commute with it.
 */
final class KnownAttention {
  /** Values of {@code model_type} whose published code computes this attention. */
  static final Set<String> FAMILIES =
      new TreeSet<>(
          List.of(
              "apertus",
              "arcee",
              "cohere",
              "cohere2",
              "cwm",
              "dots1",
              "ernie4_5",
              "ernie4_5_moe",
              "exaone_moe",
              "flex_olmo",
              "gemma",
              "gemma2",
              "gemma3_text",
              "glm",
              "glm4",
              "glm4_moe",
              "granite",
              "granitemoe",
              "hunyuan_v1_dense",
              "hunyuan_v1_moe",
              "llama",
              "minimax_m2",
              "ministral3",
              "mistral",
              "mixtral",
              "nemotron",
              "olmo",
              "olmo2",
              "olmo3",
              "olmoe",
              "phi3",
              "phimoe",
              "qwen2",
              "qwen2_moe",
              "qwen3",
              "qwen3_moe",
              "seed_oss",
              "smollm3",
              "solar_open",
              "starcoder2",
              "vaultgemma"));

  /** Fields of {@code config.json} that change what happens between values and outputs. */
  private static final List<String> FIELDS =
      List.of(
          "clip_qkv",
          "num_kv_shared_layers",
          "attention_k_eq_v",
          "attn_output_gate",
          "use_output_gate",
          "gated_attention",
          "attention_sink_bias",
          "add_full_attention_sink_bias",
          "add_swa_attention_sink_bias",
          "kv_lora_rank",
          "v_head_dim",
          "quantization_config");

  private static final Set<String> LAYER_TYPES =
      Set.of("full_attention", "sliding_attention", "chunked_attention");

  private static final Pattern PROJECTION =
      Pattern.compile("self_attn\\.(?:[qkvo]|qkv)_proj\\.(?:weight|bias)");
  private static final Pattern NORM =
      Pattern.compile(
          "self_attn\\.(?:q_norm|k_norm|query_layernorm|key_layernorm)\\.(?:weight|bias)");

  /** Parts of a layer that read and write the residual stream only, and constants. */
  private static final Pattern OUTSIDE =
      Pattern.compile(
          "(?:mlp|block_sparse_moe|feed_forward)\\..+|[a-z_]*norm\\.(?:weight|bias)"
              + "|self_attn\\.rotary_emb\\.inv_freq");

  /** The number of a layer of any stack, such as that of a tower. */
  private static final Pattern NUMBERED =
      Pattern.compile("(?:^|\\.)(?:\\w*layers?|\\w*blocks?|h)\\.\\d+\\.");

  private KnownAttention() {}

  /** A tensor of a layer, with its name within the layer. */
  record Member(String part, Tensor tensor) {
    boolean isProjection() {
      return PROJECTION.matcher(part).matches();
    }

    boolean isNorm() {
      return NORM.matcher(part).matches();
    }

    boolean isWeight() {
      return part.endsWith(".weight");
    }

    InvalidInputException refused(String why) {
      return new InvalidInputException(
          tensor.file().path() + ": tensor \"" + tensor.name() + "\" " + why);
    }
  }

  /**
   * Returns the tensors of the attention of a layer.
   *
   * @throws InvalidInputException if a tensor, a field or the family is not known
   */
  static List<Member> of(Checkpoint checkpoint, int index) {
    String stack =
        checkpoint.tensors().keySet().stream().anyMatch(name -> name.startsWith("model.layers."))
            ? "model.layers."
            : "layers.";
    String prefix = stack + index + ".";
    for (Tensor tensor : checkpoint.tensors().values()) {
      Member member = new Member(tensor.name(), tensor);
      if (!tensor.name().startsWith(stack) && NUMBERED.matcher(tensor.name()).find()) {
        throw member.refused(
            "belongs to a layer outside of \""
                + stack
                + "\", and only models with that single stack of layers are understood");
      }
      if (tensor.name().startsWith(stack + "0") && !tensor.name().startsWith(stack + "0.")) {
        throw unknown(member, index); // another spelling of a number
      }
    }
    List<Member> members =
        checkpoint.tensors().values().stream()
            .filter(tensor -> tensor.name().startsWith(prefix))
            .map(tensor -> new Member(tensor.name().substring(prefix.length()), tensor))
            .filter(member -> !OUTSIDE.matcher(member.part()).matches())
            .toList();
    members.stream()
        .filter(member -> !member.isProjection() && !member.isNorm())
        .findFirst()
        .ifPresent(
            member -> {
              throw unknown(member, index);
            });
    requireConfig(checkpoint);
    return members;
  }

  private static InvalidInputException unknown(Member member, int index) {
    return member.refused(
        "is not known to keep the function of layer "
            + index
            + " when the bases of its heads change; nothing is written");
  }

  private static void requireConfig(Checkpoint checkpoint) {
    Path path = checkpoint.path();
    Path directory =
        Files.isDirectory(path)
            ? path
            : Optional.ofNullable(path.toAbsolutePath().getParent()).orElse(path);
    JsonFields config = JsonFields.read(directory.resolve("config.json"));
    for (String field : FIELDS) {
      if (isSet(config.value(field))) {
        throw new InvalidInputException(
            config.where()
                + ": "
                + field
                + " is set, and the function of the model would change with the bases of its heads");
      }
    }
    for (JsonNode type : config.value("layer_types")) {
      if (!LAYER_TYPES.contains(type.asText())) {
        throw new InvalidInputException(
            config.where()
                + ": layer_types has \""
                + type.asText()
                + "\", whose attention is not known");
      }
    }
    String family = config.text("model_type").orElse("");
    if (!FAMILIES.contains(family)) {
      throw new InvalidInputException(
          config.where()
              + ": the attention of model_type \""
              + family
              + "\" is not known; it is for "
              + String.join(", ", FAMILIES));
    }
  }

  private static boolean isSet(JsonNode value) {
    return value.isContainerNode()
        ? !value.isEmpty()
        : value.isTextual() || value.asDouble() != 0 || value.asBoolean();
  }
}
