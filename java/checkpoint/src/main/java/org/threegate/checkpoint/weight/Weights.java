package org.threegate.checkpoint.weight;

import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
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
  private static final List<Layout> LAYOUTS =
      List.of(
          new PackedIntegers(),
          new BlockFloats(),
          new NormalFloats(),
          new ScaledBytes(),
          new ActivationScales());

  /** Ends of names of tensors that state the shape of packed codes. */
  private static final String SHAPE = ".weight_shape";

  private static final long LARGEST_DESCRIPTION = 1 << 16;

  /** Copies the maps; their order is kept. */
  public Weights {
    byName = Collections.unmodifiableMap(new LinkedHashMap<>(byName));
    consumed = Collections.unmodifiableMap(new LinkedHashMap<>(consumed));
    refused = Collections.unmodifiableMap(new LinkedHashMap<>(refused));
  }

  /**
   * {@return whether the contents of a tensor state how others are stored} To find the weights of a
   * checkpoint, only these tensors are read.
   *
   * @param tensor a stored tensor
   */
  public static boolean isDescription(Tensor tensor) {
    return tensor.bytes() > 0
        && tensor.bytes() <= LARGEST_DESCRIPTION
        && (tensor.name().endsWith(SHAPE) || tensor.name().contains(NormalFloats.STATE));
  }

  /**
   * {@return the weights of a checkpoint, read by its own configuration}
   *
   * @param checkpoint an open checkpoint
   */
  public static Weights of(Checkpoint checkpoint) {
    Quantization quantization =
        checkpoint.config().map(ModelConfig::quantization).orElse(Quantization.NONE);
    Inventory inventory = new Inventory(checkpoint.tensors(), quantization);
    checkpoint.parts().values().forEach(inventory::join);
    for (Layout layout : LAYOUTS) {
      layout.take(inventory);
    }
    Map<String, Weight> weights = inventory.weights();
    Map<String, String> consumed = new LinkedHashMap<>(checkpoint.others());
    consumed.keySet().removeAll(checkpoint.tensors().keySet());
    consumed.putAll(inventory.consumed());
    return new Weights(weights, consumed, inventory.refused());
  }
}
