package org.threegate.rl.policy;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.threegate.buffer.NativeBuffer;
import org.threegate.checkpoint.Checkpoint;
import org.threegate.checkpoint.SafetensorsWriter;
import org.threegate.checkpoint.TensorType;
import org.threegate.kernel.Bf16Diff;
import org.threegate.kernel.Context;
import org.threegate.run.InvalidInputException;
import org.threegate.testing.NativeLeaks;
import org.threegate.testing.SharedData;

@ExtendWith(NativeLeaks.class)
@SuppressWarnings("try")
@Tag("binding")
class DecoderTest {
  private static final Path DECODERS = Path.of("src/test/resources/decoders");
  private static final double TOLERANCE = 1e-5;

  @TempDir Path directory;

  static Stream<String> decoders() throws IOException {
    try (Stream<Path> paths = Files.list(DECODERS)) {
      return paths.map(path -> path.getFileName().toString()).sorted().toList().stream();
    }
  }

  /** Inputs, and the results that transformers computed for them. */
  private record Expected(long[] tokens, long[] mask, Map<String, float[]> floats) {
    static final int ROWS = 3;
    static final int COLUMNS = 12;

    static Expected of(Context context, Path path) {
      try (Checkpoint file = Checkpoint.open(context, path.resolve("expected.safetensors"))) {
        Map<String, float[]> floats = new java.util.HashMap<>();
        file.tensors()
            .forEach(
                (name, tensor) -> {
                  if (tensor.type() == TensorType.F32) {
                    float[] values = new float[(int) tensor.elements()];
                    for (int i = 0; i < values.length; i++) {
                      values[i] = tensor.file().buffer().getFloat(tensor.offset() + 4L * i);
                    }
                    floats.put(name, values);
                  }
                });
        return new Expected(longs(file, "tokens"), longs(file, "mask"), floats);
      }
    }

    private static long[] longs(Checkpoint file, String name) {
      long[] values = new long[ROWS * COLUMNS];
      NativeBuffer buffer = file.tensors().get(name).file().buffer();
      for (int i = 0; i < values.length; i++) {
        values[i] = buffer.getLong(file.tensors().get(name).offset() + 8L * i);
      }
      return values;
    }

    Tensor tokenTensor() {
      return Tensors.of(tokens, ROWS, COLUMNS);
    }

    Tensor maskTensor() {
      return Tensors.of(mask, ROWS, COLUMNS).to(ScalarType.Bool);
    }
  }

  @ParameterizedTest
  @MethodSource("decoders")
  void computesWhatTransformersComputes(String name) {
    try (Context context = Context.open();
        PointerScope scope = new PointerScope();
        Decoder model = Decoder.load(context, DECODERS.resolve(name))) {
      Expected expected = Expected.of(context, DECODERS.resolve(name));
      float[] logits = Tensors.floats(model.logits(expected.tokenTensor(), expected.maskTensor()));
      float[] wanted = expected.floats().get("logits");
      int vocabulary = model.config().vocabulary();
      for (int i = 0; i < wanted.length; i++) {
        if (expected.mask()[i / vocabulary] == 1) {
          assertThat(logits[i])
              .as("logit " + i)
              .isCloseTo(wanted[i], within((float) (2 * TOLERANCE)));
        }
      }
      // The mean loss of the next tokens and its gradient must agree, too.
      Tensor logProbabilities =
          model.logProbabilities(expected.tokenTensor(), expected.maskTensor(), 1);
      Tensor mask = expected.maskTensor().to(ScalarType.Float);
      Tensor counted =
          mask.narrow(1, 0, Expected.COLUMNS - 1).mul(mask.narrow(1, 1, Expected.COLUMNS - 1));
      Tensor loss = logProbabilities.mul(counted).sum().div(counted.sum()).neg();
      assertThat(loss.item_double()).isCloseTo(expected.floats().get("loss")[0], within(TOLERANCE));
      loss.backward();
      model
          .parameters()
          .forEach(
              (parameter, value) -> {
                // An expert that no token chose has no gradient.
                float[] gradient =
                    value.grad().defined()
                        ? Tensors.floats(value.grad())
                        : new float[(int) value.numel()];
                float[] reference = expected.floats().get("gradient." + parameter);
                assertThat(reference).as(parameter).hasSameSizeAs(gradient);
                for (int i = 0; i < gradient.length; i++) {
                  assertThat(gradient[i])
                      .as(parameter + " " + i)
                      .isCloseTo(reference[i], within((float) TOLERANCE));
                }
              });
    }
  }

  /** A head that was trained is neither left out nor used in place of the embedding. */
  @Test
  void aStoredHeadOfATiedModelIsTheEmbeddingOrRefused() throws IOException {
    Path tied = DECODERS.resolve("llama-tied-biased");
    try (Context context = Context.open();
        Checkpoint stored = Checkpoint.open(context, tied)) {
      for (boolean same : new boolean[] {true, false}) {
        Path model = Files.createDirectories(directory.resolve("same-" + same));
        Files.copy(tied.resolve("config.json"), model.resolve("config.json"));
        SafetensorsWriter writer = new SafetensorsWriter();
        for (org.threegate.checkpoint.Tensor tensor : stored.tensors().values()) {
          byte[] bytes = tensor.file().buffer().getBytes(tensor.offset(), tensor.bytes());
          writer.tensor(tensor.name(), tensor.type(), tensor.shape(), bytes);
          if (tensor.name().equals("model.embed_tokens.weight")) {
            byte[] head = bytes.clone();
            head[head.length / 2] ^= (byte) (same ? 0 : 1);
            writer.tensor(TensorNames.HEAD, tensor.type(), tensor.shape(), head);
          }
        }
        writer.write(model.resolve("model.safetensors"));
        if (same) {
          Decoder.load(context, model).close();
        } else {
          assertThatThrownBy(() -> Decoder.load(context, model))
              .isInstanceOf(InvalidInputException.class)
              .hasMessageContaining("differs from the embedding")
              .hasMessageContaining("tie_word_embeddings");
        }
      }
    }
  }

  /** The trained model of the shared test data and its tokenizer agree with the references. */
  @Test
  void aTrainedModelIsTheSameHere() {
    Path base = SharedData.require("base");
    String[] texts = {"B04+19=023$", "B84-90=-06$", "B12*34=08#9"};
    try (Context context = Context.open();
        PointerScope scope = new PointerScope();
        Tokenizer tokenizer = JsonTokenizer.load(base);
        Decoder model = Decoder.load(context, base);
        Checkpoint reference =
            Checkpoint.open(context, Path.of("src/test/resources/base-logits.safetensors"))) {
      org.threegate.checkpoint.Tensor tokens = reference.tensors().get("tokens");
      org.threegate.checkpoint.Tensor logits = reference.tensors().get("logits");
      int length = texts[0].length();
      for (int row = 0; row < texts.length; row++) {
        int[] own = tokenizer.encode(texts[row]);
        assertThat(own).hasSize(length);
        for (int i = 0; i < length; i++) {
          assertThat((long) own[i])
              .isEqualTo(tokens.file().buffer().getLong(tokens.offset() + 8L * (row * length + i)));
        }
        assertThat(tokenizer.decode(own)).isEqualTo(texts[row]);
        Padded padded = Padded.left(List.of(own), length + 3, model.config().tokens().padding());
        float[] found =
            Tensors.floats(model.logits(padded.tokens(), padded.mask()).narrow(1, 3, length));
        for (int i = 0; i < found.length; i++) {
          assertThat(found[i])
              .isCloseTo(
                  logits.file().buffer().getFloat(logits.offset() + 4L * (row * found.length + i)),
                  within((float) (5 * TOLERANCE)));
        }
      }
    }
  }

  @Test
  void whatIsNoTokenizerIsRefused() throws IOException {
    assertThatThrownBy(() -> JsonTokenizer.load(directory))
        .isInstanceOf(InvalidInputException.class)
        .hasMessage(directory.resolve("tokenizer.json") + ": no such file");
    Files.writeString(directory.resolve("tokenizer.json"), "{}");
    assertThatThrownBy(() -> JsonTokenizer.load(directory))
        .isInstanceOf(InvalidInputException.class)
        .hasMessageContaining("not a supported tokenizer");
  }

  /** Logits computed in parts and token by token with the cache equal those computed at once. */
  @ParameterizedTest
  @MethodSource("decoders")
  void theCacheChangesNothing(String name) {
    try (Context context = Context.open();
        PointerScope scope = new PointerScope();
        Decoder model = Decoder.load(context, DECODERS.resolve(name));
        KeyValueCache cache = model.cache(Expected.ROWS, Expected.COLUMNS)) {
      Expected expected = Expected.of(context, DECODERS.resolve(name));
      Tensor tokens = expected.tokenTensor();
      Tensor mask = expected.maskTensor();
      int vocabulary = model.config().vocabulary();
      float[] whole = Tensors.floats(model.logits(tokens, mask));
      for (int at = 0; at < Expected.COLUMNS; ) {
        int count = at == 0 ? 8 : at == 8 ? 2 : 1;
        float[] next =
            Tensors.floats(
                model.next(tokens.narrow(1, at, count), mask.narrow(1, at, count), cache));
        at += count;
        assertThat(cache.length()).isEqualTo(at);
        for (int row = 0; row < Expected.ROWS; row++) {
          for (int i = 0; i < vocabulary; i++) {
            assertThat(next[row * vocabulary + i])
                .isCloseTo(
                    whole[(row * Expected.COLUMNS + at - 1) * vocabulary + i],
                    within((float) TOLERANCE));
          }
        }
      }
      assertThatThrownBy(() -> model.next(tokens.narrow(1, 0, 1), mask.narrow(1, 0, 1), cache))
          .isInstanceOf(IllegalStateException.class)
          .hasMessageContaining("12 already; 1 more do not fit");
    }
  }

  /**
   * Texts longer than the positions of the model, at once and token by token. Each text of a batch
   * has the rotary frequencies that transformers gives it alone.
   */
  @ParameterizedTest
  @ValueSource(
      strings = {
        "gemma3",
        "gpt-oss",
        "llama-3",
        "llama-dynamic",
        "llama-linear",
        "llama-longrope",
        "llama-yarn",
        "qwen3-5-text"
      })
  void positionsReachBeyondThoseOfTheModel(String name) {
    int width = 40;
    int begun = 8; // tokens that the cache is filled with at once
    try (Context context = Context.open();
        PointerScope scope = new PointerScope();
        Decoder model = Decoder.load(context, DECODERS.resolve(name));
        KeyValueCache cache = model.cache(Expected.ROWS, width);
        Checkpoint file =
            Checkpoint.open(context, DECODERS.resolve(name + "/expected-beyond.safetensors"))) {
      assertThat(width).isGreaterThan(model.config().positions());
      long[] tokens = longs(file, "tokens");
      long[] lengths = longs(file, "lengths");
      long[] known = new long[tokens.length];
      for (int i = 0; i < known.length; i++) {
        known[i] = i % width < lengths[i / width] ? 1 : 0;
      }
      Tensor all = Tensors.of(tokens, Expected.ROWS, width);
      Tensor mask = Tensors.of(known, Expected.ROWS, width).to(ScalarType.Bool);
      float[] whole = Tensors.floats(model.logits(all, mask));
      expect(file, "whole", known, whole, 0, width);
      for (int at = 0; at < width; ) {
        int count = at == 0 ? begun : 1;
        float[] next =
            Tensors.floats(model.next(all.narrow(1, at, count), mask.narrow(1, at, count), cache));
        at += count;
        expect(file, "cached", known, next, at - 1, 1);
      }
    }
  }

  private static long[] longs(Checkpoint file, String name) {
    org.threegate.checkpoint.Tensor tensor = file.tensors().get(name);
    long[] values = new long[(int) tensor.elements()];
    for (int i = 0; i < values.length; i++) {
      values[i] = tensor.file().buffer().getLong(tensor.offset() + 8L * i);
    }
    return values;
  }

  /** Expects the logits of some columns, where the mask is 1. */
  private static void expect(
      Checkpoint file, String name, long[] known, float[] logits, int from, int count) {
    org.threegate.checkpoint.Tensor wanted = file.tensors().get(name);
    int columns = known.length / Expected.ROWS;
    int vocabulary = (int) wanted.elements() / known.length;
    for (int i = 0; i < logits.length; i++) {
      int row = i / (count * vocabulary);
      int place = row * columns + from + i / vocabulary % count;
      if (known[place] == 1) {
        assertThat(logits[i])
            .as(name + " " + place)
            .isCloseTo(
                wanted
                    .file()
                    .buffer()
                    .getFloat(wanted.offset() + 4L * (place * vocabulary + i % vocabulary)),
                within((float) (5 * TOLERANCE)));
      }
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"gemma3", "gpt-oss", "qwen3", "qwen3-moe", "qwen3-moe-fused", "qwen3-5"})
  void isReadBackAsItWasWritten(String decoder) throws IOException {
    Path source = DECODERS.resolve(decoder);
    Files.copy(source.resolve("config.json"), directory.resolve("config.json"));
    try (Context context = Context.open();
        PointerScope scope = new PointerScope();
        Decoder model = Decoder.load(context, source)) {
      model.write(directory, TensorType.F32);
      try (Decoder same = Decoder.load(context, directory)) {
        model
            .parameters()
            .forEach(
                (name, value) ->
                    assertThat(Tensors.floats(same.parameters().get(name)))
                        .isEqualTo(Tensors.floats(value)));
      }
      model.write(directory, TensorType.BF16);
      try (Decoder rounded = Decoder.load(context, directory)) {
        model
            .parameters()
            .forEach(
                (name, value) ->
                    assertThat(Tensors.floats(rounded.parameters().get(name)))
                        .isEqualTo(
                            Tensors.floats(value.to(ScalarType.BFloat16).to(ScalarType.Float))));
      }
      assertThatThrownBy(() -> model.write(directory, TensorType.I32))
          .hasMessage("the type must be BF16 or F32, not I32");
    }
  }

  /** The parts of experts that are stored together, each in a tensor of its own. */
  @Test
  void expertsComputeTheSameInEachLayout() throws IOException {
    Path source = DECODERS.resolve("qwen3-moe-fused");
    Files.copy(source.resolve("config.json"), directory.resolve("config.json"));
    try (Context context = Context.open();
        PointerScope scope = new PointerScope();
        Decoder fused = Decoder.load(context, source)) {
      SafetensorsWriter writer = new SafetensorsWriter();
      fused
          .parameters()
          .forEach(
              (name, value) -> {
                if (value.dim() < 3) {
                  TensorFiles.put(writer, name, TensorType.F32, value);
                }
              });
      for (WeightPart part : fused.config().parts()) {
        TensorFiles.put(
            writer,
            part.name()
                .replaceFirst("gate_up_proj\\[(\\d+)]\\[(\\w+)]", "$1.$2_proj.weight")
                .replaceFirst("down_proj\\[(\\d+)]", "$1.down_proj.weight"),
            TensorType.F32,
            fused.matrix(part.name()));
      }
      writer.write(directory.resolve("model.safetensors"));
      try (Decoder separate = Decoder.load(context, directory)) {
        assertThat(separate.config().parts()).isEmpty();
        assertThat(separate.matrices()).hasSameSizeAs(fused.matrices());
        Expected expected = Expected.of(context, source);
        float[] wanted =
            Tensors.floats(fused.logits(expected.tokenTensor(), expected.maskTensor()));
        float[] logits =
            Tensors.floats(separate.logits(expected.tokenTensor(), expected.maskTensor()));
        for (int i = 0; i < wanted.length; i++) {
          assertThat(logits[i]).isCloseTo(wanted[i], within((float) TOLERANCE));
        }
      }
    }
  }

  /** The factor of Gemma's embeddings is rounded to the dtype of the model. */
  @Test
  void embeddingsAreScaledAsTransformersScalesThem() {
    for (Decoder.Storage storage : List.of(Decoder.Storage.FLOAT32, Decoder.Storage.BF16)) {
      try (Context context = Context.open();
          PointerScope scope = new PointerScope();
          Decoder model = Decoder.load(context, DECODERS.resolve("gemma3"), storage)) {
        boolean narrow = storage == Decoder.Storage.BF16;
        float[] scaled = Tensors.floats(model.embedded(Tensors.of(new long[] {5, 9}, 2)));
        float[] plain =
            Tensors.floats(model.parameters().get("model.embed_tokens.weight").narrow(0, 5, 1));
        // √32 is 5.65625 in bf16.
        float factor = narrow ? 5.65625f : (float) Math.sqrt(32);
        float[] wanted = new float[plain.length];
        for (int i = 0; i < wanted.length; i++) {
          wanted[i] = plain[i] * factor;
        }
        Tensor exact = Tensors.of(wanted, wanted.length);
        float[] rounded =
            Tensors.floats(narrow ? exact.to(ScalarType.BFloat16).to(ScalarType.Float) : exact);
        assertThat(Arrays.copyOf(scaled, rounded.length)).isEqualTo(rounded);
      }
    }
  }

  @Test
  void kernelsSeeTheSameMemory() {
    try (Context context = Context.open();
        PointerScope scope = new PointerScope();
        Decoder model = Decoder.load(context, DECODERS.resolve("llama"))) {
      Tensor weight = model.parameters().get("model.layers.0.mlp.up_proj.weight");
      Tensor before = weight.detach().clone();
      try (TensorMemory memory = TensorMemory.of(context, weight);
          TensorMemory old = TensorMemory.of(context, before)) {
        assertThat(memory.matrix().rows()).isEqualTo(20);
        assertThat(Bf16Diff.compare(context, old.operand(), memory.operand()).changed()).isZero();
        weight.detach().select(0, 3).mul_(new Scalar(1.5));
        assertThat(Bf16Diff.compare(context, old.operand(), memory.operand()).changed())
            .isEqualTo(16);
      }
      Tensor gaps = weight.detach().transpose(0, 1);
      assertThatThrownBy(() -> TensorMemory.of(context, gaps))
          .hasMessage("the rows of the tensor must be contiguous");
      assertThatThrownBy(() -> TensorMemory.of(context, Tensors.of(new long[] {1}, 1)))
          .hasMessageContaining("kernels need a floating-point type");
    }
  }

  private void refused(Context context, String config, String why) throws IOException {
    Files.writeString(directory.resolve("config.json"), config);
    assertThatThrownBy(() -> Decoder.load(context, directory))
        .isInstanceOf(InvalidInputException.class)
        .hasMessageContaining(directory.toString())
        .hasMessageContaining(why);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "gemma3 | 'attn_logit_softcapping\": null' | 'attn_logit_softcapping\": 50.0' |"
            + " attn_logit_softcapping is 50.0; it must be null",
        "gemma3 | 'final_logit_softcapping\": null' | 'final_logit_softcapping\": 30.0' |"
            + " final_logit_softcapping is 30.0; it must be null",
        "gemma3 | 'use_bidirectional_attention\": false' | 'use_bidirectional_attention\": true' |"
            + " use_bidirectional_attention is true; it must be false",
        "gemma3 | gelu_pytorch_tanh | gelu | hidden_activation \"gelu\" is not supported",
        "gemma3 | 'rope_parameters\": {' | 'rope_parameters\": {\"rope_type\": \"default\",' |"
            + " it must be an object with one object for each layer type",
        "gemma3 | sliding_attention | chunked_attention | layer_types \"chunked_attention\"",
        "gemma3 | 'sliding_window\": 4' | 'sliding_window\": null' | sliding_window is missing",
        "gpt-oss | 'hidden_size' | 'swiglu_limit\": 8.0, \"hidden_size' | swiglu_limit is 8.0",
        "gpt-oss | 'num_experts_per_tok\": 2' | 'num_experts_per_tok\": 5' |"
            + " num_experts_per_tok is 5; it must be a whole number from 1 to 4",
        "gpt-oss | num_local_experts | experts | num_experts is missing",
        "gpt-oss | 'num_local_experts\": 4' | 'num_local_experts\": 131073' |"
            + " num_local_experts is 131073; it must be a whole number from 1 to 131072",
        "qwen3-moe | 'hidden_size' | 'layer_types\": [], \"hidden_size' | layer_types is []",
        "qwen3-moe | 'num_local_experts\": 4' | 'num_local_experts\": 5' |"
            + " tensor \"model.layers.0.mlp.gate.weight\" has shape [4, 32]; config.json makes it"
            + " [5, 32]",
      })
  void whatChangesTheFunctionIsRefusedByName(
      String decoder, String given, String changed, String why) throws IOException {
    Files.copy(
        DECODERS.resolve(decoder).resolve("model.safetensors"),
        directory.resolve("model.safetensors"));
    String config = Files.readString(DECODERS.resolve(decoder).resolve("config.json"));
    assertThat(config).contains(given);
    try (Context context = Context.open()) {
      refused(context, config.replace(given, changed), why);
    }
  }

  /** Experts in blocks of MXFP4, as gpt-oss is on the hub, are refused with what to do. */
  @Test
  void quantizedExpertsAreRefused() throws IOException {
    Path source = DECODERS.resolve("gpt-oss");
    try (Context context = Context.open();
        PointerScope scope = new PointerScope();
        Decoder model = Decoder.load(context, source)) {
      SafetensorsWriter writer = new SafetensorsWriter();
      model
          .parameters()
          .forEach(
              (name, value) ->
                  TensorFiles.put(
                      writer,
                      name.endsWith("gate_up_proj") ? name + "_blocks" : name,
                      TensorType.F32,
                      value));
      writer.write(directory.resolve("model.safetensors"));
      refused(
          context,
          Files.readString(source.resolve("config.json")),
          "gate_up_proj\" is quantized (MXFP4); convert the model to bf16");
    }
  }

  @Test
  void whatIsNoDecoderIsRefused() throws IOException {
    String config = Files.readString(DECODERS.resolve("llama/config.json"));
    Files.copy(DECODERS.resolve("llama/model.safetensors"), directory.resolve("model.safetensors"));
    try (Context context = Context.open()) {
      refused(context, config.replace("\"llama\"", "\"gpt2\""), "model_type \"gpt2\"");
      refused(context, config.replace("silu", "gelu"), "hidden_act \"gelu\"");
      refused(context, config.replace("\"default\"", "\"ntk\""), "rope_type \"ntk\"");
      refused(
          context,
          config.replace("\"default\"", "\"longrope\""),
          "short_factor is missing; it must be a list of 4 numbers");
      refused(
          context,
          config.replace(
              "\"default\"",
              "\"longrope\", \"short_factor\": [1, 1, 1, 1], \"long_factor\": [1, 0, 1, 1]"),
          "long_factor is [1,0,1,1]; it must be a list of 4 numbers");
      refused(
          context,
          config.replace("\"default\"", "\"dynamic\", \"factor\": 0.5"),
          "factor is 0.5; it must be 1 or more with dynamic scaling");
      refused(
          context,
          config.replace("\"hidden_size\": 16", "\"hidden_size\": 0"),
          "config.json: hidden_size is 0; it must be a whole number from 1 to 16777216");
      refused(
          context,
          config.replace("\"num_key_value_heads\": 2", "\"num_key_value_heads\": 3"),
          "not a multiple");
      refused(context, config.replace("\"head_dim\": 8", "\"head_dim\": 7"), "head_dim 7 is odd");
      refused(
          context,
          config.replace("\"intermediate_size\": 20", "\"intermediate_size\": 21"),
          "tensor \"model.layers.0.mlp.gate_proj.weight\" has shape [20, 16]; config.json makes it"
              + " [21, 16]");
      refused(
          context,
          config.replace("\"num_hidden_layers\": 2", "\"num_hidden_layers\": 3"),
          "tensor \"model.layers.2.input_layernorm.weight\" is missing");
      refused(
          context,
          config.replace("\"num_hidden_layers\": 2", "\"num_hidden_layers\": 1"),
          "does not belong to a decoder with this config.json");
      refused(context, "{", "not valid JSON");
    }
  }
}
