package org.threegate.analysis.intervention;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Random;
import java.util.TreeMap;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.threegate.checkpoint.Checkpoint;
import org.threegate.checkpoint.SafetensorsWriter;
import org.threegate.checkpoint.Tensor;
import org.threegate.checkpoint.TensorType;
import org.threegate.kernel.Context;
import org.threegate.run.InvalidInputException;
import org.threegate.testing.NativeLeaks;
import org.threegate.testing.Seeds;

/**
 * Tests interventions on a model with two layers, four query heads in two groups, heads of
 * dimension three, hidden size ten, and biases.
 */
@ExtendWith(NativeLeaks.class)
class InterventionTest {
  private static final int HIDDEN = 10;
  private static final int QUERIES = 4;
  private static final int KEY_VALUES = 2;
  private static final int DIMENSION = 3;

  @TempDir Path directory;

  private Path model(TensorType type) throws IOException {
    Random random = Seeds.random("model");
    Path model = Files.createDirectory(directory.resolve("model-" + type));
    SafetensorsWriter writer = new SafetensorsWriter().metadata("format", "pt");
    for (int layer = 0; layer < 2; layer++) {
      String prefix = "model.layers." + layer + ".self_attn.";
      tensor(writer, prefix + "q_proj.weight", type, random, QUERIES * DIMENSION, HIDDEN);
      tensor(writer, prefix + "q_proj.bias", type, random, QUERIES * DIMENSION);
      tensor(writer, prefix + "k_proj.weight", type, random, KEY_VALUES * DIMENSION, HIDDEN);
      tensor(writer, prefix + "v_proj.weight", type, random, KEY_VALUES * DIMENSION, HIDDEN);
      tensor(writer, prefix + "v_proj.bias", type, random, KEY_VALUES * DIMENSION);
      tensor(writer, prefix + "o_proj.weight", type, random, HIDDEN, QUERIES * DIMENSION);
    }
    writer.write(model.resolve("model.safetensors"));
    Files.writeString(
        model.resolve("config.json"),
        "{\"model_type\":\"llama\",\"num_hidden_layers\":2,\"num_attention_heads\":4,"
            + "\"num_key_value_heads\":2,\"head_dim\":3,\"hidden_size\":10}");
    return model;
  }

  private static void tensor(
      SafetensorsWriter writer, String name, TensorType type, Random random, long... shape) {
    int count = (int) java.util.Arrays.stream(shape).reduce(1, (a, b) -> a * b);
    writer.tensor(
        name,
        type,
        java.util.Arrays.stream(shape).boxed().toList(),
        TensorValues.bytes(
            random.doubles(count, -1, 1).toArray(),
            type == TensorType.F16 ? TensorType.BF16 : type));
  }

  /**
   * Computes the attention of one layer over three positions in float64, directly from its
   * definition.
   */
  private static double[] attention(Checkpoint model, int layer) {
    TreeMap<String, double[]> w = new TreeMap<>();
    String prefix = "model.layers." + layer + ".self_attn.";
    for (Tensor tensor : model.tensors().values()) {
      if (tensor.name().startsWith(prefix)) {
        w.put(tensor.name().substring(prefix.length()), TensorValues.read(tensor));
      }
    }
    Random random = new Random(3);
    int positions = 3;
    double[][] x = new double[positions][];
    for (int t = 0; t < positions; t++) {
      x[t] = random.doubles(HIDDEN, -1, 1).toArray();
    }
    double[] out = new double[positions * HIDDEN];
    for (int t = 0; t < positions; t++) {
      for (int head = 0; head < QUERIES; head++) {
        int group = head / (QUERIES / KEY_VALUES);
        double[] q = project(w, "q_proj", head, x[t]);
        double[] weights = new double[t + 1];
        double sum = 0;
        for (int s = 0; s <= t; s++) {
          double[] k = project(w, "k_proj", group, x[s]);
          for (int i = 0; i < DIMENSION; i++) {
            weights[s] += q[i] * k[i];
          }
          weights[s] = Math.exp(weights[s]);
          sum += weights[s];
        }
        for (int s = 0; s <= t; s++) {
          double[] v = project(w, "v_proj", group, x[s]);
          for (int row = 0; row < HIDDEN; row++) {
            for (int i = 0; i < DIMENSION; i++) {
              out[t * HIDDEN + row] +=
                  weights[s]
                      / sum
                      * v[i]
                      * w.get("o_proj.weight")[row * QUERIES * DIMENSION + head * DIMENSION + i];
            }
          }
        }
      }
    }
    return out;
  }

  private static double[] project(TreeMap<String, double[]> w, String part, int head, double[] x) {
    double[] result = new double[DIMENSION];
    for (int i = 0; i < DIMENSION; i++) {
      int row = head * DIMENSION + i;
      result[i] = w.containsKey(part + ".bias") ? w.get(part + ".bias")[row] : 0;
      for (int j = 0; j < HIDDEN; j++) {
        result[i] += w.get(part + ".weight")[row * HIDDEN + j] * x[j];
      }
    }
    return result;
  }

  private static double largestDifference(double[] one, double[] other) {
    double largest = 0;
    for (int i = 0; i < one.length; i++) {
      largest = Math.max(largest, Math.abs(one[i] - other[i]));
    }
    return largest;
  }

  @ParameterizedTest
  @EnumSource(names = {"BF16", "F32", "F64"})
  void theFunctionStaysTheSame(TensorType type) throws IOException {
    double rounding = type == TensorType.F64 ? 1e-13 : type == TensorType.F32 ? 1e-5 : 0.1;
    Path source = model(type);
    Path rotated = directory.resolve("rotated-" + type);
    Path permuted = directory.resolve("permuted-" + type);
    try (Context context = Context.open(Context.Device.CPU, 1);
        Checkpoint model = Checkpoint.open(context, source)) {
      Intervention rotation = new Intervention(model, 5);
      Intervention.Check check = rotation.rotateValues(1);
      assertThat(check.exactError()).isLessThan(1e-14);
      assertThat(check.storedError()).isLessThan(rounding);
      rotation.write(rotated);
      Intervention permutation = new Intervention(model, 5);
      assertThat(permutation.permuteHeads(0).storedError()).isZero();
      assertThat(permutation.permuteHeads(1).storedError()).isZero();
      permutation.write(permuted);
      try (Checkpoint after = Checkpoint.open(context, rotated);
          Checkpoint exchanged = Checkpoint.open(context, permuted)) {
        assertThat(largestDifference(attention(model, 0), attention(after, 0))).isZero();
        assertThat(largestDifference(attention(model, 1), attention(after, 1)))
            .isLessThan(rounding);
        String value = "model.layers.1.self_attn.v_proj.weight";
        assertThat(TensorValues.read(after.tensors().get(value)))
            .isNotEqualTo(TensorValues.read(model.tensors().get(value)));
        String query = "model.layers.1.self_attn.q_proj.weight";
        assertThat(TensorValues.read(exchanged.tensors().get(query)))
            .isNotEqualTo(TensorValues.read(model.tensors().get(query)));
        for (int layer = 0; layer < 2; layer++) {
          assertThat(largestDifference(attention(model, layer), attention(exchanged, layer)))
              .isLessThan(1e-13);
        }
      }
    }
    assertThat(rotated.resolve("config.json")).exists();
    try (Stream<Path> files = Files.list(directory)) {
      assertThat(files.map(file -> file.getFileName().toString()))
          .noneMatch(name -> name.startsWith(".partial"));
    }
  }

  @Test
  void aCopyThatFailsItsCheckIsNotLeft() throws IOException {
    Path source = model(TensorType.F32);
    Path out = directory.resolve("out");
    try (Context context = Context.open(Context.Device.CPU, 1);
        Checkpoint model = Checkpoint.open(context, source)) {
      Intervention intervention = new Intervention(model, 0);
      intervention.rotateValues(0);
      assertThatThrownBy(
              () ->
                  intervention.write(
                      out,
                      copy -> {
                        assertThat(copy.resolve("model.safetensors")).exists();
                        assertThat(copy.resolve("config.json")).exists();
                        throw new InvalidInputException("another function");
                      }))
          .hasMessage("another function");
    }
    try (Stream<Path> files = Files.list(directory)) {
      assertThat(files).containsExactly(source);
    }
  }

  @Test
  void whatCannotBeChangedIsRefused() throws IOException {
    Path source = model(TensorType.F16);
    try (Context context = Context.open(Context.Device.CPU, 1);
        Checkpoint model = Checkpoint.open(context, source)) {
      assertThatThrownBy(() -> new Intervention(model, 0).rotateValues(7))
          .isInstanceOf(InvalidInputException.class)
          .hasMessageContaining("layer 7 has no query, key, value and output matrices");
      assertThatThrownBy(() -> new Intervention(model, 0).rotateValues(0))
          .hasMessageContaining("is F16; only BF16, F32 and F64 are supported");
      assertThatThrownBy(() -> new Intervention(model, 0).write(directory))
          .hasMessageContaining("exists already");
    }
  }
}
