package org.threegate.analysis.compare;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import java.util.function.IntToDoubleFunction;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.assertj.core.api.InstanceOfAssertFactories;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.threegate.analysis.diff.HeadCount;
import org.threegate.analysis.diff.TensorDiff;
import org.threegate.analysis.geometry.GeometryMeasurement;
import org.threegate.analysis.geometry.GeometryOptions;
import org.threegate.analysis.geometry.TensorGeometry;
import org.threegate.analysis.journal.Journal;
import org.threegate.analysis.nullmodel.NullModel;
import org.threegate.analysis.pairing.Pairing;
import org.threegate.analysis.pairing.WeightPair;
import org.threegate.analysis.statistics.Totals;
import org.threegate.buffer.NativeBuffer;
import org.threegate.checkpoint.Checkpoint;
import org.threegate.checkpoint.DigestKind;
import org.threegate.checkpoint.Identity;
import org.threegate.checkpoint.SafetensorsWriter;
import org.threegate.checkpoint.Tensor;
import org.threegate.checkpoint.TensorType;
import org.threegate.checkpoint.adapter.Adapter;
import org.threegate.checkpoint.weight.DoubleRows;
import org.threegate.dtype.Dtype;
import org.threegate.kernel.Context;
import org.threegate.kernel.Control;
import org.threegate.kernel.Matrix;
import org.threegate.kernel.Operand;
import org.threegate.kernel.TruncatedSvd;
import org.threegate.run.CancelledException;
import org.threegate.run.InvalidInputException;
import org.threegate.run.MemoryBudget;
import org.threegate.run.Progress;
import org.threegate.run.Remedy;
import org.threegate.testing.NativeLeaks;
import org.threegate.testing.Seeds;
import org.threegate.testing.SharedData;

@ExtendWith(NativeLeaks.class)
@Tag("binding")
class ComparisonTest {
  private static final double TOLERANCE_OF_MEMORY = 1e-6;

  private static final Optional<GeometryOptions> GEOMETRY =
      Optional.of(
          new GeometryOptions(
              List.of(), List.of(0.1), List.of(0.5), List.of(NullModel.values()), 2, 1e-6, 0));

  @TempDir Path directory;

  private record Compared(
      Pairing pairing, Map<String, TensorDiff> tensors, Comparison.Outcome outcome) {
    Totals totals(String name) {
      return tensors.get(name).totals();
    }
  }

  private Compared compare(Path base, Path tuned, Optional<Path> initial) throws IOException {
    try (Context context = Context.open(Context.Device.CPU, 2);
        Control control = Control.open(context);
        Checkpoint left = Checkpoint.open(context, base)) {
      if (Checkpoint.isAdapter(tuned)) {
        try (Adapter adapter =
            initial
                .map(before -> Adapter.open(context, tuned, before))
                .orElseGet(() -> Adapter.open(context, tuned))) {
          return run(
              context, control, left, adapter.weights(), Pairing.of(left, adapter, name -> true));
        }
      }
      try (Checkpoint right = Checkpoint.open(context, tuned)) {
        return run(context, control, left, right, Pairing.of(left, right, name -> true));
      }
    }
  }

  private Compared run(
      Context context, Control control, Checkpoint left, Checkpoint right, Pairing pairing)
      throws IOException {
    try (Journal<Comparison.Finished> journal =
        Journal.open(directory.resolve("journal"), Comparison.Finished.class, "test", false)) {
      Comparison.Outcome outcome =
          new Comparison(
                  context,
                  control,
                  left,
                  right,
                  new Comparison.Wanted(DigestKind.TENSORS, GEOMETRY))
              .run(pairing, journal, Progress.NONE);
      // A comparison must not cancel the control of its caller, because another comparison may
      // follow.
      assertThat(control.isCancelled()).isFalse();
      return new Compared(
          pairing,
          outcome.tensors().stream().collect(Collectors.toMap(TensorDiff::name, diff -> diff)),
          outcome);
    }
  }

  /** Fewer matrices at the same time than threads: products of one matrix are divided. */
  @Test
  void theGeometryDoesNotDependOnThreadsAndMemory() throws IOException {
    Random random = new Random(5);
    double[] weights = random.doubles(2L * 610 * 700, -1, 1).toArray();
    List<Path> paths = new ArrayList<>();
    for (String name : List.of("base", "tuned")) {
      double step = name.equals("base") ? 0 : 0.01;
      SafetensorsWriter writer = new SafetensorsWriter();
      tensor(writer, "a.weight", List.of(610L, 700L), i -> weights[i] + step * weights[i + 7]);
      tensor(writer, "b.weight", List.of(700L, 610L), i -> weights[i + 9] + step * weights[i]);
      paths.add(model(name, writer, ""));
    }
    String expected = geometry(paths, 1, MemoryBudget.ofMachine());
    assertThat(geometry(paths, 2, MemoryBudget.ofMachine())).isEqualTo(expected);
    assertThat(geometry(paths, 3, new MemoryBudget(1, false))).isEqualTo(expected);
  }

  /** A matrix that is left out of the geometry must not count towards its memory. */
  @Test
  void matricesWithoutGeometryNeedNoMemory() throws IOException {
    long side = GeometryMeasurement.LONGEST_WHOLE_SIDE + 1;
    GeometryOptions half =
        new GeometryOptions(
            List.of(), List.of(0.5), List.of(0.5), List.of(), 2, TOLERANCE_OF_MEMORY, 0);
    String header =
        "{\"large\":{\"dtype\":\"BF16\",\"shape\":[%d,%d],\"data_offsets\":[0,%d]}}"
            .formatted(side, side, 2 * side * side);
    Path path = directory.resolve("large.safetensors");
    try (RandomAccessFile file = new RandomAccessFile(path.toFile(), "rw")) {
      file.writeLong(Long.reverseBytes(header.length()));
      file.writeBytes(header);
      file.setLength(8 + header.length() + 2 * side * side); // without data
    }
    try (Context context = Context.open(Context.Device.CPU, 1);
        Checkpoint large = Checkpoint.open(context, path)) {
      List<WeightPair> pairs = Pairing.of(large, large, name -> true).pairs();
      assertThat(pairs).hasSize(1);
      assertThat(PairMeasurement.items(pairs, half)).isEmpty();
      assertThat(PairMeasurement.items(pairs, GEOMETRY.orElseThrow())).hasSize(1);
    }
  }

  /** The estimate covers what a decomposition needs, by either path, and is not far above it. */
  @ParameterizedTest
  @CsvSource({
    "2000,2000,0.1",
    "1500,9000,0.1",
    "9000,1500,0.02",
    "8192,8192,0.1",
    "16384,16384,0.01",
    "16385,16385,0.001",
    "17000,17000,0.1",
    "20000,16500,0.05",
    "16500,60000,0.01"
  })
  void theMemoryOfADecompositionIsEstimated(long rows, long columns, double share) {
    GeometryOptions options =
        new GeometryOptions(
            List.of(), List.of(share), List.of(0.5), List.of(), 2, TOLERANCE_OF_MEMORY, 0);
    long shorter = Math.min(rows, columns);
    long triplets = GeometryMeasurement.triplets(shorter, options);
    try (Context context = Context.open(Context.Device.CPU, 1);
        NativeBuffer entries = context.allocate(rows * columns)) {
      TruncatedSvd.Request request =
          TruncatedSvd.Request.of(
              Operand.of(Matrix.of(entries, Dtype.F8_E4M3, rows, columns)),
              triplets,
              TOLERANCE_OF_MEMORY);
      boolean isWhole = shorter <= GeometryMeasurement.LONGEST_WHOLE_SIDE;
      long workspace =
          TruncatedSvd.workspaceBytes(context, isWhole ? request.withSpectrum() : request);
      // The triplets of the base stay while another matrix is decomposed.
      long needed = workspace + 2 * 8 * triplets * (rows + columns);
      long estimate = PairMeasurement.memory(rows, columns, options);
      assertThat(estimate).isGreaterThanOrEqualTo(needed);
      assertThat(estimate - 10 * rows * columns).isLessThan(2 * needed);
    }
  }

  private String geometry(List<Path> paths, int threads, MemoryBudget memory) throws IOException {
    StringBuilder all = new StringBuilder();
    try (Context context = Context.open(Context.Device.CPU, threads);
        Control control = Control.open(context);
        Checkpoint left = Checkpoint.open(context, paths.get(0));
        Checkpoint right = Checkpoint.open(context, paths.get(1));
        Journal<Comparison.Finished> journal =
            Journal.open(directory.resolve("journal"), Comparison.Finished.class, "test", false)) {
      Comparison.Wanted wanted = new Comparison.Wanted(DigestKind.NONE, GEOMETRY, memory);
      Comparison.Outcome outcome =
          new Comparison(context, control, left, right, wanted)
              .run(Pairing.of(left, right, name -> true), journal, Progress.NONE);
      for (TensorGeometry own : outcome.geometry().values()) {
        assertThat(own.spectra()).isNotEmpty();
        all.append(Journal.encode(own.spectra())).append(Journal.encode(own.masks()));
      }
    }
    return all.toString();
  }

  private static byte[] floats(int count, IntToDoubleFunction value) {
    ByteBuffer buffer = ByteBuffer.allocate(4 * count).order(ByteOrder.LITTLE_ENDIAN);
    for (int i = 0; i < count; i++) {
      buffer.putFloat((float) value.applyAsDouble(i));
    }
    return buffer.array();
  }

  private Path model(String name, SafetensorsWriter writer, String config) throws IOException {
    Path path = Files.createDirectories(directory.resolve(name));
    writer.write(path.resolve("model.safetensors"));
    if (!config.isEmpty()) {
      Files.writeString(path.resolve("config.json"), config);
    }
    return path;
  }

  private static SafetensorsWriter tensor(
      SafetensorsWriter writer, String name, List<Long> shape, IntToDoubleFunction value) {
    int count = Math.toIntExact(shape.stream().reduce(1L, (a, b) -> a * b));
    return writer.tensor(name, TensorType.F32, shape, floats(count, value));
  }

  /**
   * Compares real checkpoints with float64 values from LAPACK. Counts must be equal, and norms must
   * agree to float64 precision.
   */
  @ParameterizedTest
  @ValueSource(strings = {"rlvr-add-seed1", "rlvr-add-seed1-float32", "sft-scratchpad-lr1e-4"})
  void realCheckpointsAgreeWithTheReference(String tuned) throws IOException {
    JsonNode reference =
        new ObjectMapper().readTree(SharedData.require("reference.json").toFile()).path(tuned);
    org.junit.jupiter.api.Assumptions.assumeTrue(reference.isObject(), "no reference for " + tuned);
    Compared compared =
        compare(SharedData.require("base"), SharedData.require(tuned), Optional.empty());
    assertThat(compared.tensors().keySet()).containsAll(names(reference));
    for (Map.Entry<String, JsonNode> entry : reference.properties()) {
      JsonNode expected = entry.getValue().path("diff");
      Totals actual = compared.totals(entry.getKey());
      assertThat(actual.counts().total()).isEqualTo(expected.path("total").asLong());
      assertThat(actual.counts().changed())
          .as(entry.getKey())
          .isEqualTo(expected.path("changed").asLong());
      assertThat(actual.counts().changedBits()).isEqualTo(expected.path("changedBits").asLong());
      assertThat(actual.counts().changedStored())
          .isEqualTo(expected.path("changedStored").asLong());
      assertThat(actual.counts().hidden()).isEqualTo(expected.path("hidden").asLong());
      assertThat(actual.counts().nonFinite()).isEqualTo(expected.path("nonFinite").asLong());
      assertThat(actual.frobenius())
          .isCloseTo(
              expected.path("frobenius").asDouble(), within(1e-12 * (1e-3 + actual.frobenius())));
      assertThat(actual.relativeFrobenius())
          .isCloseTo(expected.path("relativeFrobenius").asDouble(), within(1e-12));
      assertThat(actual.sums().maxAbs()).isEqualTo(expected.path("maxAbs").asDouble());
    }
  }

  private static List<String> names(JsonNode node) {
    return node.properties().stream().map(Map.Entry::getKey).toList();
  }

  @Test
  void gpt2RowsAreOutputsAndItsHeadsAreFound() throws IOException {
    String config = "{\"model_type\":\"gpt2\",\"n_head\":2,\"n_embd\":4}";
    List<Long> shape = List.of(4L, 12L);
    Path base =
        model(
            "base",
            tensor(new SafetensorsWriter(), "h.0.attn.c_attn.weight", shape, i -> 1),
            config);
    // Column 5 of the file is output 5. There are 4 outputs for each of q, k and v, so it is the
    // second one of k, in head 0.
    Path tuned =
        model(
            "tuned",
            tensor(
                new SafetensorsWriter(), "h.0.attn.c_attn.weight", shape, i -> i % 12 == 5 ? 2 : 1),
            config);
    Compared compared = compare(base, tuned, Optional.empty());
    TensorDiff diff = compared.tensors().get("h.0.attn.c_attn.weight[k]");
    assertThat(diff.kind()).isEqualTo("k_proj");
    assertThat(diff.transposed()).isTrue();
    assertThat(diff.shape()).containsExactly(4L, 4L);
    assertThat(diff.rowChanged().orElseThrow()).containsExactly(0, 4, 0, 0);
    assertThat(diff.columnChanged().orElseThrow()).containsExactly(1, 1, 1, 1);
    assertThat(diff.heads())
        .containsExactly(new HeadCount("k", 0, 4, 8), new HeadCount("k", 1, 0, 8));
    assertThat(diff.map().orElseThrow().rows()).isEqualTo(4);
    assertThat(diff.map().orElseThrow().changed()[4 + 2]).isEqualTo(1);
    assertThat(compared.totals("h.0.attn.c_attn.weight[q]").counts().changed()).isZero();
    assertThat(compared.totals("h.0.attn.c_attn.weight[v]").counts().changed()).isZero();
  }

  @Test
  void fusedExpertsAreComparedSliceBySlice() throws IOException {
    List<Long> shape = List.of(3L, 2L, 5L);
    String name = "model.layers.1.mlp.experts.gate_up_proj";
    Path base = model("base", tensor(new SafetensorsWriter(), name, shape, i -> 1), "");
    Path tuned =
        model("tuned", tensor(new SafetensorsWriter(), name, shape, i -> i / 10 == 2 ? 2 : 1), "");
    Compared compared = compare(base, tuned, Optional.empty());
    assertThat(compared.tensors().keySet())
        .containsExactlyInAnyOrderElementsOf(
            Stream.of(0, 1, 2)
                .flatMap(e -> Stream.of(name + "[" + e + "][gate]", name + "[" + e + "][up]"))
                .toList());
    assertThat(compared.totals(name + "[2][gate]").counts().changed()).isEqualTo(5);
    assertThat(compared.totals(name + "[2][up]").counts().changed()).isEqualTo(5);
    assertThat(compared.totals(name + "[1][up]").counts().changed()).isZero();
    assertThat(compared.tensors().get(name + "[2][gate]").kind()).isEqualTo("expert_gate");
    assertThat(compared.tensors().get(name + "[2][up]").kind()).isEqualTo("expert_up");
  }

  @Test
  void blockScaledFp8IsComparedDequantised() throws IOException {
    String name = "model.layers.0.mlp.up_proj.weight";
    String config = "{\"quantization_config\":{\"weight_block_size\":[2,2]}}";
    byte[] codes = new byte[15];
    Arrays.fill(codes, (byte) 0x38); // 1.0
    List<Long> shape = List.of(3L, 5L);
    SafetensorsWriter quantised =
        new SafetensorsWriter()
            .tensor(name, TensorType.F8_E4M3, shape, codes)
            .tensor(name + "_scale_inv", TensorType.F32, List.of(2L, 3L), floats(6, i -> i + 1));
    Path base = model("base", quantised, config);
    // Entry (2, 4) is in the ragged corner, which is block (1, 2) with scale 6.
    Path tuned =
        model(
            "tuned",
            tensor(
                new SafetensorsWriter(),
                name,
                shape,
                i -> i == 14 ? 7 : i / 10 * 3 + i % 5 / 2 + 1),
            config);
    Compared compared = compare(base, tuned, Optional.empty());
    assertThat(compared.tensors()).containsOnlyKeys(name);
    assertThat(compared.totals(name).counts().changed()).isEqualTo(1);
    assertThat(compared.totals(name).sums().maxAbs()).isEqualTo(1);
    assertThat(compared.pairing().names().onlyInBase())
        .as("the scale belongs to its weight")
        .isEmpty();
    // Codes whose scales do not fit are refused by name, and never compared as numbers.
    Compared refused = compare(model("wrong", quantised, "{}"), tuned, Optional.empty());
    assertThat(refused.tensors()).isEmpty();
    assertThat(refused.pairing().names().notCompared())
        .singleElement(InstanceOfAssertFactories.STRING)
        .startsWith(name)
        .contains("fits no scale");
  }

  private Path adapter(String name, String config, double scale, boolean transposed)
      throws IOException {
    Path path = Files.createDirectories(directory.resolve(name));
    Random random = new Random(5);
    double[] a = random.doubles(2 * 6).map(x -> scale * (x - 0.5)).toArray();
    double[] b = random.doubles(4 * 2).map(x -> scale * (x - 0.5)).toArray();
    SafetensorsWriter writer = new SafetensorsWriter();
    String module = "base_model.model.model.layers.0.self_attn.q_proj";
    tensor(
        writer,
        module + ".lora_A.weight",
        List.of(2L, transposed ? 4L : 6L),
        i -> transposed ? b[i % 4 * 2 + i / 4] : a[i]);
    tensor(
        writer,
        module + ".lora_B.weight",
        List.of(transposed ? 6L : 4L, 2L),
        i -> transposed ? a[i % 2 * 6 + i / 2] : b[i]);
    writer.write(path.resolve("adapter_model.safetensors"));
    Files.writeString(path.resolve("adapter_config.json"), config);
    return path;
  }

  @Test
  void aLoraAdaptersUpdateIsFormedFromItsFactors() throws IOException {
    String weight = "model.layers.0.self_attn.q_proj.weight";
    SafetensorsWriter writer =
        tensor(new SafetensorsWriter(), weight, List.of(4L, 6L), i -> 1 + i * 0x1p-7);
    Path base = model("base", tensor(writer, "model.norm.weight", List.of(6L), i -> 1), "");
    Compared lora =
        compare(base, adapter("lora", "{\"r\":2,\"lora_alpha\":8}", 1e-6, false), Optional.empty());
    assertThat(lora.pairing().names().untouched()).containsExactly("model.norm.weight");
    assertThat(lora.tensors()).containsOnlyKeys(weight);
    // The step is far below the spacing of bf16 and of float32 at 1. Its norm must still be right:
    // α/r · ‖BA‖.
    Totals totals = lora.totals(weight);
    assertThat(totals.counts().changedStored()).isEqualTo(24);
    assertThat(totals.counts().changed()).isZero();
    assertThat(totals.counts().hidden()).isEqualTo(24);
    Random random = new Random(5);
    double[] a = floatsOf(random, 12, 1e-6);
    double[] b = floatsOf(random, 8, 1e-6);
    double squares = 0;
    for (int i = 0; i < 4; i++) {
      for (int j = 0; j < 6; j++) {
        double delta = 4 * (b[2 * i] * a[j] + b[2 * i + 1] * a[6 + j]);
        squares += delta * delta;
      }
    }
    assertThat(totals.frobenius()).isCloseTo(Math.sqrt(squares), within(1e-4 * Math.sqrt(squares)));
    double stabilised =
        compare(
                base,
                adapter("rs", "{\"r\":2,\"lora_alpha\":8,\"use_rslora\":true}", 1e-2, false),
                Optional.empty())
            .totals(weight)
            .frobenius();
    double plain =
        compare(base, adapter("plain", "{\"r\":2,\"lora_alpha\":8}", 1e-2, false), Optional.empty())
            .totals(weight)
            .frobenius();
    assertThat(stabilised / plain).isCloseTo(Math.sqrt(2), within(1e-9));
    double pattern =
        compare(
                base,
                adapter(
                    "pattern",
                    "{\"r\":9,\"lora_alpha\":8,\"rank_pattern\":{\"q_proj\":2},\"alpha_pattern\":{\"self_attn.q_proj\":24}}",
                    1e-2,
                    false),
                Optional.empty())
            .totals(weight)
            .frobenius();
    assertThat(pattern / plain).isCloseTo(3, within(1e-9));
    double transposed =
        compare(
                base,
                adapter("fan", "{\"r\":2,\"lora_alpha\":8,\"fan_in_fan_out\":true}", 1e-2, true),
                Optional.empty())
            .totals(weight)
            .frobenius();
    assertThat(transposed).isCloseTo(plain, within(1e-9 * plain));
  }

  private static double[] floatsOf(Random random, int count, double scale) {
    return random.doubles(count).map(x -> (float) (scale * (x - 0.5))).toArray();
  }

  @Test
  void adaptersThatMoveTheBaseNeedTheirBeginning() throws IOException {
    String weight = "model.layers.0.self_attn.q_proj.weight";
    Path base = model("base", tensor(new SafetensorsWriter(), weight, List.of(4L, 6L), i -> 1), "");
    String config = "{\"r\":2,\"lora_alpha\":8,\"init_lora_weights\":\"pissa_niter_4\"}";
    Path pissa = adapter("pissa", config, 1e-2, false);
    assertThatThrownBy(() -> compare(base, pissa, Optional.empty()))
        .hasMessageContaining("give the adapter from before training")
        .extracting(e -> ((InvalidInputException) e).remedy().orElseThrow())
        .isEqualTo(Remedy.NAME_INITIAL_ADAPTER);
    assertThat(
            compare(base, pissa, Optional.of(adapter("same", config, 1e-2, false)))
                .totals(weight)
                .frobenius())
        .isCloseTo(0, within(1e-15));
    Path dora = adapter("dora", "{\"r\":2,\"lora_alpha\":8,\"use_dora\":true}", 1e-2, false);
    assertThatThrownBy(() -> compare(base, dora, Optional.empty()))
        .hasMessageContaining("lora_magnitude_vector");
  }

  /** Changes that are computed are measured as those of files are. */
  @ParameterizedTest
  @ValueSource(strings = {"dora", "dora-embedding", "experts", "ia3", "lokr", "oft", "tokens"})
  void changesOfAdaptersHaveTheNormsOfTheirMerge(String name) throws IOException {
    Path adapters = Path.of("../checkpoint/src/test/resources/adapters");
    Path adapter = adapters.resolve("cases").resolve(name);
    Path base =
        adapters.resolve("bases").resolve(Files.readString(adapter.resolve("base.txt")).trim());
    Compared compared = compare(base, adapter, Optional.empty());
    try (Context context = Context.open(Context.Device.CPU, 1);
        Checkpoint expected = Checkpoint.open(context, adapter.resolve("expected.safetensors"))) {
      for (Tensor change : expected.tensors().values()) {
        double right = 0;
        for (double entry : DoubleRows.all(change.matrix())) {
          right += entry * entry;
        }
        double squares = 0;
        for (TensorDiff diff : compared.tensors().values()) {
          if (diff.name().equals(change.name()) || diff.name().startsWith(change.name() + "[")) {
            squares += Math.pow(diff.totals().frobenius(), 2);
          }
        }
        assertThat(squares).isCloseTo(right, within(1e-10 * right));
      }
    }
  }

  @Test
  void tiedHeadsAreNotMissed() throws IOException {
    SafetensorsWriter one =
        tensor(new SafetensorsWriter(), "model.embed_tokens.weight", List.of(3L, 2L), i -> 1);
    SafetensorsWriter two =
        tensor(new SafetensorsWriter(), "model.embed_tokens.weight", List.of(3L, 2L), i -> 1);
    tensor(two, "lm_head.weight", List.of(3L, 2L), i -> 1);
    String tied = "{\"tie_word_embeddings\":true}";
    Compared compared =
        compare(model("base", one, tied), model("tuned", two, tied), Optional.empty());
    assertThat(compared.pairing().names().onlyInTuned()).isEmpty();
    String separate = "{\"tie_word_embeddings\":false}";
    assertThat(
            compare(model("base2", one, separate), model("tuned2", two, separate), Optional.empty())
                .pairing()
                .names()
                .onlyInTuned())
        .containsExactly("lm_head.weight");
  }

  @Test
  void aComparisonGoesOnWhereItWasInterrupted() throws IOException {
    SafetensorsWriter before = new SafetensorsWriter();
    SafetensorsWriter after = new SafetensorsWriter();
    for (int t = 0; t < 12; t++) {
      String name = "model.layers." + t + ".mlp.up_proj.weight";
      tensor(before, name, List.of(8L, 8L), i -> i * i % 7);
      tensor(after, name, List.of(8L, 8L), i -> i * i % 7 + i % 3);
    }
    Path base = model("base", before, "");
    Path tuned = model("tuned", after, "");
    Path journalPath = directory.resolve("journal");
    try (Context context = Context.open(Context.Device.CPU, 1);
        Checkpoint left = Checkpoint.open(context, base);
        Checkpoint right = Checkpoint.open(context, tuned)) {
      Pairing pairing = Pairing.of(left, right, name -> true);
      try (Control control = Control.open(context);
          Journal<Comparison.Finished> journal =
              Journal.open(journalPath, Comparison.Finished.class, "f", false)) {
        Comparison comparison =
            new Comparison(
                context, control, left, right, new Comparison.Wanted(DigestKind.TENSORS, GEOMETRY));
        assertThatThrownBy(
                () ->
                    comparison.run(
                        pairing,
                        journal,
                        (what, done, total) -> {
                          if (what.contains("layers.9")) {
                            control.cancel();
                          }
                        }))
            .isInstanceOf(CancelledException.class);
      }
      Files.writeString(journalPath, "{\"cut off", java.nio.file.StandardOpenOption.APPEND);
      assertThatThrownBy(() -> Journal.open(journalPath, Comparison.Finished.class, "g", true))
          .hasMessageContaining("other files or with other options");
      try (Control control = Control.open(context);
          Journal<Comparison.Finished> journal =
              Journal.open(journalPath, Comparison.Finished.class, "f", true)) {
        // Nine tensors were finished. Others that had begun may have been finished, too.
        assertThat(journal.finished()).hasSizeBetween(9, 11);
        Comparison.Outcome resumed =
            new Comparison(
                    context,
                    control,
                    left,
                    right,
                    new Comparison.Wanted(DigestKind.TENSORS, GEOMETRY))
                .run(pairing, journal, Progress.NONE);
        try (Control fresh = Control.open(context);
            Journal<Comparison.Finished> empty =
                Journal.open(directory.resolve("other"), Comparison.Finished.class, "f", false)) {
          Comparison.Outcome whole =
              new Comparison(
                      context,
                      fresh,
                      left,
                      right,
                      new Comparison.Wanted(DigestKind.TENSORS, GEOMETRY))
                  .run(pairing, empty, Progress.NONE);
          assertThat(resumed.baseIdentity())
              .isEqualTo(whole.baseIdentity())
              .isNotEqualTo(Identity.NONE);
          assertThat(resumed.tensors())
              .usingRecursiveComparison()
              .ignoringFields("seconds")
              .isEqualTo(whole.tensors());
          assertThat(resumed.geometry())
              .hasSize(12)
              .usingRecursiveComparison()
              .ignoringFieldsMatchingRegexes(".*[sS]econds")
              .isEqualTo(whole.geometry());
        }
        journal.delete();
      }
      assertThat(journalPath).doesNotExist();
    }
  }

  /** Digests do not depend on the number of threads or on the positions of tensors in the file. */
  @Test
  void digestsAreOfTensorsNotOfFiles() throws IOException {
    Random random = Seeds.random("digestsAreOfTensorsNotOfFiles");
    double[] values = random.doubles(64).toArray();
    SafetensorsWriter forward = new SafetensorsWriter();
    tensor(forward, "a.weight", List.of(8L, 4L), i -> values[i]);
    tensor(forward, "b.weight", List.of(32L), i -> values[32 + i]);
    SafetensorsWriter backward = new SafetensorsWriter().metadata("format", "pt");
    tensor(backward, "b.weight", List.of(32L), i -> values[32 + i]);
    tensor(backward, "a.weight", List.of(8L, 4L), i -> values[i]);
    Compared compared =
        compare(model("base", forward, ""), model("tuned", backward, ""), Optional.empty());
    assertThat(compared.outcome().baseIdentity()).isEqualTo(compared.outcome().tunedIdentity());
  }
}
