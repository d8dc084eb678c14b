package org.threegate.checkpoint.weight;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.TreeSet;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.threegate.checkpoint.Checkpoint;
import org.threegate.checkpoint.SafetensorsWriter;
import org.threegate.checkpoint.Tensor;
import org.threegate.checkpoint.TensorType;
import org.threegate.dtype.Dtype;
import org.threegate.kernel.Bf16Diff;
import org.threegate.kernel.Context;
import org.threegate.kernel.Matrix;
import org.threegate.kernel.Operand;
import org.threegate.testing.NativeLeaks;

/**
 * Tests that each quantized layout is read with the values of its library. {@code
 * src/test/python/quantized.py} makes the checkpoints and the expected values.
 */
@ExtendWith(NativeLeaks.class)
class WeightsTest {
  private static final Path FIXTURES = Path.of("src/test/resources/quantized");

  @TempDir Path directory;

  static Stream<Path> fixtures() throws IOException {
    return Files.list(FIXTURES).sorted();
  }

  @ParameterizedTest
  @MethodSource("fixtures")
  void layoutsAreReadWithTheValuesOfTheirLibraries(Path fixture) {
    try (Context context = Context.open(Context.Device.CPU, 1);
        Checkpoint stored = Checkpoint.open(context, fixture.resolve("model.safetensors"));
        Checkpoint expected = Checkpoint.open(context, fixture.resolve("expected.safetensors"))) {
      Weights weights = Weights.of(stored);
      assertThat(weights.refused()).isEmpty();
      assertThat(weights.byName()).containsOnlyKeys(expected.tensors().keySet());
      everyTensorIsInOnePlace(stored, weights);
      for (Tensor tensor : expected.tensors().values()) {
        Weight weight = weights.byName().get(tensor.name());
        assertThat(weight.shape()).isEqualTo(tensor.shape());
        Operand right = Weight.of(tensor).entries().open(context).operand();
        assertSame(context, right, weight.entries());
        // The same entries by parts, as experts are read.
        long rows = weight.entries().rows();
        for (long begin = 0; begin < rows; begin += 5) {
          long end = Math.min(rows, begin + 5);
          assertSame(
              context,
              right.slice(begin, end, 0, right.columns()),
              weight.entries().rows(begin, end));
        }
      }
    }
  }

  private static void assertSame(Context context, Operand expected, Values values) {
    try (Values.Opened opened = values.open(context)) {
      Bf16Diff.Result diff = Bf16Diff.compare(context, expected, opened.operand());
      assertThat(diff.nonFinite()).isZero();
      assertThat(diff.baseSquares()).isPositive();
      // Products of a code and a scale are rounded once, in float32.
      assertThat(Math.sqrt(diff.deltaSquares() / diff.baseSquares())).isLessThan(1e-7);
    }
  }

  private static void everyTensorIsInOnePlace(Checkpoint stored, Weights weights) {
    TreeSet<String> names = new TreeSet<>(weights.consumed().keySet());
    names.addAll(weights.refused().keySet());
    weights.byName().values().forEach(weight -> names.add(weight.sources().get(0).name()));
    assertThat(names).containsExactlyElementsOf(new TreeSet<>(stored.tensors().keySet()));
    assertThat(weights.byName().size() + weights.consumed().size() + weights.refused().size())
        .isEqualTo(names.size());
  }

  private Weights of(SafetensorsWriter writer, String config) throws IOException {
    Path model = Files.createTempDirectory(directory, "model");
    writer.write(model.resolve("model.safetensors"));
    Files.writeString(model.resolve("config.json"), config);
    try (Context context = Context.open(Context.Device.CPU, 1);
        Checkpoint checkpoint = Checkpoint.open(context, model)) {
      Weights weights = Weights.of(checkpoint);
      everyTensorIsInOnePlace(checkpoint, weights);
      return weights;
    }
  }

  @Test
  void codesWithoutAScaleAreRefused() throws IOException {
    for (TensorType type :
        List.of(
            TensorType.F8_E4M3,
            TensorType.F8_E5M2,
            TensorType.F8_E4M3FNUZ,
            TensorType.F8_E5M2FNUZ,
            TensorType.F8_E8M0)) {
      Weights weights =
          of(new SafetensorsWriter().tensor("a.weight", type, List.of(2L, 2L), new byte[4]), "{}");
      assertThat(weights.byName()).isEmpty();
      assertThat(weights.refused())
          .containsExactly(Map.entry("a.weight", type + " codes without a scale"));
    }
    assertThat(
            of(
                    new SafetensorsWriter()
                        .tensor("a.weight", TensorType.I8, List.of(2L, 2L), new byte[4]),
                    "{\"quantization_config\":{\"quant_method\":\"quark\"}}")
                .refused())
        .containsExactly(Map.entry("a.weight", "I8 of quark holds no floating-point numbers"));
  }

  @Test
  void float8WithoutNegativeZeroIsRead() throws IOException {
    byte[] codes = {0x40, (byte) 0x80, 0x01, (byte) 0xC8};
    byte[] one = ByteBuffer.allocate(4).order(ByteOrder.LITTLE_ENDIAN).putFloat(1).array();
    SafetensorsWriter writer =
        new SafetensorsWriter()
            .tensor("a.weight", TensorType.F8_E4M3FNUZ, List.of(1L, 4L), codes)
            .tensor("a.weight_scale", TensorType.F32, List.of(1L), one);
    Path file = directory.resolve("fnuz.safetensors");
    writer.write(file);
    try (Context context = Context.open(Context.Device.CPU, 1);
        Checkpoint checkpoint = Checkpoint.open(context, file);
        Values.Opened opened =
            Weights.of(checkpoint).byName().get("a.weight").entries().open(context)) {
      Matrix values = opened.operand().values();
      assertThat(values.dtype()).isEqualTo(Dtype.F32);
      // A bias of 8, and not-a-number where others have a negative zero.
      assertThat(values.buffer().getFloats(values.offset(), 4))
          .containsExactly(1f, Float.NaN, 0x1p-10f, -2f);
    }
  }

  /** Tensors of a layout that do not fit each other are refused together, by name. */
  @Test
  void layoutsThatDoNotFitAreRefusedByName() throws IOException {
    byte[] words = new byte[4 * 8];
    String gptq = "{\"quantization_config\":{\"quant_method\":\"gptq\",\"bits\":4}}";
    SafetensorsWriter alone =
        new SafetensorsWriter().tensor("a.qweight", TensorType.I32, List.of(1L, 8L), words);
    assertThat(of(alone, gptq).refused()).containsOnlyKeys("a.qweight");
    assertThat(of(alone, gptq).refused().get("a.qweight")).contains("without scales");
    for (String config :
        List.of(gptq, "{\"quantization_config\":{\"quant_method\":\"gptq\",\"bits\":7}}", "{}")) {
      SafetensorsWriter unfit =
          new SafetensorsWriter()
              .tensor("a.qweight", TensorType.I32, List.of(1L, 8L), words)
              .tensor("a.qzeros", TensorType.I32, List.of(2L, 1L), new byte[8])
              .tensor("a.scales", TensorType.F16, List.of(1L, 8L), new byte[16]);
      Weights weights = of(unfit, config);
      assertThat(weights.byName()).isEmpty();
      assertThat(weights.refused()).containsOnlyKeys("a.qweight");
      assertThat(weights.consumed()).containsOnlyKeys("a.qzeros", "a.scales");
    }
    SafetensorsWriter groups =
        new SafetensorsWriter()
            .tensor("a.qweight", TensorType.I32, List.of(1L, 8L), words)
            .tensor("a.qzeros", TensorType.I32, List.of(1L, 1L), new byte[4])
            .tensor("a.scales", TensorType.F16, List.of(1L, 8L), new byte[16])
            .tensor(
                "a.g_idx",
                TensorType.I32,
                List.of(8L),
                ByteBuffer.allocate(32).putInt(28, 0x7FFFFFFF).array());
    assertThat(of(groups, gptq).refused()).containsOnlyKeys("a.qweight");
    byte[] state =
        "{\"shape\":[4611686018427387904,4],\"blocksize\":64}".getBytes(StandardCharsets.UTF_8);
    SafetensorsWriter huge =
        new SafetensorsWriter()
            .tensor("a.weight", TensorType.U8, List.of(8L, 1L), new byte[8])
            .tensor("a.weight.absmax", TensorType.F32, List.of(1L), new byte[4])
            .tensor("a.weight.quant_map", TensorType.F32, List.of(16L), new byte[64])
            .tensor(
                "a.weight.quant_state.bitsandbytes__nf4",
                TensorType.U8,
                List.of((long) state.length),
                state);
    assertThat(of(huge, "{}").refused()).containsOnlyKeys("a.weight");
  }
}
