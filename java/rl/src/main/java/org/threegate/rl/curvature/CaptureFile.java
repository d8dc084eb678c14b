package org.threegate.rl.curvature;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.function.Predicate;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.threegate.checkpoint.SafetensorsWriter;
import org.threegate.checkpoint.TensorType;
import org.threegate.rl.policy.Decoder;
import org.threegate.rl.policy.LinearSample;
import org.threegate.rl.policy.Padded;
import org.threegate.rl.policy.Scopes;
import org.threegate.rl.policy.TensorFiles;
import org.threegate.rl.policy.Tensors;

/**
 * Writes what linear layers see of texts, for {@code threegate curvature} and {@code LayerFisher}
 * (docs/curvature.md).
 *
 * <pre>{@code
 * CaptureFile.write(
 *     decoder, List.of(new int[] {5, 6, 7}), name -> name.contains("o_proj"), false, 1, Path.of("capture.safetensors"));
 * }</pre>
 */
public final class CaptureFile {
  private static final String WEIGHT = ".weight";

  private CaptureFile() {}

  /** Rows of one layer. */
  private record Rows(List<Tensor> inputs, List<Tensor> gradients) {}

  /**
   * @param texts of 2 tokens at least each; each is a sequence of the capture
   * @param selected names of weights
   * @param empirical labels are the texts' next tokens; else the model's own draws, which make it
   *     the true Fisher information
   * @param seed of these
   */
  @SuppressWarnings("try")
  public static void write(
      Decoder model,
      List<int[]> texts,
      Predicate<String> selected,
      boolean empirical,
      long seed,
      Path file)
      throws IOException {
    if (texts.isEmpty() || texts.stream().anyMatch(text -> text.length < 2)) {
      throw new IllegalArgumentException("a capture is of texts of 2 tokens at least");
    }
    Map<String, Rows> layers = new LinkedHashMap<>();
    try (PointerScope scope = new PointerScope()) {
      SplittableRandom random = new SplittableRandom(seed);
      List<Long> sequences = new ArrayList<>();
      for (int number = 0; number < texts.size(); number++) {
        int[] text = texts.get(number);
        SplittableRandom own = random.split();
        List<Tensor> kept = new ArrayList<>();
        Scopes.run(() -> sample(model, text, selected, empirical, own, layers, kept));
        kept.forEach(scope::attach);
        kept.forEach(Tensor::releaseReference);
        for (int i = 1; i < text.length; i++) {
          sequences.add((long) number);
        }
      }
      SafetensorsWriter writer =
          new SafetensorsWriter().metadata("fisher", empirical ? "empirical" : "true");
      byte[] numbers = bytes(sequences);
      for (Map.Entry<String, Rows> entry : layers.entrySet()) {
        String layer = entry.getKey().substring(0, entry.getKey().length() - WEIGHT.length());
        put(writer, layer + ".input", entry.getValue().inputs());
        put(writer, layer + ".grad_output", entry.getValue().gradients());
        writer.tensor(
            layer + ".sequence", TensorType.I64, List.of((long) sequences.size()), numbers);
      }
      writer.write(file);
    }
  }

  private static void put(SafetensorsWriter writer, String name, List<Tensor> parts) {
    TensorFiles.put(
        writer, name, TensorType.F32, torch.cat(new TensorVector(parts.toArray(new Tensor[0])), 0));
  }

  private static byte[] bytes(List<Long> numbers) {
    ByteBuffer bytes = ByteBuffer.allocate(8 * numbers.size()).order(ByteOrder.LITTLE_ENDIAN);
    numbers.forEach(bytes::putLong);
    return bytes.array();
  }

  private static void sample(
      Decoder model,
      int[] text,
      Predicate<String> selected,
      boolean empirical,
      SplittableRandom random,
      Map<String, Rows> layers,
      List<Tensor> kept) {
    int count = text.length - 1;
    Padded row = Padded.right(List.of(Arrays.copyOf(text, count)), count, 0);
    for (LinearSample sample :
        LinearSample.of(
            model,
            row,
            selected,
            logits -> {
              Tensor all = logits.select(0, 0).log_softmax(-1);
              long[] labels = empirical ? next(text) : drawn(all, random);
              return all.gather(1, Tensors.of(labels, count, 1)).sum();
            })) {
      Rows rows =
          layers.computeIfAbsent(
              sample.weight(), name -> new Rows(new ArrayList<>(), new ArrayList<>()));
      rows.inputs().add(copied(sample.input(), kept));
      rows.gradients().add(copied(sample.gradient(), kept));
    }
  }

  private static Tensor copied(Tensor values, List<Tensor> kept) {
    Tensor copy = values.select(0, 0).to(ScalarType.Float).clone();
    copy.retainReference();
    kept.add(copy);
    return copy;
  }

  private static long[] next(int[] text) {
    return Arrays.stream(text).skip(1).asLongStream().toArray();
  }

  /** A token of each position, by the model's probabilities. */
  private static long[] drawn(Tensor logProbabilities, SplittableRandom random) {
    int vocabulary = (int) logProbabilities.size(1);
    float[] values = Tensors.floats(logProbabilities);
    long[] labels = new long[values.length / vocabulary];
    for (int i = 0; i < labels.length; i++) {
      double sum = 0;
      for (int j = 0; j < vocabulary; j++) {
        sum += Math.exp(values[i * vocabulary + j]);
      }
      double place = random.nextDouble() * sum;
      int label = 0;
      double passed = Math.exp(values[i * vocabulary]);
      while (passed <= place && label < vocabulary - 1) {
        label++;
        passed += Math.exp(values[i * vocabulary + label]);
      }
      labels[i] = label;
    }
    return labels;
  }
}
