package org.threegate.checkpoint.weight;

import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.threegate.checkpoint.Checkpoint;
import org.threegate.checkpoint.ModelConfig;
import org.threegate.checkpoint.Quantization;
import org.threegate.checkpoint.Tensor;

/**
 * The weights of a checkpoint. Each stored tensor ends in exactly one place: it is the source of a
 * weight, it was used to read other tensors, or it is refused with a reason.
 *
 * <pre>{@code
 * try (Checkpoint checkpoint = Checkpoint.open(context, base)) {
 *   Weights weights = Weights.of(checkpoint);
 *   weights.refused().forEach((name, reason) -> System.out.println(name + ": " + reason));
 * }
 * }</pre>
 *
 * @param byName weights by name, in the order of the files
 * @param consumed stored tensors that only help to read others, such as scales, with their use
 * @param refused stored tensors whose layout is not understood, with the reason
 */
public record Weights(
    Map<String, Weight> byName, Map<String, String> consumed, Map<String, String> refused) {
  /** Copies the maps; their order is kept. */
  public Weights {
    byName = Collections.unmodifiableMap(new LinkedHashMap<>(byName));
    consumed = Collections.unmodifiableMap(new LinkedHashMap<>(consumed));
    refused = Collections.unmodifiableMap(new LinkedHashMap<>(refused));
  }

  /** Reads the weights of a checkpoint by its own configuration. */
  public static Weights of(Checkpoint checkpoint) {
    Quantization quantization =
        checkpoint.config().map(ModelConfig::quantization).orElse(Quantization.NONE);
    Inventory inventory = new Inventory(checkpoint.tensors(), quantization);
    for (Layout layout : LAYOUTS) {
      layout.take(inventory);
    }
    return inventory.weights();
  }

  private static final List<Layout> LAYOUTS =
      List.of(
          new PackedIntegers(),
          new BlockFloats(),
          new NormalFloats(),
          new ScaledBytes(),
          new ActivationScales());

  /** A way to store weights. */
  interface Layout {
    /** Takes the tensors of this layout from an inventory. */
    void take(Inventory inventory);
  }

  /** The stored tensors that no layout has taken yet, and where the others ended. */
  static final class Inventory {
    private final Map<String, Tensor> all;
    private final Map<String, Tensor> left;
    private final Map<String, Weight> weights = new LinkedHashMap<>();
    private final Map<String, String> consumed = new LinkedHashMap<>();
    private final Map<String, String> refused = new LinkedHashMap<>();
    private final Quantization quantization;

    Inventory(Map<String, Tensor> tensors, Quantization quantization) {
      this.all = tensors;
      this.left = new LinkedHashMap<>(tensors);
      this.quantization = quantization;
    }

    Quantization quantization() {
      return quantization;
    }

    /** Returns the names of the tensors that are left, which may change while they are used. */
    List<String> names() {
      return List.copyOf(left.keySet());
    }

    /** Returns a tensor that is left. */
    Optional<Tensor> find(String name) {
      return Optional.ofNullable(left.get(name));
    }

    /** Adds a weight. Its first source is its codes; the others are used up. */
    void add(Weight weight) {
      if (!weight.name().equals(weight.sources().get(0).name()) && all.containsKey(weight.name())) {
        String reason = "quantized codes of " + weight.name() + ", which is also stored by itself";
        weight.sources().forEach(source -> refuse(source, reason));
        return;
      }
      weight.sources().forEach(source -> left.remove(source.name()));
      weight.sources().stream()
          .skip(1)
          .forEach(source -> consumed.put(source.name(), "read with " + weight.name()));
      weights.put(weight.sources().get(0).name(), weight);
    }

    void consume(Tensor tensor, String use) {
      left.remove(tensor.name());
      consumed.put(tensor.name(), use);
    }

    void refuse(Tensor tensor, String reason) {
      left.remove(tensor.name());
      refused.put(tensor.name(), reason);
    }

    /** Returns the result. What no layout has taken is a weight if it holds numbers. */
    Weights weights() {
      Map<String, Weight> byName = new LinkedHashMap<>();
      for (Tensor tensor : all.values()) {
        Optional.ofNullable(weights.get(tensor.name()))
            .or(() -> find(tensor.name()).flatMap(this::plain))
            .ifPresent(weight -> byName.put(weight.name(), weight));
      }
      return new Weights(byName, consumed, refused);
    }

    private Optional<Weight> plain(Tensor tensor) {
      if (tensor.type().dtype().isPresent() && tensor.type().bits() > Byte.SIZE) {
        return Optional.of(Weight.of(tensor));
      }
      String method = quantization.method().isEmpty() ? "" : " of " + quantization.label();
      refuse(
          tensor,
          tensor.type().name().startsWith("F")
              ? tensor.type() + " codes" + method + " without a scale"
              : tensor.type() + method + " holds no floating-point numbers");
      return Optional.empty();
    }
  }
}
