package org.threegate.rl.policy;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Collectors;
import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.threegate.checkpoint.Checkpoint;
import org.threegate.checkpoint.Json;
import org.threegate.checkpoint.JsonFields;
import org.threegate.kernel.Context;
import org.threegate.rl.curvature.CapturedLayers;
import org.threegate.run.InvalidInputException;
import org.threegate.testing.JsonMutations;
import org.threegate.testing.NativeLeaks;

/** Tests that numbers in config.json and in weights are validated before they are used. */
@ExtendWith(NativeLeaks.class)
class SizesTest {
  private static final Path DECODERS = Path.of("src/test/resources/decoders");
  private static final String WEIGHTS = "model.safetensors";

  private static final SamplingOptions OPTIONS = SamplingOptions.plain(2, List.of());

  @TempDir Path directory;

  static List<String> decoders() throws IOException {
    return DecoderTest.decoders().toList();
  }

  private String copy(String decoder) throws IOException {
    Files.copy(DECODERS.resolve(decoder).resolve(WEIGHTS), directory.resolve(WEIGHTS));
    return Files.readString(DECODERS.resolve(decoder).resolve("config.json"));
  }

  private DecoderConfig parse(String config) {
    return DecoderConfig.parse(
        JsonFields.of(Json.parseObject(config, "config.json"), "config.json"));
  }

  @ParameterizedTest
  @MethodSource("decoders")
  void noFieldOfAConfigurationIsBelieved(String decoder) throws IOException {
    int refused =
        JsonMutations.requireReadOrRefused(
            Files.readString(DECODERS.resolve(decoder).resolve("config.json")),
            InvalidInputException.class,
            "config.json",
            text -> {
              DecoderConfig config = parse(text);
              assertThat(config.tokens().ends()).allMatch(token -> token < config.vocabulary());
              assertThat(config.tokens().padding()).isBetween(0, config.vocabulary() - 1);
              if (config.attention().headDimension() < 1000) {
                for (long length : new long[] {1, 1 << 30}) {
                  for (Rotary rotary : rotaries(config)) {
                    for (double angle : rotary.frequencies(config.attention().rotated(), length)) {
                      assertThat(angle).isFinite();
                    }
                  }
                }
              }
            });
    assertThat(refused).isGreaterThan(200);
  }

  private static Set<Rotary> rotaries(DecoderConfig config) {
    return config.layers().stream()
        .limit(1000)
        .flatMap(layer -> attention(layer).stream())
        .map(Mixer.Attention::rotary)
        .collect(Collectors.toSet());
  }

  /** {@code -Dthreegate.test.sizes=all} adds a decoder with experts, which takes a minute. */
  static List<String> drawn() {
    return System.getProperty("threegate.test.sizes", "").equals("all")
        ? List.of("llama-yarn", "gpt-oss")
        : List.of("llama-yarn");
  }

  private static Optional<Mixer.Attention> attention(DecoderConfig.Layer layer) {
    return layer.mixer() instanceof Mixer.Attention own ? Optional.of(own) : Optional.empty();
  }

  private static Mixer.Attention only(DecoderConfig.Layer layer) {
    return attention(layer).orElseThrow();
  }

  @ParameterizedTest
  @MethodSource("drawn")
  void whateverAConfigurationSaysAModelDrawsOrIsRefused(String decoder) throws IOException {
    String config = copy(decoder);
    try (Context context = Context.open()) {
      JsonMutations.requireReadOrRefused(
          config,
          InvalidInputException.class,
          directory.getFileName().toString(),
          text -> {
            Files.writeString(directory.resolve("config.json"), text);
            try (Decoder model = Decoder.load(context, directory)) {
              SamplingOptions options = SamplingOptions.plain(2, model.config().tokens().ends());
              assertThat(draw(model, options)).hasSize(2);
            }
          });
    }
  }

  private static List<Completion> draw(Decoder model, SamplingOptions options) {
    return Sampler.complete(
        model, List.of(new int[] {1, 5, 3}, new int[] {4}), options, new long[2]);
  }

  @ParameterizedTest
  @CsvSource({
    "pad_token_id, -7",
    "pad_token_id, 24",
    "eos_token_id, 1099511627776",
    "eos_token_id, '[2, 24]'",
    "rope_theta, 1e999",
    "rope_theta, 1",
    "rms_norm_eps, -1",
    "num_hidden_layers, 30000000",
    "num_attention_heads, 2147483648",
    "max_position_embeddings, 1e999",
    "vocab_size, 1099511627776",
    "head_dim, '\"8\"'",
    "sliding_window, -1",
    "tie_word_embeddings, 3"
  })
  void theErrorNamesTheField(String field, String value) throws IOException {
    String config = Files.readString(DECODERS.resolve("llama/config.json"));
    String changed =
        config
            .replaceAll('"' + field + "\": [^,\n]*", '"' + field + "\": " + value)
            .replaceFirst(
                "\\{", config.contains(field) ? "{" : "{\"" + field + "\": " + value + ",");
    assertThatThrownBy(() -> parse(changed))
        .isInstanceOf(InvalidInputException.class)
        .hasMessageContaining("config.json")
        .hasMessageContaining(field);
  }

  @Test
  void whatModelsWriteForNothingIsNothing() throws IOException {
    String config = Files.readString(DECODERS.resolve("llama/config.json"));
    assertThat(
            parse(config.replace("\"pad_token_id\": 0", "\"pad_token_id\": -1")).tokens().padding())
        .isEqualTo(2);
    assertThat(
            parse(config.replace("\"pad_token_id\": 0", "\"pad_token_id\": null"))
                .tokens()
                .padding())
        .isEqualTo(2);
    DecoderConfig several =
        parse(config.replace("\"eos_token_id\": 2", "\"eos_token_id\": [3, 2]"));
    assertThat(several.tokens().ends()).containsExactly(3, 2);
    DecoderConfig old =
        parse(
            """
            {"model_type": "llama", "hidden_size": 4096, "intermediate_size": 11008,
             "num_hidden_layers": 32, "num_attention_heads": 32, "num_key_value_heads": null,
             "head_dim": null, "vocab_size": 32000, "max_position_embeddings": 4096,
             "rms_norm_eps": 1e-05, "rope_scaling": null, "rope_theta": 1000000,
             "sliding_window": null, "layer_types": null, "pad_token_id": -1,
             "bos_token_id": 1, "eos_token_id": 2, "hidden_act": "silu"}""");
    assertThat(old.attention().keyValueHeads()).isEqualTo(32);
    assertThat(old.attention().headDimension()).isEqualTo(128);
    assertThat(only(old.layers().get(0)).rotary().base()).isEqualTo(1e6);
  }

  /** Configurations on the hub were written by older versions of transformers. */
  @Test
  void olderConfigurationsSayTheSame() throws IOException {
    String gemma =
        """
        "model_type": "gemma3_text", "hidden_size": 1152, "intermediate_size": 6912,
        "num_hidden_layers": 7, "num_attention_heads": 4, "num_key_value_heads": 1,
        "head_dim": 256, "vocab_size": 262144, "max_position_embeddings": 32768,
        "query_pre_attn_scalar": 256, "sliding_window": 512,
        """;
    DecoderConfig newer =
        parse(
            "{"
                + gemma
                + """
                "layer_types": ["sliding_attention", "sliding_attention", "sliding_attention",
                  "sliding_attention", "sliding_attention", "full_attention", "sliding_attention"],
                "rope_parameters": {
                  "full_attention": {"rope_type": "linear", "factor": 8.0, "rope_theta": 1000000},
                  "sliding_attention": {"rope_type": "default", "rope_theta": 10000}}}""");
    DecoderConfig older =
        parse(
            "{"
                + gemma
                + """
                "sliding_window_pattern": 6, "rope_local_base_freq": 10000,
                "rope_theta": 1000000, "rope_scaling": {"rope_type": "linear", "factor": 8.0}}""");
    assertThat(older).isEqualTo(newer);
    assertThat(older.tiedEmbeddings()).isTrue();
    assertThat(older.attention().scale()).isEqualTo(1.0 / 16);
    assertThat(older.layers()).extracting(layer -> only(layer).rotary().base()).contains(1e4, 1e6);
    String experts = Files.readString(DECODERS.resolve("qwen3-moe/config.json"));
    assertThat(parse(experts.replace("num_local_experts", "num_experts")))
        .isEqualTo(parse(experts));
    String oss =
        """
        {"model_type": "gpt_oss", "hidden_size": 2880, "intermediate_size": 2880,
         "num_hidden_layers": 24, "num_attention_heads": 64, "num_key_value_heads": 8,
         "head_dim": 64, "vocab_size": 201088, "max_position_embeddings": 131072,
         "num_local_experts": 32, "num_experts_per_tok": 4, "swiglu_limit": 7.0,
         "sliding_window": 128""";
    DecoderConfig stated =
        parse(
            oss
                + """
                , "rope_theta": 150000, "attention_bias": true, "rms_norm_eps": 1e-05,
                "rope_scaling": {"beta_fast": 32.0, "beta_slow": 1.0, "factor": 32.0,
                  "original_max_position_embeddings": 4096, "rope_type": "yarn",
                  "truncate": false}}""");
    assertThat(parse(oss + "}")).isEqualTo(stated);
    assertThat(stated.layers()).extracting(layer -> only(layer).window()).startsWith(128, 0, 128);
  }

  @Test
  void layersThatAreNotThereAreNotListed() throws IOException {
    String config = copy("llama");
    Files.writeString(
        directory.resolve("config.json"),
        config.replace("\"num_hidden_layers\": 2", "\"num_hidden_layers\": 10000"));
    try (Context context = Context.open()) {
      assertThatThrownBy(() -> Decoder.load(context, directory))
          .isInstanceOf(InvalidInputException.class)
          .hasMessageContaining("there are 10000 layers");
    }
  }

  /** Overwrites the first value of a tensor of the model. */
  private void poke(Context context, String tensor, float value) throws IOException {
    long offset;
    try (Checkpoint files = Checkpoint.open(context, directory)) {
      offset = files.tensors().get(tensor).offset();
    }
    byte[] bytes = Files.readAllBytes(directory.resolve(WEIGHTS));
    ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN).putFloat((int) offset, value);
    Files.write(directory.resolve(WEIGHTS), bytes);
  }

  @ParameterizedTest
  @ValueSource(floats = {Float.NaN, Float.POSITIVE_INFINITY, Float.NEGATIVE_INFINITY})
  void weightsThatAreNoNumbersAreRefusedByTheirName(float value) throws IOException {
    Files.writeString(directory.resolve("config.json"), copy("llama"));
    String tensor = "model.layers.1.mlp.up_proj.weight";
    try (Context context = Context.open()) {
      poke(context, tensor, value);
      for (Decoder.Storage storage : Decoder.Storage.values()) {
        assertThatThrownBy(() -> Decoder.load(context, directory, storage))
            .isInstanceOf(InvalidInputException.class)
            .hasMessageContaining(directory.resolve(WEIGHTS).toString())
            .hasMessageContaining(tensor)
            .hasMessageContaining("not finite");
      }
    }
  }

  @Test
  void logitsThatAreNoNumbersAreTheModels() throws IOException {
    Files.writeString(directory.resolve("config.json"), copy("llama"));
    try (Context context = Context.open()) {
      poke(context, "model.norm.weight", 3e38f);
      poke(context, "lm_head.weight", 3e38f);
      try (Decoder model = Decoder.load(context, directory)) {
        assertThatThrownBy(() -> draw(model, OPTIONS))
            .isInstanceOf(InvalidInputException.class)
            .hasMessageContaining(directory.toString())
            .hasMessageContaining("not finite");
      }
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {-1, 24, Integer.MAX_VALUE})
  void tokensOfAnotherVocabularyAreRefused(int token) {
    try (Context context = Context.open();
        Decoder model = Decoder.load(context, DECODERS.resolve("llama"))) {
      int[] tokens = {1, token};
      List<ThrowingCallable> uses =
          List.of(
              () -> model.requireTokens(tokens),
              () -> Sampler.complete(model, List.of(tokens), OPTIONS, new long[1]),
              () ->
                  CapturedLayers.of(
                      model, List.of(new CapturedLayers.Text(tokens, 1)), name -> true, true, 1));
      for (ThrowingCallable use : uses) {
        assertThatThrownBy(use)
            .isInstanceOf(InvalidInputException.class)
            .hasMessageContaining(DECODERS.resolve("llama").toString())
            .hasMessageContaining("token " + token + " of a vocabulary of 24");
      }
    }
  }

  @Test
  void finiteNumbersAreThoseOfEveryType() {
    for (ScalarType type :
        List.of(ScalarType.BFloat16, ScalarType.Half, ScalarType.Float, ScalarType.Double)) {
      for (float value : new float[] {0, -65504, 65504, Float.NaN, Float.POSITIVE_INFINITY}) {
        for (int place : new int[] {0, 31, 99}) {
          float[] values = new float[100];
          values[place] = value;
          Scopes.run(
              () ->
                  assertThat(Tensors.areFinite(Tensors.of(values, 10, 10).to(type)))
                      .as(type + " " + value)
                      .isEqualTo(Float.isFinite(value)));
        }
      }
    }
    Scopes.run(
        () ->
            assertThat(Tensors.areFinite(Tensors.of(new float[3], 1, 3).narrow(0, 0, 0))).isTrue());
  }
}
