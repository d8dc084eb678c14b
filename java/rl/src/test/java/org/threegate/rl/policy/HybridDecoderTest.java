package org.threegate.rl.policy;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.TreeMap;
import java.util.stream.IntStream;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;
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
import org.threegate.testing.Seeds;

/** Tests of decoders that mix attention and gated delta rules. */
@ExtendWith(NativeLeaks.class)
@SuppressWarnings("try")
class HybridDecoderTest {
  private static final Path DECODERS = Path.of("src/test/resources/decoders");
  private static final double TOLERANCE = 1e-5; // as in DecoderTest
  private static final String LONG = "expected-long.safetensors";
  private static final int WIDTH = 150; // tokens of the long texts, more than two chunks
  private static final int SHOWN = 20; // the last of them, whose logits are there

  @TempDir Path directory;

  private static Tensor read(Checkpoint file, String name) {
    return TensorFiles.read(file.tensors().get(name));
  }

  private static void assertClose(float[] values, float[] expected, double tolerance) {
    assertThat(values).hasSameSizeAs(expected);
    for (int i = 0; i < values.length; i++) {
      assertThat((double) values[i]).as("entry " + i).isCloseTo(expected[i], within(tolerance));
    }
  }

  private static Padded longTexts(Checkpoint file) {
    long[][] values = new long[2][2 * WIDTH];
    for (int i = 0; i < 2; i++) {
      var stored = file.tensors().get(i == 0 ? "tokens" : "mask");
      for (int j = 0; j < values[i].length; j++) {
        values[i][j] = stored.file().buffer().getLong(stored.offset() + 8L * j);
      }
    }
    return new Padded(
        Tensors.of(values[0], 2, WIDTH), Tensors.of(values[1], 2, WIDTH).to(ScalarType.Bool));
  }

  /** Texts of several chunks: logits and gradients are those of transformers. */
  @ParameterizedTest
  @ValueSource(strings = {"qwen3-5", "qwen3-next"})
  void chunksAreThoseOfTransformers(String name) {
    try (Context context = Context.open();
        PointerScope scope = new PointerScope();
        Decoder model = Decoder.load(context, DECODERS.resolve(name));
        Checkpoint file = Checkpoint.open(context, DECODERS.resolve(name).resolve(LONG))) {
      Padded texts = longTexts(file);
      Tensor logits = model.logits(texts.tokens(), texts.mask());
      assertClose(
          Tensors.floats(logits.narrow(1, WIDTH - SHOWN, SHOWN)),
          Tensors.floats(read(file, "logits")),
          2 * TOLERANCE);
      Tensor mask = texts.mask().to(ScalarType.Float);
      Tensor counted = mask.narrow(1, 0, WIDTH - 1).mul(mask.narrow(1, 1, WIDTH - 1));
      model
          .logProbabilities(texts.tokens(), texts.mask(), 1)
          .mul(counted)
          .sum()
          .div(counted.sum())
          .neg()
          .backward();
      int compared = 0;
      for (String tensor : file.tensors().keySet()) {
        if (tensor.startsWith("gradient.")) {
          Tensor parameter = model.parameters().get(tensor.substring("gradient.".length()));
          assertClose(
              Tensors.floats(parameter.grad()), Tensors.floats(read(file, tensor)), TOLERANCE);
          compared++;
        }
      }
      assertThat(compared).isEqualTo(name.equals("qwen3-5") ? 3 * 9 : 2 * 7);
    }
  }

  /** A long text in the cache: chunks continue from a memory, and single tokens, too. */
  @Test
  void theCacheContinuesFromAMemory() {
    try (Context context = Context.open();
        PointerScope scope = new PointerScope();
        Decoder model = Decoder.load(context, DECODERS.resolve("qwen3-5"));
        Checkpoint file = Checkpoint.open(context, DECODERS.resolve("qwen3-5").resolve(LONG));
        KeyValueCache cache = model.cache(2, WIDTH)) {
      Padded texts = longTexts(file);
      int vocabulary = model.config().vocabulary();
      Tensor whole = model.logits(texts.tokens(), texts.mask());
      int at = 0;
      for (int count : new int[] {70, 1, 1, 66, 2, 1, 9}) {
        Tensor next =
            model.next(
                texts.tokens().narrow(1, at, count), texts.mask().narrow(1, at, count), cache);
        at += count;
        assertClose(
            Tensors.floats(next),
            Tensors.floats(whole.narrow(1, at - 1, 1).reshape(2, vocabulary)),
            2 * TOLERANCE);
      }
      assertThat(at).isEqualTo(WIDTH);
    }
  }

  /** Padding of a batch changes nothing, wherever it is between the tokens of a text. */
  @Test
  void paddingIsNowhere() {
    int[][] texts = {{3, 4, 5, 6, 7, 8, 9, 10, 11}, {12, 13, 14, 15}, {16, 17, 18, 19, 20, 21}};
    // Columns of the tokens of each text, in parts that the cache gets one after the other.
    int[][] places = {
      {0, 1, 2, 3, 4, 5, 7, 8, 9}, // a gap in the second part
      {2, 3, 6, 11}, // padding on both sides
      {0, 1, 4, 9, 10, 11}
    };
    int[] parts = {4, 4, 1, 3};
    int width = 12;
    long[] tokens = new long[3 * width];
    long[] known = new long[3 * width];
    for (int row = 0; row < 3; row++) {
      for (int i = 0; i < texts[row].length; i++) {
        tokens[row * width + places[row][i]] = texts[row][i];
        known[row * width + places[row][i]] = 1;
      }
    }
    try (Context context = Context.open();
        PointerScope scope = new PointerScope();
        Decoder model = Decoder.load(context, DECODERS.resolve("qwen3-5"));
        KeyValueCache cache = model.cache(3, width)) {
      Tensor all = Tensors.of(tokens, 3, width);
      Tensor mask = Tensors.of(known, 3, width).to(ScalarType.Bool);
      Tensor whole = model.logits(all, mask);
      List<Tensor> alone = new ArrayList<>();
      for (int row = 0; row < 3; row++) {
        Padded one = Padded.left(List.of(texts[row]), texts[row].length, 0);
        alone.add(model.logits(one.tokens(), one.mask()));
        for (int i = 0; i < texts[row].length; i++) {
          assertClose(
              Tensors.floats(whole.select(0, row).select(0, places[row][i])),
              Tensors.floats(alone.get(row).select(1, i)),
              2 * TOLERANCE);
        }
      }
      int at = 0;
      for (int count : parts) {
        Tensor next = model.next(all.narrow(1, at, count), mask.narrow(1, at, count), cache);
        at += count;
        for (int row = 0; row < 3; row++) {
          int index = Arrays.binarySearch(places[row], at - 1);
          if (index >= 0) {
            assertClose(
                Tensors.floats(next.select(0, row)),
                Tensors.floats(alone.get(row).select(1, index)),
                2 * TOLERANCE);
          }
        }
      }
    }
  }

  /** Texts of several chunks with padding anywhere, at once and in any parts. */
  @ParameterizedTest
  @ValueSource(strings = {"qwen3-5", "qwen3-next"})
  void anyPartsGiveTheSame(String name) {
    Random random = Seeds.random("anyPartsGiveTheSame");
    int width = 2 + random.nextInt(WIDTH);
    double gaps = random.nextInt(3) * 0.2;
    try (Context context = Context.open();
        PointerScope scope = new PointerScope();
        Decoder model = Decoder.load(context, DECODERS.resolve(name));
        KeyValueCache cache = model.cache(2, width)) {
      long[] known = new long[2 * width];
      for (int i = 0; i < known.length; i++) {
        known[i] = random.nextDouble() < gaps ? 0 : 1;
      }
      long[] ids = random.longs(known.length, 3, model.config().vocabulary()).toArray();
      Tensor tokens = Tensors.of(ids, 2, width);
      Tensor mask = Tensors.of(known, 2, width).to(ScalarType.Bool);
      Tensor whole = model.logits(tokens, mask);
      for (int row = 0; row < 2; row++) {
        int from = row * width;
        int[] own =
            IntStream.range(from, from + width)
                .filter(i -> known[i] == 1)
                .map(i -> (int) ids[i])
                .toArray();
        if (own.length > 0) {
          Padded alone = Padded.left(List.of(own), own.length, 0);
          Tensor place = mask.select(0, row).nonzero().squeeze(1);
          assertClose(
              Tensors.floats(whole.select(0, row).index_select(0, place)),
              Tensors.floats(model.logits(alone.tokens(), alone.mask())),
              5 * TOLERANCE);
        }
      }
      for (int at = 0; at < width; ) {
        int count = 1 + random.nextInt(random.nextBoolean() ? 1 : width - at);
        Tensor next = model.next(tokens.narrow(1, at, count), mask.narrow(1, at, count), cache);
        at += count;
        for (int row = 0; row < 2; row++) {
          if (known[row * width + at - 1] == 1) {
            assertClose(
                Tensors.floats(next.select(0, row)),
                Tensors.floats(whole.select(0, row).select(0, at - 1)),
                5 * TOLERANCE);
          }
        }
      }
    }
  }

  /** Rows of a cache are copied with their memories. */
  @Test
  void rowsOfTheCacheAreCopied() {
    try (Context context = Context.open();
        PointerScope scope = new PointerScope();
        Decoder model = Decoder.load(context, DECODERS.resolve("qwen3-5"));
        KeyValueCache cache = model.cache(2, 8)) {
      Padded prompts = Padded.left(List.of(new int[] {3, 4, 5, 6}, new int[] {7, 8}), 4, 0);
      model.next(prompts.tokens(), prompts.mask(), cache);
      cache.select(Tensors.of(new long[] {1, 0, 1}, 3));
      Tensor next = Tensors.of(new long[] {9, 10, 11}, 3, 1);
      Tensor logits = model.next(next, next.ge(new Scalar(0)), cache);
      int[][] texts = {{7, 8, 9}, {3, 4, 5, 6, 10}, {7, 8, 11}};
      for (int row = 0; row < 3; row++) {
        Padded alone = Padded.left(List.of(texts[row]), texts[row].length, 0);
        assertClose(
            Tensors.floats(logits.select(0, row)),
            Tensors.floats(
                model.logits(alone.tokens(), alone.mask()).select(1, texts[row].length - 1)),
            TOLERANCE);
      }
    }
  }

  /** Results in bf16 are those in float32 up to its rounding, also with a cache. */
  @Test
  void bf16RoundsOnly() {
    // 8 bits, and about 15 roundings in each of 4 layers.
    double rounding = 0x1p-8 * Math.sqrt(15 * 4);
    int[] text = {3, 9, 27, 17, 51, 25, 11, 33, 35, 41};
    try (Context context = Context.open();
        PointerScope scope = new PointerScope();
        Decoder exact = Decoder.load(context, DECODERS.resolve("qwen3-5"));
        Decoder narrow = Decoder.load(context, DECODERS.resolve("qwen3-5"), Decoder.Storage.BF16);
        KeyValueCache cache = narrow.cache(1, text.length)) {
      Padded one = Padded.left(List.of(text), text.length, 0);
      Tensor wanted = exact.logits(one.tokens(), one.mask());
      Tensor whole = narrow.logits(one.tokens(), one.mask());
      double size = wanted.norm().item_double();
      assertThat(whole.sub(wanted).norm().item_double()).isBetween(1e-4 * size, rounding * size);
      List<Tensor> steps = new ArrayList<>();
      for (int i = 0; i < text.length; i++) {
        steps.add(narrow.next(one.tokens().narrow(1, i, 1), one.mask().narrow(1, i, 1), cache));
      }
      Tensor cached = torch.stack(Tensors.vector(steps.toArray(new Tensor[0])), 1);
      assertThat(cached.sub(wanted).norm().item_double()).isLessThan(rounding * size);
    }
  }

  /** Vision and MTP are named. The parameters have the names of the checkpoint. */
  @Test
  void everyStoredTensorIsAParameterOrNamed() {
    Path source = DECODERS.resolve("qwen3-5");
    try (Context context = Context.open();
        Decoder model = Decoder.load(context, source);
        Checkpoint stored = Checkpoint.open(context, source)) {
      assertThat(model.parameters())
          .containsKey("model.language_model.layers.3.self_attn.q_proj.weight");
      assertThat(model.leftOut())
          .containsEntry(
              "mtp.fc.weight", "it belongs to the layer that predicts a second token (MTP)")
          .containsEntry("model.visual.merger.norm.weight", "it belongs to the vision model");
      List<String> all = new ArrayList<>(model.parameters().keySet());
      all.addAll(model.leftOut().keySet());
      assertThat(all).containsExactlyInAnyOrderElementsOf(stored.tensors().keySet());
    }
    try (Context context = Context.open();
        Decoder model = Decoder.load(context, DECODERS.resolve("llama"))) {
      assertThat(model.leftOut()).isEmpty();
    }
  }

  /** The gradient of a weight is the sum of the products of gradients of outputs with inputs. */
  @Test
  void linearLayersOfDeltaRulesAreCaptured() {
    try (Context context = Context.open();
        PointerScope scope = new PointerScope();
        Decoder model = Decoder.load(context, DECODERS.resolve("qwen3-5"))) {
      Padded texts = Padded.left(List.of(new int[] {3, 4, 5, 6}, new int[] {7, 8}), 4, 0);
      List<LinearSample> samples =
          LinearSample.of(
              model, texts, name -> name.contains("layers.1."), logits -> logits.square().mean());
      model.logits(texts.tokens(), texts.mask()).square().mean().backward();
      assertThat(samples)
          .extracting(sample -> sample.weight().replaceAll(".*layers.1.(.*).weight", "$1"))
          .containsExactly(
              "linear_attn.in_proj_qkv",
              "linear_attn.in_proj_z",
              "linear_attn.in_proj_b",
              "linear_attn.in_proj_a",
              "linear_attn.out_proj",
              "mlp.gate_proj",
              "mlp.up_proj",
              "mlp.down_proj");
      for (LinearSample sample : samples) {
        Tensor rows = sample.gradient().flatten(0, 1);
        assertClose(
            Tensors.floats(rows.t().matmul(sample.input().flatten(0, 1))),
            Tensors.floats(model.parameters().get(sample.weight()).grad()),
            TOLERANCE);
      }
    }
  }

  private void copy(Context context, Path source, Map<String, String> renamed) throws IOException {
    SafetensorsWriter writer = new SafetensorsWriter();
    try (Checkpoint stored = Checkpoint.open(context, source)) {
      for (var tensor : stored.tensors().values()) {
        String name = renamed.getOrDefault(tensor.name(), tensor.name());
        if (!name.isEmpty()) {
          byte[] bytes = tensor.file().buffer().getBytes(tensor.offset(), tensor.bytes());
          writer.tensor(name, tensor.type(), tensor.shape(), bytes);
        }
      }
      writer.write(directory.resolve("model.safetensors"));
    }
    Files.writeString(
        directory.resolve("config.json"), Files.readString(source.resolve("config.json")));
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "model.language_model.layers.0.linear_attn.A_log | '' |"
            + " tensor \"model.language_model.layers.0.linear_attn.A_log\" is missing",
        "mtp.fc.weight | mpt.fc.weight | tensor \"mpt.fc.weight\" does not belong to a decoder",
        "mtp.fc.weight | model.audio.fc | tensor \"model.audio.fc\" does not belong to a decoder",
        "mtp.fc.weight | model.language_model.layers.3.linear_attn.A_log |"
            + " layers.3.linear_attn.A_log\" does not belong to a decoder",
        "model.language_model.layers.0.linear_attn.conv1d.weight |"
            + " model.language_model.layers.0.linear_attn.in_proj_qkvz.weight |"
            + " layers.0.linear_attn.conv1d.weight\" is missing",
      })
  void otherTensorsAreRefusedByName(String given, String changed, String why) throws IOException {
    try (Context context = Context.open()) {
      copy(context, DECODERS.resolve("qwen3-5"), Map.of(given, changed));
      assertThatThrownBy(() -> Decoder.load(context, directory))
          .isInstanceOf(InvalidInputException.class)
          .hasMessageContaining(why);
    }
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "'num_value_heads\": 4' | 'num_value_heads\": 3' | text_config.linear_num_value_heads is 3;"
            + " it must be a multiple of linear_num_key_heads 2",
        "'kernel_dim\": 4' | 'kernel_dim\": 1' | text_config.linear_conv_kernel_dim is 1;"
            + " it must be a whole number from 2 to 1024",
        "'kernel_dim\": 4' | 'kernel_dim\": 3' | conv1d.weight\" has shape [56, 1, 4]; config.json"
            + " makes it [56, 1, 3]",
        "'\"linear_attention\"' | '\"sliding_attention\"' | layer_types \"sliding_attention\" is not",
        "qwen3_5_text | qwen3_text | text_config.model_type is \"qwen3_text\"; it must be"
            + " \"qwen3_5_text\"",
        "text_config | texts_config | text_config.hidden_size is missing",
        "'partial_rotary_factor\": 0.5' | 'partial_rotary_factor\": 0.4' |"
            + " partial_rotary_factor 0.4 turns 3 dimensions of a head of 8",
        "'tie_word_embeddings\": false,\n \"trans' | 'tie_word_embeddings\": true,\n \"trans' |"
            + " tie_word_embeddings is true; it must be false, as in text_config",
        "silu | gelu | hidden_act \"gelu\" is not supported",
      })
  void configurationsAreRefusedByField(String given, String changed, String why)
      throws IOException {
    Path source = DECODERS.resolve("qwen3-5");
    try (Context context = Context.open()) {
      copy(context, source, Map.of());
      String config = Files.readString(source.resolve("config.json"));
      String place = given.replace("\\n", "\n");
      assertThat(config).contains(place);
      Files.writeString(
          directory.resolve("config.json"), config.replace(place, changed.replace("\\n", "\n")));
      assertThatThrownBy(() -> Decoder.load(context, directory))
          .isInstanceOf(InvalidInputException.class)
          .hasMessageContaining(directory.toString())
          .hasMessageContaining(why);
    }
  }

  /** Configurations on the hub have no list of layers, and tokens of the outer model. */
  @Test
  void defaultsAreThoseOfTransformers() throws IOException {
    Files.writeString(
        directory.resolve("config.json"),
        """
        {"model_type": "qwen3_5", "tie_word_embeddings": true, "eos_token_id": 7,
         "text_config": {"model_type": "qwen3_5_text", "hidden_size": 1024, "vocab_size": 248320,
           "intermediate_size": 3584, "num_hidden_layers": 8, "num_attention_heads": 8,
           "num_key_value_heads": 2, "max_position_embeddings": 262144,
           "rope_parameters": {"rope_type": "default", "rope_theta": 10000000}}}""");
    DecoderConfig config = DecoderConfig.read(directory);
    assertThat(config.tiedEmbeddings()).isTrue();
    assertThat(config.tokens().ends()).containsExactly(7);
    assertThat(config.attention().headDimension()).isEqualTo(256);
    assertThat(config.attention().rotated()).isEqualTo(64);
    assertThat(config.norm()).isEqualTo(new RmsNorm(RmsNorm.Kind.CENTRED, 1e-6));
    List<Integer> full = new ArrayList<>();
    for (int i = 0; i < 8; i++) {
      if (config.layers().get(i).mixer() instanceof Mixer.Attention) {
        full.add(i);
      }
    }
    assertThat(full).containsExactly(3, 7);
    assertThat(config.layers().get(0).mixer())
        .isEqualTo(new Mixer.DeltaRule(16, 32, 128, 128, 4, Mixer.Projections.SEPARATE));
    assertThat(config.parameters())
        .containsEntry(
            "model.language_model.layers.0.linear_attn.in_proj_qkv.weight", List.of(8192L, 1024L))
        .doesNotContainKey("lm_head.weight");
  }

  /** The parts of fused matrices have the entries of the whole, each once. */
  @ParameterizedTest
  @ValueSource(strings = {"qwen3-5", "qwen3-5-moe", "qwen3-next"})
  void partsAreOfTheWhole(String name) {
    try (Context context = Context.open();
        PointerScope scope = new PointerScope();
        Decoder model = Decoder.load(context, DECODERS.resolve(name))) {
      Map<String, Tensor> left = new TreeMap<>();
      for (WeightPart part : model.config().parts()) {
        Tensor whole =
            left.computeIfAbsent(
                part.parameter(), own -> model.parameters().get(own).detach().clone());
        assertThat(Tensors.floats(model.matrix(part.name())))
            .isEqualTo(Tensors.floats(part.in(whole)));
        part.in(whole).zero_();
      }
      assertThat(left.keySet()).anyMatch(own -> own.endsWith("self_attn.q_proj.weight"));
      left.forEach((own, rest) -> assertThat(rest.abs().sum().item_double()).as(own).isZero());
      assertThat(model.matrices())
          .contains(left.keySet().iterator().next().replaceAll("layers.*", "embed_tokens.weight"))
          .doesNotContainAnyElementsOf(left.keySet());
    }
  }

  @Test
  void randomModelsAreFiniteAndAreWritten() throws IOException {
    DecoderConfig config = DecoderConfig.read(DECODERS.resolve("qwen3-5"));
    Files.copy(
        DECODERS.resolve("qwen3-5").resolve("config.json"), directory.resolve("config.json"));
    try (Context context = Context.open();
        PointerScope scope = new PointerScope();
        Decoder model = Decoder.random(config, 0.1, 5)) {
      model.write(directory, TensorType.F32);
      try (Decoder same = Decoder.load(context, directory)) {
        Padded text = Padded.left(List.of(new int[] {3, 4, 5}), 3, 0);
        float[] logits = Tensors.floats(model.logits(text.tokens(), text.mask()));
        assertThat(Tensors.floats(same.logits(text.tokens(), text.mask()))).isEqualTo(logits);
        assertThat(logits[0]).isFinite().isNotZero();
      }
    }
  }
}
