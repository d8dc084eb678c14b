package org.threegate.rl.policy;

import java.util.Arrays;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Collectors;
import java.util.stream.Stream;
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
  GPT_OSS("gpt_oss"),
  QWEN3_5("qwen3_5_text", "qwen3_5"),
  QWEN3_5_MOE("qwen3_5_moe_text", "qwen3_5_moe"),
  QWEN3_NEXT("qwen3_next");

  /** The field with the configuration of the text model, in that of a model of several kinds. */
  static final String TEXT_CONFIG = "text_config";

  private static final String TYPE = "model_type";

  private final String label;
  // The model that has this text model beside others.
  private final Optional<String> outer;

  DecoderFamily(String label) {
    this.label = label;
    this.outer = Optional.empty();
  }

  DecoderFamily(String label, String outer) {
    this.label = label;
    this.outer = Optional.of(outer);
  }

  /**
   * Returns whether a configuration has that of the text model in a field.
   *
   * @throws InvalidInputException when the field has the configuration of another model
   */
  boolean isNested(JsonFields config) {
    if (!outer.equals(config.text(TYPE))) {
      return false;
    }
    JsonFields text = config.object(TEXT_CONFIG);
    if (!text.text(TYPE).orElse(label).equals(label)) {
      throw text.refused(TYPE, '"' + label + '"');
    }
    return true;
  }

  /**
   * Returns the family of a configuration.
   *
   * @throws InvalidInputException when it is not supported
   */
  static DecoderFamily of(JsonFields config) {
    String type = config.text(TYPE).orElse("");
    return Arrays.stream(values())
        .filter(family -> family.labels().anyMatch(type::equals))
        .findFirst()
        .orElseThrow(
            () ->
                new InvalidInputException(
                    config.where()
                        + ": model_type \""
                        + type
                        + "\" is not supported; "
                        + allLabels()
                        + " are"));
  }

  private Stream<String> labels() {
    return Stream.concat(Stream.of(label), outer.stream());
  }

  private static String allLabels() {
    String all =
        Arrays.stream(values())
            .flatMap(DecoderFamily::labels)
            .sorted()
            .collect(Collectors.joining(", "));
    int last = all.lastIndexOf(", ");
    return all.substring(0, last) + " and" + all.substring(last + 1);
  }

  RmsNorm.Kind norm() {
    return switch (this) {
      case GEMMA3, QWEN3_5, QWEN3_5_MOE, QWEN3_NEXT -> RmsNorm.Kind.CENTRED;
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
    return this == QWEN3 || this == QWEN3_MOE || this == GEMMA3 || isHybrid();
  }

  /** Returns whether layers have attention with a gate, or a gated delta rule. */
  boolean isHybrid() {
    return this == QWEN3_5 || this == QWEN3_5_MOE || this == QWEN3_NEXT;
  }

  /** Returns the default of {@code partial_rotary_factor}, the turned share of a head. */
  double rotatedShare() {
    return isHybrid() ? 0.25 : 1;
  }

  /**
   * Returns what the names of tensors beside the decoder begin with, and why they are no part of
   * it.
   */
  Map<String, String> others() {
    String several = "it belongs to the layer that predicts a second token (MTP)";
    return switch (this) {
      case QWEN3_5, QWEN3_5_MOE ->
          Map.of("model.visual.", "it belongs to the vision model", "mtp.", several);
      case QWEN3_NEXT -> Map.of("mtp.", several);
      case LLAMA, MISTRAL, QWEN2, QWEN3, QWEN3_MOE, GEMMA3, GPT_OSS -> Map.of();
    };
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
      case GEMMA3, QWEN3_5, QWEN3_5_MOE, QWEN3_NEXT -> Optional.of(256);
      case GPT_OSS -> Optional.of(64);
      case LLAMA, MISTRAL, QWEN2, QWEN3, QWEN3_MOE -> Optional.empty();
    };
  }

  /** Returns the default of {@code sliding_window}, 0 for none. */
  int window() {
    return switch (this) {
      case GEMMA3 -> 4096;
      case GPT_OSS -> 128;
      case LLAMA, MISTRAL, QWEN2, QWEN3, QWEN3_MOE, QWEN3_5, QWEN3_5_MOE, QWEN3_NEXT -> 0;
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
      case LLAMA, MISTRAL, QWEN2, QWEN3, QWEN3_MOE, QWEN3_5, QWEN3_5_MOE, QWEN3_NEXT -> Gating.SILU;
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
      case LLAMA, MISTRAL, QWEN2, QWEN3, QWEN3_5, QWEN3_5_MOE, QWEN3_NEXT -> {}
    }
  }

  private static void requireNothing(JsonFields config, String field) {
    if (config.has(field)) {
      throw config.refused(field, "null");
    }
  }
}
