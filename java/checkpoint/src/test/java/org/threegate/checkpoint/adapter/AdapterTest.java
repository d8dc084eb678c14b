package org.threegate.checkpoint.adapter;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.TreeSet;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.threegate.checkpoint.Checkpoint;
import org.threegate.checkpoint.ModelConfig;
import org.threegate.checkpoint.SafetensorsWriter;
import org.threegate.checkpoint.Tensor;
import org.threegate.checkpoint.TensorType;
import org.threegate.checkpoint.weight.DoubleRows;
import org.threegate.checkpoint.weight.Values;
import org.threegate.checkpoint.weight.Weight;
import org.threegate.checkpoint.weight.Weights;
import org.threegate.kernel.Context;
import org.threegate.run.InvalidInputException;
import org.threegate.testing.JsonMutations;
import org.threegate.testing.NativeLeaks;

/**
 * Tests that adapters make of a base what PEFT's own merge makes of it, in float64. {@code
 * src/test/python/adapters.py} wrote the adapters with PEFT.
 */
@ExtendWith(NativeLeaks.class)
class AdapterTest {
  private static final Path FIXTURES = Path.of("src/test/resources/adapters");

  @TempDir Path directory;

  static Stream<String> cases() throws IOException {
    try (Stream<Path> cases = Files.list(FIXTURES.resolve("cases"))) {
      return cases.map(path -> path.getFileName().toString()).sorted().toList().stream();
    }
  }

  private static Adapter open(Context context, Path path) {
    Path initial = path.resolve("initial");
    return Files.exists(initial)
        ? Adapter.open(context, path, initial)
        : Adapter.open(context, path);
  }

  @ParameterizedTest
  @MethodSource("cases")
  void weightsChangeAsInTheMergeOfPeft(String name) throws IOException {
    Path path = FIXTURES.resolve("cases").resolve(name);
    Path model =
        FIXTURES.resolve("bases").resolve(Files.readString(path.resolve("base.txt")).trim());
    try (Context context = Context.open(Context.Device.CPU, 1);
        Checkpoint base = Checkpoint.open(context, model);
        Checkpoint expected = Checkpoint.open(context, path.resolve("expected.safetensors"));
        Adapter adapter = open(context, path)) {
      // PEFT subtracts s·B₀A₀ from the base in float32, and this rounding is in its merge.
      double tolerance = Files.exists(path.resolve("initial")) ? 1e-8 : 1e-13;
      Map<String, Weight> before = Weights.of(base).byName();
      AdaptedWeights tuned = adapter.applyTo(before, base.config().orElse(ModelConfig.UNKNOWN));
      assertThat(tuned.unfit()).isEmpty();
      assertThat(tuned.unmatched().values())
          .allMatch(unmatched -> unmatched.reason().equals("a copy that PEFT does not read"));
      everyTensorIsInOnePlace(adapter, tuned);
      assertThat(tuned.byName().keySet()).containsAll(expected.tensors().keySet());
      for (Weight weight : tuned.byName().values()) {
        Weight own = before.get(weight.name());
        long rows = own.entries().rows();
        double[] changed = values(context, weight.entries().rows(0, rows));
        double[] stored = values(context, own.entries());
        Tensor change = expected.tensors().get(weight.name());
        double[] right =
            change == null ? new double[stored.length] : DoubleRows.all(change.matrix());
        assertThat(right).hasSameSizeAs(stored);
        for (int i = 0; i < stored.length; i++) {
          assertThat(changed[i] - stored[i]).isCloseTo(right[i], within(tolerance));
        }
        // By parts, as experts are read.
        long begin = rows / 3;
        long end = rows - rows / 4;
        double[] part = values(context, weight.entries().rows(begin, end));
        int columns = (int) own.entries().columns();
        for (int i = 0; i < part.length; i++) {
          assertThat(part[i]).isEqualTo(changed[(int) begin * columns + i]);
        }
      }
    }
  }

  /** Both sides have the same codes, so that the difference is that of the adapter. */
  @Test
  void aComputedUpdateOfAQuantizedBaseCountsAsQuantized() throws IOException {
    Path adapters = Files.createDirectories(directory.resolve("ia3"));
    new SafetensorsWriter()
        .tensor(
            "base_model.model.model.layers.0.mlp.up_proj.ia3_l",
            TensorType.F32,
            List.of(10L, 1L),
            new byte[40])
        .write(adapters.resolve(Checkpoint.ADAPTER_WEIGHTS));
    Files.writeString(
        adapters.resolve(Checkpoint.ADAPTER_CONFIG),
        "{\"peft_type\":\"IA3\",\"target_modules\":[\"up_proj\"],\"feedforward_modules\":[]}");
    Path model = Path.of("src/test/resources/quantized/fp8-channel");
    try (Context context = Context.open(Context.Device.CPU, 1);
        Checkpoint base = Checkpoint.open(context, model);
        Adapter adapter = Adapter.open(context, adapters)) {
      Map<String, Weight> before = Weights.of(base).byName();
      AdaptedWeights tuned = adapter.applyTo(before, base.config().orElseThrow());
      Weight changed = tuned.byName().get("model.layers.0.mlp.up_proj.weight");
      assertThat(Weight.isQuantized(before.get(changed.name()).storedAs())).isTrue();
      assertThat(Weight.isQuantized(changed.storedAs())).as(changed.storedAs()).isTrue();
      assertThat(changed.storedAs()).endsWith(" (IA3)");
    }
  }

  private static double[] values(Context context, Values values) {
    try (Values.Opened opened = values.open(context)) {
      double[] out = new double[(int) (values.rows() * values.columns())];
      DoubleRows.of(opened.operand()).read(0, (int) values.rows(), out);
      return out;
    }
  }

  private static void everyTensorIsInOnePlace(Adapter adapter, AdaptedWeights tuned) {
    List<String> names = new ArrayList<>(tuned.uses().keySet());
    names.addAll(tuned.unmatched().keySet());
    tuned.byName().values().stream()
        .map(weight -> weight.sources().get(0).name())
        .filter(name -> !tuned.uses().containsKey(name))
        .forEach(names::add);
    assertThat(names).doesNotHaveDuplicates();
    assertThat(new TreeSet<>(names)).isEqualTo(new TreeSet<>(adapter.weights().tensors().keySet()));
  }

  private Path changed(String name, String field, String json) throws IOException {
    Path from = FIXTURES.resolve("cases").resolve(name);
    Path to = Files.createTempDirectory(directory, "adapter");
    Files.copy(from.resolve(Checkpoint.ADAPTER_WEIGHTS), to.resolve(Checkpoint.ADAPTER_WEIGHTS));
    ObjectMapper mapper = new ObjectMapper();
    ObjectNode config =
        (ObjectNode) mapper.readTree(from.resolve(Checkpoint.ADAPTER_CONFIG).toFile());
    config.set(field, mapper.readTree(json));
    Files.writeString(to.resolve(Checkpoint.ADAPTER_CONFIG), config.toString());
    return to;
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "peft_type | \"BOFT\" | peft_type BOFT cannot be computed",
        "peft_type | \"OFT\" | use_cayley_neumann",
        "peft_type | \"PROMPT_TUNING\" | PROMPT_TUNING",
        "peft_type | \"IA3\" | lora_A",
        "init_lora_weights | \"loftq\" | init_lora_weights is loftq",
        "init_lora_weights | \"pissa_niter_4\" | initialised by pissa_niter_4",
        "init_lora_weights | \"lora_ga\" | initialised by lora_ga",
        "init_lora_weights | \"some_new_one\" | some_new_one",
        "layer_replication | [[0, 1], [0, 1]] | layer_replication",
        "alora_invocation_tokens | [1, 2] | alora_invocation_tokens",
        "use_qalora | true | use_qalora",
        "kasa_config | {\"beta\": 1} | kasa_config",
        "use_dora | true | lora_magnitude_vector",
        "target_parameters | 3 | target_parameters",
        "r | 7 | the rank is 7",
      })
  void whatCannotBeComputedIsRefusedByName(String field, String json, String message)
      throws IOException {
    Path path = changed("rslora", field, json);
    try (Context context = Context.open(Context.Device.CPU, 1);
        Checkpoint base = Checkpoint.open(context, FIXTURES.resolve("bases/qwen2"))) {
      assertThatThrownBy(
              () -> {
                try (Adapter adapter = Adapter.open(context, path)) {
                  adapter.applyTo(Weights.of(base).byName(), ModelConfig.UNKNOWN);
                }
              })
          .isInstanceOf(InvalidInputException.class)
          .hasMessageContaining(path.getFileName().toString())
          .hasMessageContaining(message);
    }
  }

  @ParameterizedTest
  @CsvSource({"gaussian", "eva", "orthogonal", "Gaussian"})
  void initialisationsThatLeaveTheBaseNeedNoBeginning(String name) throws IOException {
    Path path = changed("rslora", "init_lora_weights", '"' + name + '"');
    try (Context context = Context.open(Context.Device.CPU, 1);
        Adapter adapter = Adapter.open(context, path)) {
      assertThat(adapter.updates()).hasSize(2);
    }
  }

  /** No field of a configuration is believed: a changed one is read, or refused in one line. */
  @ParameterizedTest
  @CsvSource({
    "patterns",
    "dora",
    "tokens",
    "experts",
    "adalora",
    "ia3",
    "loha",
    "lokr",
    "oft",
    "vera"
  })
  void noFieldOfAConfigurationIsBelieved(String name) throws IOException {
    Path from = FIXTURES.resolve("cases").resolve(name);
    Path model =
        FIXTURES.resolve("bases").resolve(Files.readString(from.resolve("base.txt")).trim());
    Files.copy(
        from.resolve(Checkpoint.ADAPTER_WEIGHTS), directory.resolve(Checkpoint.ADAPTER_WEIGHTS));
    try (Context context = Context.open(Context.Device.CPU, 1);
        Checkpoint base = Checkpoint.open(context, model)) {
      Map<String, Weight> before = Weights.of(base).byName();
      int refused =
          JsonMutations.requireReadOrRefused(
              Files.readString(from.resolve(Checkpoint.ADAPTER_CONFIG)),
              InvalidInputException.class,
              directory.getFileName().toString(),
              text -> {
                Files.writeString(directory.resolve(Checkpoint.ADAPTER_CONFIG), text);
                try (Adapter adapter = Adapter.open(context, directory)) {
                  AdaptedWeights tuned = adapter.applyTo(before, base.config().orElseThrow());
                  everyTensorIsInOnePlace(adapter, tuned);
                  for (Weight weight : tuned.byName().values()) {
                    values(context, weight.entries());
                  }
                }
              });
      assertThat(refused).isGreaterThan(20);
    }
  }

  /** Tensors of other shapes, dtypes or names are listed, or refused in one line. */
  @ParameterizedTest
  @ValueSource(
      strings = {
        "lora-bias",
        "embedding",
        "tokens",
        "dora-embedding",
        "experts",
        "adalora",
        "ia3",
        "loha",
        "lokr-both",
        "oft",
        "vera"
      })
  void noTensorIsBelieved(String name) throws IOException {
    Path from = FIXTURES.resolve("cases").resolve(name);
    Path model =
        FIXTURES.resolve("bases").resolve(Files.readString(from.resolve("base.txt")).trim());
    Files.copy(
        from.resolve(Checkpoint.ADAPTER_CONFIG), directory.resolve(Checkpoint.ADAPTER_CONFIG));
    try (Context context = Context.open(Context.Device.CPU, 1);
        Checkpoint base = Checkpoint.open(context, model);
        Checkpoint stored = Checkpoint.open(context, from.resolve(Checkpoint.ADAPTER_WEIGHTS))) {
      Map<String, Weight> before = Weights.of(base).byName();
      for (Tensor changed : stored.tensors().values()) {
        long count = changed.elements();
        for (List<Long> shape :
            List.of(
                List.of(count),
                List.of(1L, count),
                List.of(count, 1L),
                List.of(1L, 1L, count),
                List.of(1L, count, 1L, 1L),
                List.of(0L, count),
                List.<Long>of())) {
          rewrite(stored, changed, shape, TensorType.F32, changed.name());
          readOrRefuse(context, before, base);
        }
        rewrite(stored, changed, changed.shape(), TensorType.I32, changed.name());
        readOrRefuse(context, before, base);
        for (String other :
            List.of(
                changed.name() + ".weight",
                changed.name().replaceFirst("_[aA]", "_B"),
                changed.name().replaceFirst("\\d", "7"),
                "base_model.model." + changed.name(),
                "")) {
          rewrite(stored, changed, changed.shape(), TensorType.F32, other);
          readOrRefuse(context, before, base);
        }
      }
    }
  }

  private void rewrite(
      Checkpoint stored, Tensor changed, List<Long> shape, TensorType type, String name)
      throws IOException {
    SafetensorsWriter writer = new SafetensorsWriter();
    for (Tensor tensor : stored.tensors().values()) {
      byte[] bytes = tensor.file().buffer().getBytes(tensor.offset(), tensor.bytes());
      if (!tensor.name().equals(changed.name())) {
        if (!tensor.name().equals(name)) {
          writer.tensor(tensor.name(), tensor.type(), tensor.shape(), bytes);
        }
      } else {
        long count = shape.stream().reduce(1L, (a, b) -> a * b);
        writer.tensor(name, type, shape, Arrays.copyOf(bytes, (int) (4 * count)));
      }
    }
    writer.write(directory.resolve(Checkpoint.ADAPTER_WEIGHTS));
  }

  private void readOrRefuse(Context context, Map<String, Weight> before, Checkpoint base) {
    try (Adapter adapter = Adapter.open(context, directory)) {
      AdaptedWeights tuned = adapter.applyTo(before, base.config().orElseThrow());
      everyTensorIsInOnePlace(adapter, tuned);
      tuned.byName().values().forEach(weight -> values(context, weight.entries()));
    } catch (InvalidInputException e) {
      assertThat(e).hasMessageContaining(directory.getFileName().toString());
    }
  }

  @Test
  void anOldAdapterIsNamed() throws IOException {
    Path inner = Files.createDirectories(directory.resolve("default"));
    Files.writeString(inner.resolve(Checkpoint.ADAPTER_CONFIG), "{\"r\": 2, \"lora_alpha\": 2}");
    Files.writeString(inner.resolve("adapter_model.bin"), "pickle");
    try (Context context = Context.open(Context.Device.CPU, 1)) {
      assertThatThrownBy(() -> Adapter.open(context, inner))
          .isInstanceOf(InvalidInputException.class)
          .hasMessageContaining("adapter_model.bin: is an adapter in PyTorch's pickle format");
    }
  }

  private static byte[] ones(int count) {
    ByteBuffer buffer = ByteBuffer.allocate(4 * count).order(ByteOrder.LITTLE_ENDIAN);
    for (int i = 0; i < count; i++) {
      buffer.putFloat(1);
    }
    return buffer.array();
  }

  /** What the base lacks, or has in another shape, is listed with the reason. */
  @Test
  void whatCannotBeAppliedIsListed() throws IOException {
    String module = "base_model.model.model.layers.0.self_attn.";
    new SafetensorsWriter()
        .tensor(module + "q_proj.lora_A.weight", TensorType.F32, List.of(2L, 5L), ones(10))
        .tensor(module + "q_proj.lora_B.weight", TensorType.F32, List.of(16L, 2L), ones(32))
        .tensor(module + "x_proj.lora_A.weight", TensorType.F32, List.of(2L, 16L), ones(32))
        .tensor(module + "x_proj.lora_B.weight", TensorType.F32, List.of(16L, 2L), ones(32))
        .tensor(module + "o_proj.lora_A.weight", TensorType.F32, List.of(2L, 16L), ones(32))
        .tensor(module + "o_proj.lora_B.weight", TensorType.F32, List.of(16L, 2L), ones(32))
        .tensor(module + "o_proj.lora_B.bias", TensorType.F32, List.of(16L), ones(16))
        .tensor(module + "o_proj.lora_magnitude_vector", TensorType.F32, List.of(16L), ones(16))
        .tensor("base_model.model.counter", TensorType.I64, List.of(1L), new byte[8])
        .write(directory.resolve(Checkpoint.ADAPTER_WEIGHTS));
    Files.writeString(
        directory.resolve(Checkpoint.ADAPTER_CONFIG), "{\"r\": 2, \"lora_alpha\": 2}");
    try (Context context = Context.open(Context.Device.CPU, 1);
        Checkpoint base = Checkpoint.open(context, FIXTURES.resolve("bases/llama"));
        Adapter adapter = Adapter.open(context, directory)) {
      AdaptedWeights tuned =
          adapter.applyTo(Weights.of(base).byName(), base.config().orElseThrow());
      everyTensorIsInOnePlace(adapter, tuned);
      assertThat(tuned.byName()).containsOnlyKeys("model.layers.0.self_attn.o_proj.weight");
      assertThat(tuned.unfit())
          .containsExactly(Map.entry("model.layers.0.self_attn.q_proj.weight", "[16, 5]"));
      assertThat(tuned.unmatched())
          .containsOnlyKeys(
              module + "q_proj.lora_A.weight",
              module + "q_proj.lora_B.weight",
              module + "x_proj.lora_A.weight",
              module + "x_proj.lora_B.weight",
              module + "o_proj.lora_B.bias",
              module + "o_proj.lora_magnitude_vector",
              "base_model.model.counter");
      assertThat(tuned.unmatched().get(module + "o_proj.lora_B.bias").reason())
          .isEqualTo("the base has no weight model.layers.0.self_attn.o_proj.bias");
      assertThat(tuned.unmatched().get("base_model.model.counter").reason()).contains("I64");
    }
  }
}
