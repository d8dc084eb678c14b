package org.threegate.checkpoint;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.threegate.checkpoint.adapter.Adapter;
import org.threegate.kernel.Context;
import org.threegate.run.InvalidInputException;
import org.threegate.testing.JsonMutations;
import org.threegate.testing.NativeLeaks;

/** Tests that the sizes stated in files are checked against the data in them. */
@ExtendWith(NativeLeaks.class)
class SizesTest {
  private static final String CONFIG =
      """
      {"model_type": "qwen3", "hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 4,
       "num_key_value_heads": 2, "head_dim": 2, "tie_word_embeddings": false,
       "text_config": {"num_attention_heads": 4, "head_dim": 2, "num_key_value_heads": 2,
         "num_attention_heads_per_layer": [4], "v_head_dim": 1, "global_head_dim": 2,
         "layer_types": ["full_attention"], "per_layer_config": {"0": {"head_dim": 2}},
         "kv_lora_rank": 4, "qk_nope_head_dim": 1, "qk_rope_head_dim": 1},
       "quantization_config": {"quant_method": "fp8", "weight_block_size": [128, 128]}}""";
  private static final String ADAPTER =
      """
      {"peft_type": "LORA", "r": 2, "lora_alpha": 4, "use_rslora": true, "use_dora": false,
       "fan_in_fan_out": true, "rank_pattern": {"q_proj": 2}, "alpha_pattern": {"q_proj": 8},
       "init_lora_weights": true}""";

  @TempDir Path directory;

  private Path write(String name, String text) throws Exception {
    return Files.writeString(directory.resolve(name), text);
  }

  @Test
  void noSizeOfAConfigurationIsBelieved() throws Exception {
    int refused =
        JsonMutations.requireReadOrRefused(
            CONFIG,
            InvalidInputException.class,
            "config.json",
            text -> {
              write("config.json", text);
              Architecture architecture =
                  new Architecture(ModelConfig.read(directory).orElseThrow());
              for (TensorKind kind : TensorKind.values()) {
                String name = "model.layers.0.self_attn.x.weight";
                assertThat(architecture.heads(kind, 8, 8)).hasSizeLessThanOrEqualTo(16);
                assertThat(architecture.heads(name, kind, 8, 8)).hasSizeLessThanOrEqualTo(16);
                for (Architecture.Part part : architecture.parts(name, kind, 8, 8)) {
                  assertThat(part.outputs().end()).isLessThanOrEqualTo(8);
                }
              }
            });
    assertThat(refused).isGreaterThan(100);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "\"num_attention_heads\": 2147483648",
        "\"num_attention_heads\": -7",
        "\"num_attention_heads\": \"12\"",
        "\"num_key_value_heads\": 0.5",
        "\"head_dim\": 1e999",
        "\"num_hidden_layers\": 30000000"
      })
  void whatIsImpossibleIsRefusedByItsName(String field) throws Exception {
    write("config.json", "{" + field + "}");
    assertThatThrownBy(() -> ModelConfig.read(directory))
        .isInstanceOf(InvalidInputException.class)
        .hasMessageContaining("config.json")
        .hasMessageContaining(field.split("\"")[1]);
  }

  @Test
  void whatOtherFamiliesWriteSaysNothing() throws Exception {
    write(
        "config.json",
        """
        {"num_attention_heads": ["12", -1], "num_key_value_heads": null, "head_dim": null,
         "hidden_size": null, "num_hidden_layers": 0, "model_type": null, "text_config": null,
         "tie_word_embeddings": null, "pad_token_id": -1, "rope_scaling": null,
         "quantization_config": {"weight_block_size": null}}""");
    ModelConfig config = ModelConfig.read(directory).orElseThrow();
    assertThat(config).isEqualTo(ModelConfig.UNKNOWN);
  }

  @Test
  void moreHeadsThanEntriesHaveNoDimension() throws Exception {
    write("config.json", "{\"num_attention_heads\": 16, \"hidden_size\": 8}");
    assertThat(ModelConfig.read(directory).orElseThrow().heads().dimension()).isEmpty();
  }

  @Test
  void noNumberOfAnAdapterIsBelieved() throws Exception {
    new SafetensorsWriter()
        .tensor(
            "base_model.model.q_proj.lora_A.weight", TensorType.F32, List.of(2L, 8L), new byte[64])
        .tensor(
            "base_model.model.q_proj.lora_B.weight", TensorType.F32, List.of(8L, 2L), new byte[64])
        .write(directory.resolve(Checkpoint.ADAPTER_WEIGHTS));
    try (Context context = Context.open()) {
      int refused =
          JsonMutations.requireReadOrRefused(
              ADAPTER,
              InvalidInputException.class,
              directory.getFileName().toString(),
              text -> {
                write(Checkpoint.ADAPTER_CONFIG, text);
                try (Adapter adapter = Adapter.open(context, directory)) {
                  double scale = adapter.updates().get("q_proj.weight").get(0).scale();
                  assertThat(scale).isFinite().isPositive();
                }
              });
      assertThat(refused).isGreaterThan(100);
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"\"r\": 0", "\"lora_alpha\": 1e999", "\"lora_alpha\": -1"})
  void anAdapterWithoutAScaleIsRefusedByTheField(String field) throws Exception {
    write(
        Checkpoint.ADAPTER_CONFIG,
        "{" + field + (field.contains("alpha") ? ", \"r\": 2" : ", \"lora_alpha\": 1") + "}");
    try (Context context = Context.open()) {
      assertThatThrownBy(() -> Adapter.open(context, directory))
          .isInstanceOf(InvalidInputException.class)
          .hasMessageContaining(Checkpoint.ADAPTER_CONFIG)
          .hasMessageContaining(field.split("\"")[1]);
    }
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "[1099511627776, 0]",
        "[0, 1099511627776, 1099511627776]",
        "[2147483648, 0]",
        "[65536, 65536, 0]"
      })
  void nothingIsNotHuge(String shape) {
    assertThatThrownBy(() -> parse(shape, 0))
        .isInstanceOf(InvalidInputException.class)
        .hasMessageContaining("\"weight\"");
  }

  @Test
  void anEmptyTensorMayHaveOtherSizes() {
    assertThat(parse("[0, 4096, 14336]", 0).entries().get(0).shape())
        .containsExactly(0L, 4096L, 14336L);
  }

  @Test
  void aShapeHasFewDimensions() {
    assertThat(parse("[" + "1,".repeat(63) + "1]", 1).entries()).hasSize(1);
    assertThatThrownBy(() -> parse("[" + "1,".repeat(1_000_000) + "1]", 1))
        .isInstanceOf(InvalidInputException.class)
        .hasMessageContaining("more than 64");
  }

  private static SafetensorsHeader parse(String shape, int bytes) {
    String header =
        "{\"weight\": {\"dtype\": \"U8\", \"shape\": "
            + shape
            + ", \"data_offsets\": [0, "
            + bytes
            + "]}}";
    java.nio.ByteBuffer buffer =
        java.nio.ByteBuffer.wrap(header.getBytes(java.nio.charset.StandardCharsets.UTF_8));
    return SafetensorsHeader.parse(
        "file", buffer, SafetensorsHeader.LENGTH_BYTES + buffer.remaining() + bytes);
  }
}
