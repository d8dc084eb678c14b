package org.threegate.rl.adapter;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
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
import org.junit.jupiter.params.provider.EnumSource;
import org.threegate.checkpoint.Checkpoint;
import org.threegate.checkpoint.Json;
import org.threegate.checkpoint.SafetensorsWriter;
import org.threegate.checkpoint.TensorType;
import org.threegate.kernel.Context;
import org.threegate.rl.optimizer.AdamW;
import org.threegate.rl.optimizer.Optimizer;
import org.threegate.rl.policy.Decoder;
import org.threegate.rl.policy.LowRankFactors;
import org.threegate.rl.policy.TensorFiles;
import org.threegate.rl.policy.Tensors;
import org.threegate.run.InvalidInputException;
import org.threegate.testing.NativeLeaks;

@ExtendWith(NativeLeaks.class)
@SuppressWarnings("try")
class LowRankAdapterTest {
  private static final Path MODEL = Path.of("src/test/resources/decoders/llama");
  private static final Path PEFT = Path.of("src/test/resources/adapters/lora");

  private static final String ADAPTER_WEIGHTS = "adapter_model.safetensors";
  private static final List<String> ALSO_LINEAR =
      Stream.concat(
              AdapterOptions.ALL.stream(),
              Stream.of("in_proj_qkv", "in_proj_z", "in_proj_b", "in_proj_a", "out_proj"))
          .toList();

  @TempDir Path directory;

  private static float[] logits(Decoder model) {
    try (PointerScope scope = new PointerScope()) {
      Tensor tokens = Tensors.of(new long[] {0, 1, 2, 3, 4, 5, 6, 7, 8, 9}, 2, 5);
      return Tensors.floats(model.logits(tokens, tokens.ge(new Scalar(0))));
    }
  }

  private static void assertClose(float[] values, float[] expected, double tolerance) {
    assertThat(values).hasSameSizeAs(expected);
    for (int i = 0; i < values.length; i++) {
      assertThat((double) values[i]).isCloseTo(expected[i], within(tolerance));
    }
  }

  private static double norm(Tensor tensor) {
    return tensor.norm().item_double();
  }

  /** Attaching changes no result, training changes the factors only, and files hold the update. */
  @ParameterizedTest
  @EnumSource(Initialisation.class)
  void theModelBeginsAsItWasAndFilesAreOfIt(Initialisation initialisation) throws IOException {
    AdapterOptions options =
        new AdapterOptions(
            3, 4, initialisation == Initialisation.OLORA, AdapterOptions.ALL, initialisation);
    requireTheSame(MODEL, options, 2 * 7);
  }

  /** Matrices of experts that are stored together have no factors, as in PEFT. */
  @ParameterizedTest
  @CsvSource({
    "gemma3, 21",
    "gpt-oss, 8",
    "qwen3-moe, 39",
    "qwen3-moe-fused, 8",
    "qwen3-5, 31",
    "qwen3-5-moe, 39"
  })
  void adaptersAreOfTheLinearLayersOfEveryFamily(String name, int layers) throws IOException {
    requireTheSame(
        MODEL.resolveSibling(name),
        new AdapterOptions(3, 4, false, ALSO_LINEAR, Initialisation.LORA),
        layers);
  }

  private void requireTheSame(Path path, AdapterOptions options, int layers) throws IOException {
    try (Context context = Context.open();
        PointerScope scope = new PointerScope();
        Decoder base = Decoder.load(context, path);
        Decoder model = Decoder.load(context, path);
        LowRankAdapter adapter = LowRankAdapter.attach(context, model, options, 1)) {
      assertThat(model.trainable()).hasSize(2 * layers);
      float[] before = logits(base);
      assertClose(logits(model), before, 2e-5);
      Map<String, float[]> frozen = new HashMap<>();
      model.parameters().forEach((name, value) -> frozen.put(name, Tensors.floats(value)));
      try (Optimizer optimizer = Optimizer.of(model.trainable(), AdamW.DEFAULT, Map.of())) {
        Tensor tokens = Tensors.of(new long[] {3, 4, 5, 6, 7, 8}, 2, 3);
        for (int step = 0; step < 3; step++) {
          model.logProbabilities(tokens, tokens.ge(new Scalar(0)), 1).mean().neg().backward();
          assertThat(optimizer.step(0.02)).isGreaterThan(0);
        }
      }
      frozen.forEach(
          (name, values) ->
              assertThat(Tensors.floats(model.parameters().get(name))).isEqualTo(values));
      float[] after = logits(model);
      assertThat(after).isNotEqualTo(before);
      adapter.write(directory.resolve("."), "a \"base\"");
      assertThat(
              Json.readObject(directory.resolve("adapter_config.json"))
                  .path("base_model_name_or_path")
                  .asText())
          .isEqualTo("a \"base\"");
      LowRankAdapter.read(context, base, directory);
      assertClose(logits(base), after, 5e-5);
      // The merged model computes the same.
      Files.copy(path.resolve("config.json"), directory.resolve("config.json"));
      model.write(directory, TensorType.F32);
      Files.delete(directory.resolve("adapter_config.json"));
      try (Decoder merged = Decoder.load(context, directory)) {
        assertClose(logits(merged), after, 5e-5);
      }
    }
  }

  /** PEFT names the layers as the text model alone does, if it was loaded without the others. */
  @Test
  void namesOfTheTextModelAloneAreRead() throws IOException {
    Path path = MODEL.resolveSibling("qwen3-5");
    Path alone = Files.createDirectory(directory.resolve("alone"));
    AdapterOptions options = new AdapterOptions(2, 4, false, ALSO_LINEAR, Initialisation.MILORA);
    try (Context context = Context.open();
        PointerScope scope = new PointerScope();
        Decoder base = Decoder.load(context, path);
        Decoder model = Decoder.load(context, path);
        LowRankAdapter adapter = LowRankAdapter.attach(context, model, options, 1)) {
      model.factors().values().forEach(own -> own.b().detach().mul_(new Scalar(1.5)));
      adapter.write(directory, "base");
      Files.copy(directory.resolve("adapter_config.json"), alone.resolve("adapter_config.json"));
      SafetensorsWriter writer = new SafetensorsWriter();
      try (Checkpoint file = Checkpoint.open(context, directory.resolve(ADAPTER_WEIGHTS))) {
        for (var tensor : file.tensors().values()) {
          writer.tensor(
              tensor.name().replace("language_model.", ""),
              tensor.type(),
              tensor.shape(),
              tensor.file().buffer().getBytes(tensor.offset(), tensor.bytes()));
        }
        writer.write(alone.resolve(ADAPTER_WEIGHTS));
      }
      LowRankAdapter.read(context, base, alone);
      assertThat(base.factors().keySet()).isEqualTo(model.factors().keySet());
      assertClose(logits(base), logits(model), 5e-5);
    }
  }

  /** The part that leaves a weight agrees with a decomposition in float64. */
  @ParameterizedTest
  @CsvSource({"PISSA, 0", "MILORA, 1"})
  void whatLeavesAWeightIsItsLargestOrSmallestPart(Initialisation initialisation, int end) {
    String name = "model.layers.1.mlp.up_proj.weight";
    try (Context context = Context.open();
        PointerScope scope = new PointerScope();
        Decoder base = Decoder.load(context, MODEL);
        Decoder model = Decoder.load(context, MODEL);
        LowRankAdapter adapter =
            LowRankAdapter.attach(context, model, AdapterOptions.of(2, initialisation), 1)) {
      Tensor weight = base.parameters().get(name).detach().to(ScalarType.Double);
      var svd = torch.linalg_svd(weight, false, null);
      long from = end * (svd.get1().size(0) - 2);
      Tensor part =
          svd.get0()
              .narrow(1, from, 2)
              .mul(svd.get1().narrow(0, from, 2))
              .matmul(svd.get2().narrow(0, from, 2));
      LowRankFactors factors = model.factors().get(name);
      Tensor product =
          factors.b().detach().matmul(factors.a().detach()).mul(new Scalar(factors.scale()));
      assertThat(norm(product.sub(part))).isLessThan(1e-5 * norm(weight));
      // The factors are balanced, so both have the same norm.
      assertThat(norm(factors.a().detach())).isCloseTo(norm(factors.b().detach()), within(1e-4));
      assertThat(norm(model.parameters().get(name).sub(weight.sub(part))))
          .isLessThan(1e-5 * norm(weight));
    }
  }

  @Test
  void orthogonalAndRestrictedFactorsAreWhatTheySay() {
    String name = "model.layers.0.self_attn.q_proj.weight";
    try (Context context = Context.open();
        PointerScope scope = new PointerScope();
        Decoder model = Decoder.load(context, MODEL);
        Decoder other = Decoder.load(context, MODEL);
        Decoder third = Decoder.load(context, MODEL);
        LowRankAdapter orthogonal =
            LowRankAdapter.attach(context, model, AdapterOptions.of(2, Initialisation.OLORA), 1);
        LowRankAdapter restricted =
            LowRankAdapter.attach(context, other, AdapterOptions.of(2, Initialisation.GEORA), 1);
        LowRankAdapter largest =
            LowRankAdapter.attach(context, third, AdapterOptions.of(2, Initialisation.PISSA), 1)) {
      Tensor b = model.factors().get(name).b().detach();
      assertThat(norm(b.t().matmul(b).sub(torch.eye(2)))).isLessThan(1e-5);
      // Without the large entries of the weight, the leading part is smaller.
      LowRankFactors ofRest = other.factors().get(name);
      LowRankFactors ofAll = third.factors().get(name);
      double rest = norm(ofRest.b().detach().matmul(ofRest.a().detach()));
      double all = norm(ofAll.b().detach().matmul(ofAll.a().detach()));
      assertThat(rest).isBetween(0.05 * all, 0.95 * all);
    }
  }

  @Test
  void filesOfPeftAreRead() {
    try (Context context = Context.open();
        PointerScope scope = new PointerScope();
        Decoder model = Decoder.load(context, MODEL);
        Checkpoint expected = Checkpoint.open(context, PEFT.resolve("expected.safetensors"))) {
      float[] plain = logits(model);
      LowRankAdapter.read(context, model, PEFT);
      float[] wanted = Tensors.floats(TensorFiles.read(expected.tensors().get("logits")));
      assertClose(logits(model), wanted, 2e-5);
      assertThat(plain).isNotEqualTo(wanted);
      assertThatThrownBy(() -> LowRankAdapter.read(context, model, PEFT))
          .isInstanceOf(InvalidInputException.class)
          .hasMessageContaining("the weight already has factors");
      assertThatThrownBy(
              () ->
                  LowRankAdapter.attach(
                          context,
                          model,
                          new AdapterOptions(2, 2, false, List.of("none"), Initialisation.LORA),
                          1)
                      .close())
          .isInstanceOf(IllegalArgumentException.class);
    }
  }

  /** A model with bf16 weights accepts float32 factors. */
  @Test
  void weightsInBf16TakeFactorsToo() {
    try (Context context = Context.open();
        PointerScope scope = new PointerScope();
        Decoder exact = Decoder.load(context, MODEL);
        Decoder model = Decoder.load(context, MODEL, Decoder.Storage.BF16);
        LowRankAdapter adapter =
            LowRankAdapter.attach(context, model, AdapterOptions.of(2, Initialisation.LORA), 1)) {
      float[] rounded = logits(model);
      float[] wanted = logits(exact);
      double squares = 0;
      double errors = 0;
      for (int i = 0; i < wanted.length; i++) {
        squares += wanted[i] * wanted[i];
        errors += Math.pow(rounded[i] - wanted[i], 2);
      }
      // bf16 has eight significant bits, and the rounding errors of a few operations add up.
      assertThat(Math.sqrt(errors / squares)).isBetween(1e-4, 0.05);
      assertThat(model.trainable().values())
          .allMatch(tensor -> tensor.scalar_type().intern() == ScalarType.Float);
    }
  }
}
