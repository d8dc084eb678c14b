package org.threegate.checkpoint;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.tuple;

import com.fasterxml.jackson.databind.ObjectMapper;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.LongStream;
import java.util.stream.Stream;
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
    "model.layers.5.mlp.experts.17.gate_proj.weight, 2, expert_gate, 5",
    "model.layers.5.mlp.experts.gate_up_proj, 3, expert, 5",
    "model.layers.5.mlp.experts.down_proj, 3, expert_down, 5",
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
    "model.layers.0.linear_attn.out_proj.weight, 2, mixer_out, 0",
    "model.layers.0.linear_attn.in_proj_qkvz.weight, 2, mixer_in, 0",
    "model.layers.0.linear_attn.conv1d.weight, 3, conv, 0",
    "model.layers.1.mamba.out_proj.weight, 2, mixer_out, 1",
    "backbone.layers.2.mixer.out_proj.weight, 2, mixer_out, 2",
    "backbone.layers.2.mixer.o_proj.weight, 2, o_proj, 2",
    "backbone.layers.2.mixer.gate.weight, 2, router, 2",
    "model.layers.0.conv.out_proj.weight, 2, mixer_out, 0",
    "model.layers.0.self_attn.out_proj.weight, 2, o_proj, 0",
    "model.layers.0.self_attn.gate_proj.weight, 2, attention_gate, 0",
    "model.layers.0.self_attn.q_a_proj.weight, 2, q_a_proj, 0",
    "model.layers.0.self_attn.q_b_proj.weight, 2, q_b_proj, 0",
    "model.layers.0.self_attn.kv_a_proj_with_mqa.weight, 2, kv_a_proj, 0",
    "model.layers.0.self_attn.kv_b_proj.weight, 2, kv_b_proj, 0",
    "model.layers.0.self_attn.g_proj.weight, 2, attention_gate, 0",
    "model.layers.0.self_attn.output_gate.weight, 2, attention_gate, 0",
    "model.layers.5.mlp.experts.17.up_proj.weight, 2, expert_up, 5",
    "model.layers.5.mlp.experts.17.down_proj.weight, 2, expert_down, 5",
    "model.layers.0.block_sparse_moe.experts.3.w2.weight, 2, expert_down, 0",
    "model.layers.0.block_sparse_moe.experts.3.w3.weight, 2, expert_up, 0",
    "model.layers.0.block_sparse_moe.output_linear.weight, 3, expert_down, 0",
    "model.layers.0.self_attention.experts.router.layer.weight, 2, router, 0",
    "model.layers.0.self_attention.experts.output_linear.weight, 3, expert, 0",
    "model.layers.0.mlp.router.gate.weight, 2, router, 0",
    "model.layers.0.feed_forward.w1.weight, 2, gate_proj, 0",
    "model.layers.0.feed_forward.w2.weight, 2, down_proj, 0",
    "model.layers.0.feed_forward.w3.weight, 2, up_proj, 0",
    "model.layers.0.feed_forward.router.weight, 2, router, 0",
    "model.layers.0.feed_forward.gate.weight, 2, router, 0",
    "model.layers.0.block_sparse_moe.gate.weight, 2, router, 0",
    "model.layers.0.block_sparse_moe.input_linear.weight, 3, expert, 0",
    "model.layers.0.block_sparse_moe.experts.3.w1.weight, 2, expert_gate, 0",
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

  private static List<List<Long>> outputs(Architecture architecture, String name, long rows) {
    TensorKind kind = architecture.kind(name, name.endsWith("bias") ? 1 : 2);
    return architecture.parts(name, kind, rows, 64).stream()
        .map(part -> LongStream.range(0, part.outputs().size()).map(part.outputs()::at))
        .map(LongStream::boxed)
        .map(Stream::toList)
        .toList();
  }

  private static List<Long> range(long begin, long end) {
    return LongStream.range(begin, end).boxed().toList();
  }

  private static List<Long> ranges(long... bounds) {
    List<Long> all = new ArrayList<>();
    for (int i = 0; i < bounds.length; i += 2) {
      all.addAll(range(bounds[i], bounds[i + 1]));
    }
    return all;
  }

  /** The parts are where the code of each family in transformers splits its outputs. */
  @Test
  void partsOfFusedMatricesAreWhereTheFamilyHasThem() throws Exception {
    String sizes = "\"num_attention_heads\":4,\"hidden_size\":16,\"head_dim\":4,";
    Architecture neox = architecture("{" + sizes + "\"model_type\":\"gpt_neox\"}");
    String fused = "gpt_neox.layers.0.attention.query_key_value.weight";
    assertThat(outputs(neox, fused, 48))
        .containsExactly(
            ranges(0, 4, 12, 16, 24, 28, 36, 40),
            ranges(4, 8, 16, 20, 28, 32, 40, 44),
            ranges(8, 12, 20, 24, 32, 36, 44, 48));
    assertThat(outputs(neox, fused.replace("weight", "bias"), 48))
        .as("a bias has the parts of its matrix")
        .isEqualTo(outputs(neox, fused, 48));
    assertThat(outputs(neox, fused, 47)).isEmpty();
    Architecture falcon =
        architecture(
            "{"
                + sizes
                + "\"model_type\":\"falcon\",\"new_decoder_architecture\":true,\"num_kv_heads\":2}");
    String shared = "transformer.h.0.self_attention.query_key_value.weight";
    assertThat(outputs(falcon, shared, 32))
        .containsExactly(ranges(0, 8, 16, 24), ranges(8, 12, 24, 28), ranges(12, 16, 28, 32));
    Architecture codegen = architecture("{" + sizes + "\"model_type\":\"codegen\"}");
    assertThat(outputs(codegen, "transformer.h.0.attn.qkv_proj.weight", 48))
        .as("quarters of queries, values, keys")
        .containsExactly(
            ranges(0, 4, 12, 16, 24, 28, 36, 40),
            ranges(8, 12, 20, 24, 32, 36, 44, 48),
            ranges(4, 8, 16, 20, 28, 32, 40, 44));
    Architecture gated = architecture("{" + sizes + "\"model_type\":\"qwen3_next\"}");
    assertThat(outputs(gated, "model.layers.1.self_attn.q_proj.weight", 32))
        .containsExactly(ranges(0, 4, 8, 12, 16, 20, 24, 28), ranges(4, 8, 12, 16, 20, 24, 28, 32));
    Architecture jetmoe =
        architecture("{\"num_attention_heads\":4,\"num_key_value_heads\":2,\"kv_channels\":4}");
    assertThat(outputs(jetmoe, "model.layers.0.self_attention.kv_proj.weight", 16))
        .containsExactly(range(0, 8), range(8, 16));
  }

  @Test
  void expertsHaveGateUpAndDown() throws Exception {
    String name = "model.layers.0.mlp.experts.gate_up_proj";
    Architecture mixed = architecture("{\"model_type\":\"gpt_oss\",\"hidden_size\":6}");
    assertThat(mixed.parts(name, mixed.kind(name, 3), 4, 6))
        .extracting(Architecture.Part::kind, Architecture.Part::outputs)
        .containsExactly(
            tuple(TensorKind.EXPERT_GATE, new Ranges(0, 1, 2, 2)),
            tuple(TensorKind.EXPERT_UP, new Ranges(1, 1, 2, 2)));
    assertThat(mixed.parts(name + "_bias", TensorKind.BIAS, 4, 3))
        .extracting(Architecture.Part::kind, Architecture.Part::outputs)
        .containsExactly(
            tuple(TensorKind.BIAS, new Ranges(0, 1, 2, 2)),
            tuple(TensorKind.BIAS, new Ranges(1, 1, 2, 2)));
    Architecture joined = architecture("{\"model_type\":\"llama4_text\",\"hidden_size\":6}");
    assertThat(joined.parts(name, joined.kind(name, 3), 4, 6))
        .extracting(Architecture.Part::outputs)
        .containsExactly(Ranges.of(0, 2), Ranges.of(2, 4));
    String attention = "model.layers.0.self_attention.experts.input_linear.weight";
    assertThat(joined.kind(attention, 3)).isEqualTo(TensorKind.EXPERT);
    assertThat(joined.parts(attention, TensorKind.EXPERT, 4, 6)).as("JetMoE's queries").isEmpty();
  }

  /** Queries have 16 rows without and 8 with rotation, values have 12. */
  @Test
  void latentAttentionHasHeads() throws Exception {
    Architecture model =
        architecture(
            "{\"model_type\":\"deepseek_v3\",\"num_attention_heads\":2,\"hidden_size\":64,"
                + "\"kv_lora_rank\":32,\"qk_nope_head_dim\":16,\"qk_rope_head_dim\":8,"
                + "\"v_head_dim\":12}");
    String layer = "model.layers.0.self_attn.";
    assertThat(model.heads(layer + "q_b_proj.weight", TensorKind.Q_B_PROJ, 48, 32))
        .containsExactly(
            new Architecture.Head(HeadPart.QUERY, 0, true, 0, 24),
            new Architecture.Head(HeadPart.QUERY, 1, true, 24, 48));
    assertThat(model.heads(layer + "q_proj.weight", TensorKind.Q_PROJ, 48, 64)).hasSize(2);
    assertThat(model.heads(layer + "kv_b_proj.weight", TensorKind.KV_B_PROJ, 56, 32))
        .containsExactly(
            new Architecture.Head(HeadPart.KEY, 0, true, 0, 16),
            new Architecture.Head(HeadPart.KEY, 1, true, 28, 44),
            new Architecture.Head(HeadPart.VALUE, 0, true, 16, 28),
            new Architecture.Head(HeadPart.VALUE, 1, true, 44, 56));
    assertThat(model.heads(layer + "o_proj.weight", TensorKind.O_PROJ, 64, 24))
        .containsExactly(
            new Architecture.Head(HeadPart.OUTPUT, 0, false, 0, 12),
            new Architecture.Head(HeadPart.OUTPUT, 1, false, 12, 24));
    assertThat(model.heads(layer + "kv_b_proj.weight", TensorKind.KV_B_PROJ, 55, 32)).isEmpty();
  }

  /** DeepSeek-V3 numbers the layer that predicts a further token after the last layer. */
  @Test
  void layersAfterTheLastOneAreApart() throws Exception {
    Architecture model =
        architecture("{\"num_hidden_layers\":61,\"num_attention_heads\":4,\"hidden_size\":64}");
    assertThat(model.layer("model.layers.60.self_attn.q_proj.weight")).hasValue(60);
    assertThat(model.isApart("model.layers.60.self_attn.q_proj.weight")).isFalse();
    String further = "model.layers.61.self_attn.q_proj.weight";
    assertThat(model.isApart(further)).isTrue();
    assertThat(model.layer(further)).isEmpty();
    assertThat(model.heads(further, TensorKind.Q_PROJ, 64, 64)).isEmpty();
    assertThat(model.kind(further, 2)).isEqualTo(TensorKind.Q_PROJ);
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

  /** MiMo has other heads in layers with a window, and values of another size. */
  @Test
  void sizesOfLayersAreReadAsFamiliesWriteThem() throws Exception {
    String sizes =
        "\"num_attention_heads\":4,\"num_key_value_heads\":1,\"head_dim\":8,\"v_head_dim\":6,";
    String windows =
        "\"swa_num_attention_heads\":4,\"swa_num_key_value_heads\":2,\"swa_head_dim\":8,"
            + "\"swa_v_head_dim\":4,";
    for (String layers :
        List.of(
            windows + "\"hybrid_layer_pattern\":[0,1]",
            windows + "\"layer_types\":[\"full_attention\",\"sliding_attention\"]",
            "\"per_layer_config\":{\"1\":{\"num_key_value_heads\":2,\"v_head_dim\":4}}")) {
      Architecture mimo = architecture("{" + sizes + layers + "}");
      String first = "model.layers.0.self_attn.";
      String second = "model.layers.1.self_attn.";
      assertThat(mimo.heads(first + "k_proj.weight", TensorKind.K_PROJ, 8, 64)).hasSize(1);
      assertThat(mimo.heads(second + "k_proj.weight", TensorKind.K_PROJ, 16, 64)).hasSize(2);
      assertThat(mimo.heads(first + "v_proj.weight", TensorKind.V_PROJ, 6, 64)).hasSize(1);
      assertThat(mimo.heads(second + "v_proj.weight", TensorKind.V_PROJ, 8, 64))
          .as(layers)
          .containsExactly(
              new Architecture.Head(HeadPart.VALUE, 0, true, 0, 4),
              new Architecture.Head(HeadPart.VALUE, 1, true, 4, 8));
      assertThat(mimo.heads(second + "o_proj.weight", TensorKind.O_PROJ, 64, 16)).hasSize(4);
    }
    Architecture listed =
        architecture(
            "{\"head_dim\":8,\"num_attention_heads\":[4,8],\"num_key_value_heads\":[1,2]}");
    assertThat(listed.heads("layers.1.attn.q_proj.weight", TensorKind.Q_PROJ, 64, 64)).hasSize(8);
    assertThat(listed.heads("layers.1.attn.k_proj.weight", TensorKind.K_PROJ, 16, 64)).hasSize(2);
  }

  @ParameterizedTest
  @CsvSource({
    "llama, SEPARATE",
    "gemma3_text, TIED",
    "gpt2, TIED",
    "qwen3_5, SEPARATE",
    "another, UNSTATED"
  })
  void aFamilyHasADefaultForTiedEmbeddings(String family, ModelConfig.Embeddings expected)
      throws Exception {
    assertThat(config("{\"model_type\":\"" + family + "\"}").embeddings()).isEqualTo(expected);
    assertThat(
            config("{\"model_type\":\"" + family + "\",\"tie_word_embeddings\":false}")
                .embeddings())
        .isEqualTo(ModelConfig.Embeddings.SEPARATE);
  }

  /** The width of the model decides if a checkpoint has another order than its family's first. */
  @Test
  void theShapeOfExpertsTellsTheirOrder() throws Exception {
    String name = "model.layers.0.mlp.experts.";
    Architecture model = architecture("{\"model_type\":\"qwen3_vl_moe_text\",\"hidden_size\":6}");
    assertThat(model.isTransposed(name + "gate_up_proj", List.of(2L, 6L, 8L))).isTrue();
    assertThat(model.isTransposed(name + "gate_up_proj", List.of(2L, 8L, 6L))).isFalse();
    assertThat(model.isTransposed(name + "down_proj", List.of(2L, 4L, 6L))).isTrue();
    assertThat(model.isTransposed(name + "down_proj", List.of(2L, 6L, 4L))).isFalse();
    assertThat(model.isTransposed(name + "down_proj", List.of(2L, 6L, 6L))).isTrue();
  }

  @Test
  void expertsOfSomeFamiliesAreStoredAsInputsByOutputs() throws Exception {
    String name = "model.layers.0.mlp.experts.gate_up_proj";
    assertThat(
            architecture("{\"model_type\":\"gpt_oss\"}").isTransposed(name, List.of(4L, 6L, 10L)))
        .isTrue();
    assertThat(
            architecture("{\"model_type\":\"llama4_text\"}")
                .isTransposed(name, List.of(4L, 6L, 10L)))
        .isTrue();
    assertThat(
            architecture("{\"model_type\":\"qwen3_5_moe\"}")
                .isTransposed(name, List.of(4L, 6L, 10L)))
        .isFalse();
  }

  @Test
  void gpt2IsStoredTransposed() throws Exception {
    Architecture gpt2 =
        architecture("{\"model_type\":\"gpt2\",\"n_head\":12,\"n_embd\":768,\"n_layer\":12}");
    assertThat(gpt2.isTransposed("h.0.attn.c_attn.weight", List.of(6L, 6L))).isTrue();
    assertThat(gpt2.isTransposed("h.0.attn.c_attn.bias", List.of(6L))).isFalse();
    assertThat(gpt2.isTransposed("wte.weight", List.of(6L, 6L))).isFalse();
    assertThat(gpt2.heads(TensorKind.QKV, 2304, 768)).hasSize(36);
    assertThat(
            architecture("{\"model_type\":\"llama\"}")
                .isTransposed("h.0.mlp.c_fc.weight", List.of(6L, 6L)))
        .isFalse();
  }

  @Test
  void aNestedTextConfigurationIsRead() throws Exception {
    ModelConfig config =
        config(
            "{\"model_type\":\"gemma3\",\"text_config\":{\"num_attention_heads\":8,\"hidden_size\":64,\"tie_word_embeddings\":true}}");
    assertThat(config.heads().dimension()).hasValue(8);
    assertThat(config.heads().keyValues()).hasValue(8);
    assertThat(config.embeddings()).isEqualTo(ModelConfig.Embeddings.TIED);
  }

  /** The order is that of {@code fix_query_key_value_ordering} of Qwen3-Next in transformers. */
  @Test
  void linearAttentionHasThePartsOfItsKeyHeads() throws Exception {
    String sizes =
        "\"linear_num_key_heads\":2,\"linear_num_value_heads\":4,\"linear_key_head_dim\":3,"
            + "\"linear_value_head_dim\":5,";
    Architecture next = architecture("{" + sizes + "\"model_type\":\"qwen3_next\"}");
    String layer = "model.layers.0.linear_attn.";
    assertThat(next.parts(layer + "in_proj_qkvz.weight", TensorKind.MIXER_IN, 52, 8))
        .extracting(Architecture.Part::label, Architecture.Part::outputs)
        .containsExactly(
            tuple("q", new Ranges(0, 3, 26, 2)),
            tuple("k", new Ranges(3, 3, 26, 2)),
            tuple("v", new Ranges(6, 10, 26, 2)),
            tuple("z", new Ranges(16, 10, 26, 2)));
    assertThat(next.parts(layer + "in_proj_ba.weight", TensorKind.MIXER_IN, 8, 8))
        .extracting(Architecture.Part::label, Architecture.Part::outputs)
        .containsExactly(tuple("b", new Ranges(0, 2, 4, 2)), tuple("a", new Ranges(2, 2, 4, 2)));
    assertThat(next.parts(layer + "in_proj_qkv.weight", TensorKind.MIXER_IN, 32, 8))
        .extracting(Architecture.Part::label, Architecture.Part::outputs)
        .containsExactly(
            tuple("q", Ranges.of(0, 6)),
            tuple("k", Ranges.of(6, 12)),
            tuple("v", Ranges.of(12, 32)));
    assertThat(next.parts(layer + "in_proj_qkvz.weight", TensorKind.MIXER_IN, 51, 8)).isEmpty();
    assertThat(next.parts(layer + "in_proj_z.weight", TensorKind.MIXER_IN, 20, 8)).isEmpty();
    Architecture other = architecture("{\"model_type\":\"mamba2\"}");
    assertThat(other.parts(layer + "in_proj_qkvz.weight", TensorKind.MIXER_IN, 52, 8)).isEmpty();
  }

  @Test
  void expertsOfDbrxLieInOneMatrix() throws Exception {
    Architecture dbrx =
        architecture(
            "{\"model_type\":\"dbrx\",\"d_model\":8,\"n_heads\":4,"
                + "\"attn_config\":{\"kv_n_heads\":2},\"ffn_config\":{\"moe_num_experts\":3}}");
    String experts = "transformer.blocks.0.ffn.experts.mlp.";
    assertThat(dbrx.experts(experts + "w1", List.of(12L, 8L))).hasValue(3);
    assertThat(dbrx.experts(experts + "w1", List.of(13L, 8L))).isEmpty();
    assertThat(dbrx.isTransposed(experts + "w1", List.of(12L, 8L))).isFalse();
    assertThat(dbrx.isTransposed(experts + "v1", List.of(12L, 8L))).isFalse();
    assertThat(dbrx.isTransposed(experts + "w2", List.of(12L, 8L))).isTrue();
    assertThat(dbrx.kind(experts + "v1", 2)).isEqualTo(TensorKind.EXPERT_UP);
    String attention = "transformer.blocks.0.norm_attn_norm.attn.Wqkv.weight";
    assertThat(dbrx.parts(attention, TensorKind.QKV, 16, 8))
        .extracting(Architecture.Part::outputs)
        .containsExactly(Ranges.of(0, 8), Ranges.of(8, 12), Ranges.of(12, 16));
  }

  @Test
  void gatesOfTheFirstQwenAreItsSecondMatrices() throws Exception {
    Architecture qwen = architecture("{\"model_type\":\"qwen\"}");
    assertThat(qwen.kind("transformer.h.0.mlp.w1.weight", 2)).isEqualTo(TensorKind.UP_PROJ);
    assertThat(qwen.kind("transformer.h.0.mlp.w2.weight", 2)).isEqualTo(TensorKind.GATE_PROJ);
    assertThat(qwen.kind("transformer.h.0.mlp.c_proj.weight", 2)).isEqualTo(TensorKind.DOWN_PROJ);
  }

  @Test
  void squareExpertsHaveTheOrderOfTheirFamily() throws Exception {
    String name = "model.layers.0.mlp.experts.down_proj";
    for (String family : List.of("gpt_oss", "aria_text", "openai_privacy_filter", "llama4_text")) {
      Architecture own = architecture("{\"hidden_size\":8,\"model_type\":\"" + family + "\"}");
      assertThat(own.isTransposed(name, List.of(2L, 8L, 8L))).as(family).isTrue();
    }
    assertThat(Architecture.hasInputsFirst("aria_text")).isTrue();
    assertThat(Architecture.hasInputsFirst("llama4")).as("as its modules say").isFalse();
  }
}
