package org.threegate.checkpoint;

import java.util.Optional;
import java.util.Set;

/**
 * Whether the output head of a family is its embedding where {@code config.json} does not say.
 * These are the defaults of the configurations in transformers, which leaves out values that are
 * the default.
 */
final class DefaultEmbeddings {
  private static final Set<String> TIED =
      Set.of(
          "bloom",
          "cohere",
          "cohere2",
          "cohere2_moe",
          "ernie4_5",
          "ernie4_5_moe",
          "falcon",
          "falcon_mamba",
          "gemma",
          "gemma2",
          "gemma3",
          "gemma3_text",
          "gemma3n",
          "gemma3n_text",
          "gemma4",
          "gemma4_text",
          "gpt2",
          "gpt_bigcode",
          "gpt_neo",
          "gpt_neox_japanese",
          "jetmoe",
          "lfm2",
          "lfm2_moe",
          "mamba",
          "minicpm3",
          "mpt",
          "openai-gpt",
          "opt",
          "recurrent_gemma",
          "smollm3",
          "starcoder2",
          "vaultgemma",
          "xglm",
          "youtu",
          "zamba",
          "zamba2");

  private static final Set<String> SEPARATE =
      Set.of(
          "afmoe",
          "apertus",
          "arcee",
          "bamba",
          "bitnet",
          "codegen",
          "cwm",
          "dbrx",
          "deepseek_v2",
          "deepseek_v3",
          "deepseek_v32",
          "deepseek_v4",
          "diffllama",
          "dots1",
          "exaone4",
          "exaone_moe",
          "falcon_h1",
          "flex_olmo",
          "glm",
          "glm4",
          "glm4_moe",
          "glm4_moe_lite",
          "glm_moe_dsa",
          "gpt_neox",
          "gpt_oss",
          "gptj",
          "granite",
          "granitemoe",
          "granitemoehybrid",
          "granitemoeshared",
          "helium",
          "hunyuan_v1_dense",
          "hunyuan_v1_moe",
          "jais2",
          "jamba",
          "kimi_linear",
          "laguna",
          "llama",
          "llama4",
          "llama4_text",
          "longcat_flash",
          "mamba2",
          "mimo_v2_flash",
          "minimax",
          "minimax_m2",
          "ministral",
          "ministral3",
          "mistral",
          "mixtral",
          "nemotron",
          "nemotron_h",
          "olmo",
          "olmo2",
          "olmo3",
          "olmoe",
          "persimmon",
          "phi",
          "phi3",
          "phimoe",
          "qwen2",
          "qwen2_moe",
          "qwen3",
          "qwen3_5",
          "qwen3_5_moe",
          "qwen3_5_moe_text",
          "qwen3_5_text",
          "qwen3_moe",
          "qwen3_next",
          "rwkv",
          "seed_oss",
          "solar_open",
          "stablelm");

  private DefaultEmbeddings() {}

  /** Returns whether the embeddings of a family are tied; empty if it is not known. */
  static Optional<Boolean> areTied(String modelType) {
    boolean tied = TIED.contains(modelType);
    return tied || SEPARATE.contains(modelType) ? Optional.of(tied) : Optional.empty();
  }
}
