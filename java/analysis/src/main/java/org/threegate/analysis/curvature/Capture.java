package org.threegate.analysis.curvature;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.threegate.buffer.NativeBuffer;
import org.threegate.checkpoint.Checkpoint;
import org.threegate.checkpoint.Tensor;
import org.threegate.checkpoint.TensorType;
import org.threegate.kernel.Context;
import org.threegate.kernel.LayerSamples;
import org.threegate.run.InvalidInputException;

/**
 * Captured inputs and output gradients of the linear layers of a model, in safetensors files
 * (docs/curvature.md). Each layer has the tensors {@code <layer>.input} (N x n), {@code
 * <layer>.grad_output} (N x m) and {@code <layer>.sequence} (N integers). The metadata {@code
 * fisher} name the source of the labels of the gradients. The metadata {@code kl} give the
 * divergence of the tuned policy from the base, in nats per token.
 *
 * <pre>{@code
 * try (Capture capture = Capture.open(context, Path.of("capture.safetensors"))) {
 *   for (Capture.Layer layer : capture.layers()) {
 *     System.out.println(layer.name() + ": " + layer.samples().tokens() + " tokens");
 *   }
 * }
 * }</pre>
 */
public final class Capture implements AutoCloseable {
  private static final String INPUT = ".input";
  private static final String GRADIENT = ".grad_output";
  private static final String SEQUENCE = ".sequence";
  private static final String FISHER = "fisher";
  private static final String DIVERGENCE = "kl";

  /**
   * The tokens of one layer.
   *
   * @param name name of the layer
   * @param samples inputs (N x n) and output gradients (N x m)
   * @param sequences identifier of the sequence of each token, length N
   */
  public record Layer(String name, LayerSamples samples, long[] sequences) {
    /** Copies the arrays. */
    public Layer {
      sequences = sequences.clone();
    }

    /** {@return a copy of the identifiers, one per token} */
    @Override
    public long[] sequences() {
      return sequences.clone();
    }
  }

  private final Checkpoint files;
  private final FisherKind kind;
  private final Optional<Double> divergence;
  private final List<Layer> layers;

  private Capture(
      Checkpoint files, FisherKind kind, Optional<Double> divergence, List<Layer> layers) {
    this.files = files;
    this.kind = kind;
    this.divergence = divergence;
    this.layers = List.copyOf(layers);
  }

  /**
   * Opens a capture.
   *
   * @param context context that maps the files
   * @param path a safetensors file, an index of shards, or a directory
   * @return the capture, which the caller closes
   * @throws InvalidInputException if it is not a valid capture; the message names file and tensor
   */
  public static Capture open(Context context, Path path) {
    Checkpoint files = Checkpoint.open(context, path);
    try {
      Map<String, String> metadata = new LinkedHashMap<>();
      files.files().forEach(file -> metadata.putAll(file.metadata()));
      List<Layer> layers = new ArrayList<>();
      for (String name : files.tensors().keySet()) {
        if (name.endsWith(INPUT)) {
          layers.add(layer(files, name.substring(0, name.length() - INPUT.length())));
        }
      }
      if (layers.isEmpty()) {
        throw new InvalidInputException(
            path + ": no layer found; a capture has tensors <layer>.input and <layer>.grad_output");
      }
      return new Capture(files, kind(path, metadata), divergence(path, metadata), layers);
    } catch (RuntimeException e) {
      files.close();
      throw e;
    }
  }

  private static FisherKind kind(Path path, Map<String, String> metadata) {
    String name = metadata.getOrDefault(FISHER, "");
    return FisherKind.ofStored(name)
        .orElseThrow(
            () ->
                new InvalidInputException(
                    path
                        + ": metadata \"fisher\" is \""
                        + name
                        + "\"; it must be true (labels sampled from the model), empirical (labels of the"
                        + " data) or gauss-newton"));
  }

  private static Optional<Double> divergence(Path path, Map<String, String> metadata) {
    String text = metadata.getOrDefault(DIVERGENCE, "");
    if (text.isEmpty()) {
      return Optional.empty();
    }
    try {
      double value = Double.parseDouble(text);
      if (value >= 0 && Double.isFinite(value)) {
        return Optional.of(value);
      }
    } catch (NumberFormatException e) {
      // Reported below.
    }
    throw new InvalidInputException(
        path
            + ": metadata \"kl\" is \""
            + text
            + "\"; it must be a number of nats per token, 0 or more");
  }

  private static Layer layer(Checkpoint files, String name) {
    Tensor input = tensor(files, name + INPUT, 2);
    Tensor gradient = tensor(files, name + GRADIENT, 2);
    Tensor sequence = tensor(files, name + SEQUENCE, 1);
    for (Tensor tensor : List.of(input, gradient)) {
      require(
          tensor,
          tensor.type().dtype().isPresent(),
          "is " + tensor.type(),
          "a floating-point type is required");
      require(
          tensor,
          tensor.elements() > 0 && tensor.rows() <= Integer.MAX_VALUE,
          "has shape " + tensor.shape(),
          "at least one token and one entry are required, and fewer than 2^31 tokens");
    }
    for (Tensor tensor : List.of(gradient, sequence)) {
      require(
          tensor,
          tensor.shape().get(0).equals(input.shape().get(0)),
          "has " + tensor.shape().get(0) + " tokens",
          "the input has " + input.shape().get(0));
    }
    LayerSamples samples = new LayerSamples(input.matrix(), gradient.matrix());
    return new Layer(name, samples, sequences(sequence));
  }

  private static Tensor tensor(Checkpoint files, String name, int dimensions) {
    Tensor tensor = files.tensors().get(name);
    if (tensor == null) {
      throw new InvalidInputException(files.path() + ": tensor \"" + name + "\" is missing");
    }
    require(
        tensor,
        tensor.shape().size() == dimensions,
        "has shape " + tensor.shape(),
        dimensions + (dimensions == 1 ? " dimension is required" : " dimensions are required"));
    return tensor;
  }

  private static void require(Tensor tensor, boolean holds, String what, String allowed) {
    if (!holds) {
      throw new InvalidInputException(
          tensor.file().path() + ": tensor \"" + tensor.name() + "\" " + what + "; " + allowed);
    }
  }

  private static long[] sequences(Tensor tensor) {
    long[] sequences = new long[Math.toIntExact(tensor.elements())];
    NativeBuffer buffer = tensor.file().buffer();
    for (int i = 0; i < sequences.length; i++) {
      if (tensor.type() == TensorType.I64) {
        sequences[i] = buffer.getLong(tensor.offset() + 8L * i);
      } else {
        require(
            tensor,
            tensor.type() == TensorType.I32,
            "is " + tensor.type(),
            "I32 or I64 is required");
        sequences[i] = buffer.getInt(tensor.offset() + 4L * i);
      }
    }
    return sequences;
  }

  /** {@return the path that was opened} */
  public Path path() {
    return files.path();
  }

  /** {@return the files of the capture} */
  public Checkpoint files() {
    return files;
  }

  /** {@return the source of the labels of the gradients} */
  public FisherKind kind() {
    return kind;
  }

  /**
   * {@return the divergence of the tuned policy from the base in nats per token; empty if not
   * measured}
   */
  public Optional<Double> divergence() {
    return divergence;
  }

  /** {@return the layers in the order of the files} */
  public List<Layer> layers() {
    return layers;
  }

  /**
   * Checks that the files still have their size.
   *
   * @throws InvalidInputException if a file became shorter
   */
  public void check() {
    files.check();
  }

  @Override
  public void close() {
    files.close();
  }
}
