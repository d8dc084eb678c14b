package org.threegate.checkpoint;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.ObjectMapper;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class ArchitectureTest {
  private static Architecture architecture(String config) throws Exception {
    return new Architecture(config(config));
  }

  private static ModelConfig config(String text) throws Exception {
    return ModelConfig.parse(JsonFields.of(new ObjectMapper().readTree(text), "config.json"));
  }

  @ParameterizedTest
  @CsvSource({
    "model.layers.7.self_attn.q_proj.weight, 2, q_proj, 7",
    "model.language_model.layers.12.self_attn.k_proj.weight, 2, k_proj, 12",
    "model.layers.0.self_attn.v_proj.bias, 1, bias, 0",
    "model.layers.0.self_attn.o_proj.weight, 2, o_proj, 0",
    "model.layers.0.self_attn.q_norm.weight, 1, norm, 0",
    "model.layers.3.self_attn.qkv_proj.weight, 2, qkv, 3",
    "model.layers.3.mlp.gate_up_proj.weight, 2, gate_up, 3",
    "model.layers.3.mlp.gate_proj.weight, 2, gate_proj, 3",
    "model.layers.3.mlp.up_proj.weight, 2, up_proj, 3",
    "model.layers.3.mlp.down_proj.weight, 2, down_proj, 3",
    "model.layers.3.pre_feedforward_layernorm.weight, 1, norm, 3",
    "model.layers.5.mlp.experts.17.gate_proj.weight, 2, expert, 5",
    "model.layers.5.mlp.experts.gate_up_proj, 3, expert, 5",
    "model.layers.5.mlp.experts.down_proj, 3, expert, 5",
    "model.layers.5.mlp.gate.weight, 2, router, 5",
    "model.embed_tokens.weight, 2, embed, -1",
    "lm_head.weight, 2, lm_head, -1",
    "model.norm.weight, 1, norm, -1",
    "h.2.attn.c_attn.weight, 2, qkv, 2",
    "transformer.h.2.attn.c_proj.weight, 2, o_proj, 2",
    "h.2.mlp.c_fc.weight, 2, up_proj, 2",
    "h.2.mlp.c_proj.weight, 2, down_proj, 2",
    "h.2.ln_1.weight, 1, norm, 2",
    "wte.weight, 2, embed, -1",
    "wpe.weight, 2, embed, -1",
    "visual.patch_embed.conv.weight, 4, conv, -1",
    "something.else, 2, other, -1",
    "weight, 1, other, -1"
  })
  void namesSayWhatATensorIs(String name, int dimensions, String kind, int layer) {
    Architecture architecture = new Architecture(ModelConfig.UNKNOWN);
    assertThat(architecture.kind(name, dimensions).label()).isEqualTo(kind);
    assertThat(architecture.layer(name).orElse(-1)).isEqualTo(layer);
  }

  @Test
  void headsFollowTheConfiguration() throws Exception {
    Architecture qwen =
        architecture(
            "{\"num_attention_heads\":4,\"num_key_value_heads\":2,\"hidden_size\":128,\"head_dim\":32}");
    assertThat(qwen.heads(TensorKind.Q_PROJ, 128, 128)).hasSize(4);
    assertThat(qwen.heads(TensorKind.K_PROJ, 64, 128))
        .containsExactly(
            new Architecture.Head(HeadPart.KEY, 0, true, 0, 32),
            new Architecture.Head(HeadPart.KEY, 1, true, 32, 64));
    assertThat(qwen.heads(TensorKind.O_PROJ, 128, 128)).allMatch(head -> !head.onRows());
    assertThat(qwen.heads(TensorKind.QKV, 256, 128))
        .hasSize(8)
        .contains(new Architecture.Head(HeadPart.VALUE, 1, true, 224, 256));
    assertThat(qwen.heads(TensorKind.Q_PROJ, 96, 128))
        .as("heads of a matrix that does not fit the configuration")
        .isEmpty();
    assertThat(qwen.heads(TensorKind.DOWN_PROJ, 128, 128)).isEmpty();
    assertThat(new Architecture(ModelConfig.UNKNOWN).heads(TensorKind.Q_PROJ, 128, 128)).isEmpty();
  }

  @Test
  void gpt2IsStoredTransposed() throws Exception {
    Architecture gpt2 =
        architecture("{\"model_type\":\"gpt2\",\"n_head\":12,\"n_embd\":768,\"n_layer\":12}");
    assertThat(gpt2.isTransposed("h.0.attn.c_attn.weight", 2)).isTrue();
    assertThat(gpt2.isTransposed("h.0.attn.c_attn.bias", 1)).isFalse();
    assertThat(gpt2.isTransposed("wte.weight", 2)).isFalse();
    assertThat(gpt2.heads(TensorKind.QKV, 2304, 768)).hasSize(36);
    assertThat(architecture("{\"model_type\":\"llama\"}").isTransposed("h.0.mlp.c_fc.weight", 2))
        .isFalse();
  }

  @Test
  void aNestedTextConfigurationIsRead() throws Exception {
    ModelConfig config =
        config(
            "{\"model_type\":\"gemma3\",\"text_config\":{\"num_attention_heads\":8,\"hidden_size\":64,\"tie_word_embeddings\":true}}");
    assertThat(config.headDimension()).hasValue(8);
    assertThat(config.keyValueHeads()).hasValue(8);
    assertThat(config.tiedEmbeddings()).isTrue();
  }
}
