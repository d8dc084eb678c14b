package org.threegate.checkpoint.weight;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.threegate.checkpoint.Quantization;
import org.threegate.checkpoint.Tensor;
import org.threegate.checkpoint.TensorParts;

/** The stored tensors that no layout has taken yet, and where the others ended. */
final class Inventory {
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

  /** Adds the weight whose rows several tensors hold, or refuses them. */
  void join(TensorParts whole) {
    Tensor first = whole.parts().get(0);
    if (isPlain(first)) {
      add(Weight.of(whole));
    } else {
      refuse(whole.parts(), whyNotPlain(first));
    }
  }

  void consume(Tensor tensor, String use) {
    left.remove(tensor.name());
    consumed.put(tensor.name(), use);
  }

  void refuse(Tensor tensor, String reason) {
    left.remove(tensor.name());
    refused.put(tensor.name(), reason);
  }

  /** Refuses tensors that belong together; the first one holds the codes. */
  void refuse(List<Tensor> tensors, String reason) {
    Tensor codes = tensors.get(0);
    refuse(codes, reason);
    tensors.stream()
        .skip(1)
        .forEach(other -> consume(other, "read with " + codes.name() + ", which is refused"));
  }

  Map<String, String> consumed() {
    return consumed;
  }

  Map<String, String> refused() {
    return refused;
  }

  /** Returns the weights. What no layout has taken is a weight if it holds numbers. */
  Map<String, Weight> weights() {
    Map<String, Weight> byName = new LinkedHashMap<>();
    for (Tensor tensor : all.values()) {
      Optional.ofNullable(weights.get(tensor.name()))
          .or(() -> find(tensor.name()).flatMap(this::plain))
          .ifPresent(
              weight -> {
                if (byName.putIfAbsent(weight.name(), weight) != null) {
                  refuse(tensor, "codes of " + weight.name() + ", which is stored twice");
                }
              });
    }
    return byName;
  }

  private Optional<Weight> plain(Tensor tensor) {
    if (isPlain(tensor)) {
      return Optional.of(Weight.of(tensor));
    }
    refuse(tensor, whyNotPlain(tensor));
    return Optional.empty();
  }

  private static boolean isPlain(Tensor tensor) {
    return tensor.type().dtype().isPresent() && tensor.type().bits() > Byte.SIZE;
  }

  private String whyNotPlain(Tensor tensor) {
    String method = quantization.method().isEmpty() ? "" : " of " + quantization.label();
    return tensor.type().name().startsWith("F")
        ? tensor.type() + " codes" + method + " without a scale"
        : tensor.type() + method + " holds no floating-point numbers";
  }
}
