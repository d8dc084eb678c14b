package org.threegate.checkpoint;

import com.fasterxml.jackson.databind.JsonNode;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.OptionalInt;

/**
 * How the weights of a checkpoint are quantized: {@code quantization_config} of a Hugging Face
 * {@code config.json}, or ModelOpt's {@code hf_quant_config.json}.
 *
 * @param method name of the method in lower case, such as "fp8" or "gptq"; "" if the configuration
 *     names none
 * @param format layout of compressed-tensors, such as "pack-quantized"; "" for other methods
 * @param block rows and columns of a block that shares a scale; empty if not stated
 * @param group columns that share a scale; empty if not stated
 * @param bits bits of a code; empty if not stated
 * @param version version of the layout in lower case, such as "gemm" of AWQ or "gptq_v2"; "" if not
 *     stated
 */
public record Quantization(
    String method,
    String format,
    List<Integer> block,
    OptionalInt group,
    OptionalInt bits,
    String version) {
  /** The configuration of a checkpoint that states none. */
  public static final Quantization NONE =
      new Quantization("", "", List.of(), OptionalInt.empty(), OptionalInt.empty(), "");

  private static final int WIDEST = 1 << 24;
  private static final int MOST_BITS = 32;

  /** Copies the block. */
  public Quantization {
    block = List.copyOf(block);
  }

  /** {@return the name of the method as a reader knows it} */
  public String label() {
    return format.isEmpty() ? method : method + " (" + format + ")";
  }

  static Quantization parse(JsonFields config) {
    for (String name : List.of("quantization_config", "compression_config")) {
      if (config.value(name).isObject()) {
        return ofConfig(config.object(name));
      }
    }
    return NONE;
  }

  /** Reads {@code hf_quant_config.json}. */
  static Quantization parseModelOpt(JsonFields root) {
    JsonFields own = root.object("quantization");
    return new Quantization(
        "modelopt",
        own.text("quant_algo").orElse("").toLowerCase(Locale.ROOT),
        List.of(),
        own.integer("group_size", 1, WIDEST),
        OptionalInt.empty(),
        "");
  }

  private static Quantization ofConfig(JsonFields own) {
    String method = own.text("quant_method").orElse("").toLowerCase(Locale.ROOT);
    JsonFields weights = weights(own);
    List<Integer> block =
        own.value("weight_block_size").isArray()
            ? own.integers("weight_block_size", 1, WIDEST)
            : weights.value("block_structure").isArray()
                ? weights.integers("block_structure", 1, WIDEST)
                : List.of();
    if (!block.isEmpty() && block.size() != 2) {
      throw own.refused("weight_block_size", "the rows and the columns of a block");
    }
    return new Quantization(
        method,
        own.text("format").or(() -> own.text("quant_algo")).orElse("").toLowerCase(Locale.ROOT),
        block,
        size(List.of(own, weights), "group_size"),
        size(List.of(own, weights), "bits", "num_bits", "w_bit"),
        own.text("checkpoint_format")
            .or(() -> own.text("version"))
            .orElse("")
            .toLowerCase(Locale.ROOT));
  }

  /** {@return the scheme of the first group of compressed-tensors, or no fields} */
  private static JsonFields weights(JsonFields own) {
    JsonFields groups = own.object("config_groups");
    List<String> names = new ArrayList<>(groups.names());
    for (String name : names) {
      JsonNode group = groups.value(name);
      if (group.isObject() && group.path("weights").isObject()) {
        return groups.object(name).object("weights");
      }
    }
    return JsonFields.of(
        com.fasterxml.jackson.databind.node.MissingNode.getInstance(), own.where());
  }

  /** {@return the first positive size; -1 means one scale for all columns and counts as none} */
  private static OptionalInt size(List<JsonFields> places, String... names) {
    for (JsonFields place : places) {
      for (String name : names) {
        if (place.value(name).isNumber() && place.value(name).asDouble() > 0) {
          return place.integer(name, 1, name.equals("group_size") ? WIDEST : MOST_BITS);
        }
      }
    }
    return OptionalInt.empty();
  }
}
