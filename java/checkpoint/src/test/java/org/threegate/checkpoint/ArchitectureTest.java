package org.threegate.checkpoint;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.ObjectMapper;
import java.util.List;
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
    "model.visual.blocks.3.attn.qkv_proj.weight, 2, qkv, -1",
    "model.vision_tower.encoder.layers.3.self_attn.q_proj.weight, 2, q_proj, -1",
    "mtp.layers.0.self_attn.q_proj.weight, 2, q_proj, -1",
    "model.layers.0.linear_attn.out_proj.weight, 2, other, 0",
    "model.layers.0.linear_attn.in_proj_qkvz.weight, 2, other, 0",
    "model.layers.0.linear_attn.conv1d.weight, 3, conv, 0",
    "model.layers.1.mamba.out_proj.weight, 2, other, 1",
    "backbone.layers.2.mixer.out_proj.weight, 2, other, 2",
    "backbone.layers.2.mixer.o_proj.weight, 2, o_proj, 2",
    "backbone.layers.2.mixer.gate.weight, 2, router, 2",
    "model.layers.0.conv.out_proj.weight, 2, other, 0",
    "model.layers.0.self_attn.out_proj.weight, 2, o_proj, 0",
    "model.layers.0.self_attn.gate_proj.weight, 2, other, 0",
    "model.layers.0.self_attn.q_a_proj.weight, 2, other, 0",
    "model.layers.0.feed_forward.w1.weight, 2, gate_proj, 0",
    "model.layers.0.feed_forward.w2.weight, 2, down_proj, 0",
    "model.layers.0.feed_forward.w3.weight, 2, up_proj, 0",
    "model.layers.0.feed_forward.router.weight, 2, router, 0",
    "model.layers.0.feed_forward.gate.weight, 2, router, 0",
    "model.layers.0.block_sparse_moe.gate.weight, 2, router, 0",
    "model.layers.0.block_sparse_moe.input_linear.weight, 3, expert, 0",
    "model.layers.0.block_sparse_moe.experts.3.w1.weight, 2, expert, 0",
    "model.layers.0.block_sparse_moe.router.layer.weight, 2, router, 0",
    "model.layers.0.mlp.gate.wg.weight, 2, router, 0",
    "model.layers.0.shared_mlp.input_linear.weight, 2, gate_up, 0",
    "model.layers.0.mlp.shared_experts.up_proj.weight, 2, up_proj, 0",
    "gpt_neox.layers.1.attention.query_key_value.weight, 2, qkv, 1",
    "gpt_neox.layers.1.attention.dense.weight, 2, o_proj, 1",
    "gpt_neox.layers.1.mlp.dense_h_to_4h.weight, 2, up_proj, 1",
    "gpt_neox.layers.1.mlp.dense_4h_to_h.weight, 2, down_proj, 1",
    "gpt_neox.embed_in.weight, 2, embed, -1",
    "embed_out.weight, 2, lm_head, -1",
    "transformer.word_embeddings.weight, 2, embed, -1",
    "transformer.blocks.1.attn.Wqkv.weight, 2, qkv, 1",
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

  private static List<Long> begins(
      Architecture architecture, String name, HeadPart part, long rows) {
    TensorKind kind = architecture.kind(name, 2);
    return architecture.heads(name, kind, rows, 64).stream()
        .filter(head -> head.part() == part)
        .map(Architecture.Head::begin)
        .toList();
  }

  /** In each family, the rows of queries, keys and values are where its code reads them. */
  @Test
  void fusedHeadsAreWhereTheFamilyHasThem() throws Exception {
    String sizes = "\"num_attention_heads\":4,\"n_head\":4,\"hidden_size\":64,";
    Architecture neox = architecture("{" + sizes + "\"model_type\":\"gpt_neox\"}");
    String fused = "gpt_neox.layers.0.attention.query_key_value.weight";
    assertThat(begins(neox, fused, HeadPart.QUERY, 192)).containsExactly(0L, 48L, 96L, 144L);
    assertThat(begins(neox, fused, HeadPart.KEY, 192)).containsExactly(16L, 64L, 112L, 160L);
    assertThat(begins(neox, fused, HeadPart.VALUE, 192)).containsExactly(32L, 80L, 128L, 176L);
    Architecture stated =
        architecture("{" + sizes + "\"model_type\":\"gpt_neox\",\"num_key_value_heads\":2}");
    assertThat(begins(stated, fused, HeadPart.KEY, 192))
        .as("a family without shared keys")
        .containsExactly(16L, 64L, 112L, 160L);
    Architecture minimax =
        architecture("{" + sizes + "\"model_type\":\"minimax\",\"num_key_value_heads\":2}");
    assertThat(begins(minimax, "model.layers.0.self_attn.qkv_proj.weight", HeadPart.KEY, 192))
        .containsExactly(16L, 64L, 112L, 160L);
    Architecture phi3 =
        architecture("{" + sizes + "\"model_type\":\"phi3\",\"num_key_value_heads\":2}");
    String joined = "model.layers.0.self_attn.qkv_proj.weight";
    assertThat(begins(phi3, joined, HeadPart.KEY, 128)).containsExactly(64L, 80L);
    assertThat(begins(phi3, joined, HeadPart.VALUE, 128)).containsExactly(96L, 112L);
    String falcon = "transformer.h.0.self_attention.query_key_value.weight";
    Architecture shared = architecture("{" + sizes + "\"model_type\":\"falcon\"}");
    assertThat(begins(shared, falcon, HeadPart.QUERY, 96)).containsExactly(0L, 16L, 32L, 48L);
    assertThat(begins(shared, falcon, HeadPart.VALUE, 96)).containsExactly(80L);
    Architecture groups =
        architecture(
            "{"
                + sizes
                + "\"model_type\":\"falcon\",\"new_decoder_architecture\":true,\"num_kv_heads\":2}");
    assertThat(begins(groups, falcon, HeadPart.QUERY, 128)).containsExactly(0L, 16L, 64L, 80L);
    assertThat(begins(groups, falcon, HeadPart.KEY, 128)).containsExactly(32L, 96L);
    Architecture gated =
        architecture("{" + sizes + "\"model_type\":\"qwen3_next\",\"head_dim\":16}");
    assertThat(begins(gated, "model.layers.1.self_attn.q_proj.weight", HeadPart.QUERY, 128))
        .containsExactly(0L, 32L, 64L, 96L);
  }

  @Test
  void onlyAttentionOfTheLanguageModelHasHeads() throws Exception {
    Architecture model =
        architecture(
            "{\"model_type\":\"qwen3_next\",\"num_attention_heads\":4,\"head_dim\":16,\"num_key_value_heads\":4}");
    for (String name :
        List.of("model.visual.blocks.0.attn.q_proj.weight", "model.layers.0.other.q_proj.weight")) {
      assertThat(model.heads(name, model.kind(name, 2), 64, 64)).as(name).isEmpty();
    }
    String name = "model.layers.0.self_attn.q_proj.weight";
    assertThat(model.heads(name, model.kind(name, 2), 64, 64)).hasSize(4);
  }

  @Test
  void layersMayHaveHeadsOfTheirOwnSize() throws Exception {
    Architecture gemma =
        architecture(
            "{\"model_type\":\"gemma4_text\",\"num_attention_heads\":4,\"num_key_value_heads\":2,\"head_dim\":16,"
                + "\"global_head_dim\":32,\"num_global_key_value_heads\":1,"
                + "\"layer_types\":[\"sliding_attention\",\"full_attention\"]}");
    assertThat(gemma.heads("model.layers.0.self_attn.k_proj.weight", TensorKind.K_PROJ, 32, 64))
        .hasSize(2);
    assertThat(gemma.heads("model.layers.1.self_attn.k_proj.weight", TensorKind.K_PROJ, 32, 64))
        .containsExactly(new Architecture.Head(HeadPart.KEY, 0, true, 0, 32));
  }

  @Test
  void expertsOfSomeFamiliesAreStoredAsInputsByOutputs() throws Exception {
    String name = "model.layers.0.mlp.experts.gate_up_proj";
    assertThat(architecture("{\"model_type\":\"gpt_oss\"}").isTransposed(name, 3)).isTrue();
    assertThat(architecture("{\"model_type\":\"llama4_text\"}").isTransposed(name, 3)).isTrue();
    assertThat(architecture("{\"model_type\":\"qwen3_5_moe\"}").isTransposed(name, 3)).isFalse();
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
