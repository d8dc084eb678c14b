package org.threegate.rl.policy;

import java.util.Arrays;
import java.util.Optional;
import java.util.stream.Collectors;
import org.threegate.checkpoint.JsonFields;
import org.threegate.rl.policy.FeedForward.Gating;
import org.threegate.run.InvalidInputException;

/**
 * The supported families of decoders: what config.json does not say, and the defaults of
 * transformers for what it leaves out.
 */
enum DecoderFamily {
  LLAMA("llama"),
  MISTRAL("mistral"),
  QWEN2("qwen2"),
  QWEN3("qwen3"),
  QWEN3_MOE("qwen3_moe"),
  GEMMA3("gemma3_text"),
  GPT_OSS("gpt_oss");

  private final String label;

  DecoderFamily(String label) {
    this.label = label;
  }

  /**
   * Returns the family of a configuration.
   *
   * @throws InvalidInputException when it is not supported
   */
  static DecoderFamily of(JsonFields config) {
    String type = config.text("model_type").orElse("");
    return Arrays.stream(values())
        .filter(family -> family.label.equals(type))
        .findFirst()
        .orElseThrow(
            () ->
                new InvalidInputException(
                    config.where()
                        + ": model_type \""
                        + type
                        + "\" is not supported; "
                        + labels()
                        + " are"));
  }

  private static String labels() {
    String all =
        Arrays.stream(values()).map(own -> own.label).sorted().collect(Collectors.joining(", "));
    int last = all.lastIndexOf(", ");
    return all.substring(0, last) + " and" + all.substring(last + 1);
  }

  RmsNorm.Kind norm() {
    return switch (this) {
      case GEMMA3 -> RmsNorm.Kind.CENTRED;
      case GPT_OSS -> RmsNorm.Kind.EXACT;
      case LLAMA, MISTRAL, QWEN2, QWEN3, QWEN3_MOE -> RmsNorm.Kind.ROUNDED;
    };
  }

  double normEpsilon() {
    return this == GPT_OSS ? 1e-5 : 1e-6;
  }

  /** Returns whether the outputs of attention and feed-forward networks are normalized, too. */
  boolean normalizesOutputs() {
    return this == GEMMA3;
  }

  /** Returns whether each head of queries and keys is normalized. */
  boolean normalizesQueries() {
    return this == QWEN3 || this == QWEN3_MOE || this == GEMMA3;
  }

  /** Returns whether queries, keys and values have biases, whatever the configuration says. */
  boolean hasQueryBias() {
    return this == QWEN2;
  }

  /** Returns the default of {@code attention_bias}. */
  boolean attentionBias() {
    return this == GPT_OSS;
  }

  /** Returns whether each head has a sink, a logit to which attention may go without effect. */
  boolean hasSinks() {
    return this == GPT_OSS;
  }

  /** Returns the default of {@code head_dim}, if it does not follow from other widths. */
  Optional<Integer> headDimension() {
    return switch (this) {
      case GEMMA3 -> Optional.of(256);
      case GPT_OSS -> Optional.of(64);
      case LLAMA, MISTRAL, QWEN2, QWEN3, QWEN3_MOE -> Optional.empty();
    };
  }

  /** Returns the default of {@code sliding_window}, 0 for none. */
  int window() {
    return switch (this) {
      case GEMMA3 -> 4096;
      case GPT_OSS -> 128;
      case LLAMA, MISTRAL, QWEN2, QWEN3, QWEN3_MOE -> 0;
    };
  }

  /** Returns the default of {@code tie_word_embeddings}. */
  boolean tiesEmbeddings() {
    return this == GEMMA3;
  }

  /** Returns whether embeddings are multiplied by the root of their width. */
  boolean scalesEmbeddings() {
    return this == GEMMA3;
  }

  /** Returns the activation of the feed-forward networks, by what the configuration says. */
  Gating gating(JsonFields config) {
    String field = this == GEMMA3 ? "hidden_activation" : "hidden_act";
    String supported = this == GEMMA3 ? "gelu_pytorch_tanh" : "silu";
    String activation = config.text(field).orElse(supported);
    if (!activation.equals(supported)) {
      throw new InvalidInputException(
          config.where()
              + ": "
              + field
              + " \""
              + activation
              + "\" is not supported; "
              + supported
              + " is");
    }
    return switch (this) {
      case GEMMA3 -> Gating.GELU_TANH;
      case GPT_OSS -> Gating.CLIPPED; // its hidden_act is not used
      case LLAMA, MISTRAL, QWEN2, QWEN3, QWEN3_MOE -> Gating.SILU;
    };
  }

  /** Refuses settings that change the function of the model and are not supported. */
  void requireKnown(JsonFields config) {
    switch (this) {
      case GEMMA3 -> {
        requireNothing(config, "attn_logit_softcapping");
        requireNothing(config, "final_logit_softcapping");
        if (config.flag("use_bidirectional_attention", false)) {
          throw config.refused("use_bidirectional_attention", "false");
        }
      }
      case GPT_OSS -> {
        if (config.number("swiglu_limit", 0, Double.MAX_VALUE).orElse(Gating.LIMIT)
            != Gating.LIMIT) {
          throw config.refused("swiglu_limit", Double.toString(Gating.LIMIT));
        }
      }
      case QWEN3_MOE -> requireNothing(config, "layer_types");
      case LLAMA, MISTRAL, QWEN2, QWEN3 -> {}
    }
  }

  private static void requireNothing(JsonFields config, String field) {
    if (config.has(field)) {
      throw config.refused(field, "null");
    }
  }
}
