package org.threegate.analysis.intervention;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.threegate.checkpoint.Checkpoint;
import org.threegate.checkpoint.SafetensorsWriter;
import org.threegate.checkpoint.TensorType;
import org.threegate.kernel.Context;
import org.threegate.run.InvalidInputException;
import org.threegate.testing.NativeLeaks;

/**
 * Tests that a model is refused by name if something in its attention is not known to keep the
 * function. The model has one layer, four query heads in two groups, and heads of dimension three.
 */
@ExtendWith(NativeLeaks.class)
class KnownAttentionTest {
  private static final String LAYER = "model.layers.0.";
  private static final String CONFIG =
      "\"num_hidden_layers\":1,\"num_attention_heads\":4,"
          + "\"num_key_value_heads\":2,\"head_dim\":3,\"hidden_size\":10";

  @TempDir Path directory;
  private final Map<String, List<Long>> tensors = new LinkedHashMap<>();

  @BeforeEach
  void plainAttention() {
    tensors.put(LAYER + "self_attn.q_proj.weight", List.of(12L, 10L));
    tensors.put(LAYER + "self_attn.k_proj.weight", List.of(6L, 10L));
    tensors.put(LAYER + "self_attn.v_proj.weight", List.of(6L, 10L));
    tensors.put(LAYER + "self_attn.o_proj.weight", List.of(10L, 12L));
    tensors.put(LAYER + "self_attn.rotary_emb.inv_freq", List.of(1L));
    tensors.put(LAYER + "input_layernorm.weight", List.of(10L));
    tensors.put(LAYER + "mlp.experts.0.gate_proj.weight", List.of(4L, 10L));
    tensors.put("model.embed_tokens.weight", List.of(5L, 10L));
  }

  private interface Change {
    void of(Intervention intervention);
  }

  private void change(String family, String fields, Change change) throws IOException {
    Path model = Files.createDirectories(directory.resolve("model"));
    Random random = new Random(1);
    SafetensorsWriter writer = new SafetensorsWriter();
    tensors.forEach(
        (name, shape) -> {
          int count = Math.toIntExact(shape.stream().reduce(1L, Math::multiplyExact));
          double[] values = random.doubles(count, -1, 1).toArray();
          writer.tensor(name, TensorType.F32, shape, TensorValues.bytes(values, TensorType.F32));
        });
    writer.write(model.resolve("model.safetensors"));
    // A field may be in the file only once.
    String sizes =
        fields.contains("num_attention_heads")
            ? CONFIG.replace("\"num_attention_heads\":4,", "")
            : CONFIG;
    Files.writeString(
        model.resolve("config.json"), "{\"model_type\":\"" + family + "\"," + sizes + fields + "}");
    try (Context context = Context.open(Context.Device.CPU, 1);
        Checkpoint checkpoint = Checkpoint.open(context, model)) {
      change.of(new Intervention(checkpoint, 3));
    }
  }

  private void refused(String family, String fields, String... parts) {
    for (Change change : List.<Change>of(own -> own.rotateValues(0), own -> own.permuteHeads(0))) {
      assertThatThrownBy(() -> change(family, fields, change))
          .isInstanceOf(InvalidInputException.class)
          .hasMessageContainingAll(Arrays.copyOf(parts, parts.length));
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"llama", "qwen3", "gemma3_text", "olmo2"})
  void knownAttentionIsChanged(String family) throws IOException {
    change(family, "", own -> assertThat(own.rotateValues(0).exactError()).isLessThan(1e-14));
    change(family, "", own -> assertThat(own.permuteHeads(0).storedError()).isZero());
  }

  @Test
  void theDocumentationListsTheFamilies() throws IOException {
    String page =
        Files.readString(Path.of(System.getProperty("threegate.root"), "docs", "interventions.md"));
    String list = page.substring(page.indexOf("The families are "));
    list = list.substring(0, list.indexOf("\n\n"));
    assertThat(list.split("`")).containsAll(KnownAttention.FAMILIES);
    assertThat(list.chars().filter(c -> c == '`').count() / 2)
        .isEqualTo(KnownAttention.FAMILIES.size());
  }

  @ParameterizedTest
  @CsvSource({
    "self_attn.sinks, 4", // gpt-oss
    "self_attn.attn_sub_norm.weight, 12", // BitNet
    "self_attn.gate_proj.weight, 12", // gates before the output
    "self_attn.kv_a_proj_with_mqa.weight, 5", // multi-head latent attention
    "self_attn.v_norm.weight, 3", // Gemma 4 with scales
    "self_attn.q_proj.lora_A.weight, 4",
    "self_attn.q_proj.weight_scale_inv, 1",
    "linear_attn.A_log, 4", // Qwen3-Next
    "mamba.A_log, 4", // hybrids
    "per_layer_input_gate.weight, 4" // Gemma 3n
  })
  void anUnknownTensorIsNamed(String name, long length) {
    tensors.put(LAYER + name, List.of(length));
    refused("llama", "", "model.safetensors: tensor \"" + LAYER + name, "keep the function of");
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "model.vision_tower.encoder.layers.0.self_attn.q_proj.weight",
        "mtp.layers.0.self_attn.q_proj.weight",
        "visual.blocks.1.attn.qkv.weight"
      })
  void aSecondStackOfLayersIsNamed(String name) {
    tensors.put(name, List.of(12L, 10L));
    refused("llama", "", name, "single stack of layers");
  }

  @Test
  void anotherSpellingOfTheLayerIsNamed() {
    tensors.put("model.layers.00.self_attn.sinks", List.of(4L));
    refused("llama", "", "model.layers.00.self_attn.sinks");
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "olmo  | \"clip_qkv\":8.0 | clip_qkv",
        "llama | \"num_kv_shared_layers\":1 | num_kv_shared_layers",
        "llama | \"attention_k_eq_v\":true | attention_k_eq_v",
        "llama | \"quantization_config\":{\"quant_method\":\"fp8\"} | quantization_config",
        "llama | \"layer_types\":[\"linear_attention\"] | linear_attention"
      })
  void aFieldThatChangesAttentionIsNamed(String family, String field, String named) {
    refused(family, "," + field, "config.json", named);
  }

  @Test
  void fieldsWithoutEffectAreAccepted() throws IOException {
    String fields =
        ",\"clip_qkv\":null,\"num_kv_shared_layers\":0,\"attention_k_eq_v\":false,"
            + "\"layer_types\":[\"sliding_attention\"]";
    change("olmo", fields, own -> own.rotateValues(0));
  }

  @ParameterizedTest
  @ValueSource(strings = {"", "bitnet", "gpt_oss", "gemma4_text", "deepseek_v3"})
  void anUnknownFamilyIsNamed(String family) {
    refused(family, "", "config.json", "model_type \"" + family + "\"", "it is for apertus, ");
  }

  @ParameterizedTest
  @CsvSource({"q_proj, 24", "k_proj, 9", "v_proj, 3"})
  void aMatrixThatDoesNotFitIsNamed(String matrix, long rows) {
    String name = LAYER + "self_attn." + matrix + ".weight";
    tensors.put(name, List.of(rows, 10L));
    refused("llama", "", name, "has shape [" + rows + ", 10]");
  }

  @Test
  void aBiasThatDoesNotFitIsNamed() {
    String name = LAYER + "self_attn.v_proj.bias";
    tensors.put(name, List.of(7L));
    refused("qwen2", "", name, "has shape [7]");
  }

  @Test
  void headsThatAreNoGroupsAreRefused() {
    refused("llama", ",\"num_attention_heads\":3", "3 query heads", "not a multiple");
  }

  @Test
  void normalizationOfAHeadCommutes() throws IOException {
    tensors.put(LAYER + "self_attn.q_norm.weight", List.of(3L));
    tensors.put(LAYER + "self_attn.k_norm.weight", List.of(3L));
    change("qwen3", "", own -> own.rotateValues(0));
    change("qwen3", "", own -> own.permuteHeads(0));
  }

  @ParameterizedTest
  @CsvSource({"q_norm, 12", "k_norm, 6"})
  void normalizationOfAllHeadsForbidsPermutationsOnly(String norm, long length) throws IOException {
    String name = LAYER + "self_attn." + norm + ".weight";
    tensors.put(name, List.of(length));
    change("olmo2", "", own -> own.rotateValues(0));
    assertThatThrownBy(() -> change("olmo2", "", own -> own.permuteHeads(0)))
        .isInstanceOf(InvalidInputException.class)
        .hasMessageContainingAll(name, "heads cannot be permuted; values can be rotated");
  }
}
