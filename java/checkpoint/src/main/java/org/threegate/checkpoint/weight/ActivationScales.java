package org.threegate.checkpoint.weight;

import java.util.List;

/** Scales of activations and of caches, which no weight needs. */
final class ActivationScales implements Layout {
  private static final int MOST = 1 << 20; // entries; larger tensors are weights
  private static final List<String> SUFFIXES =
      List.of(
          ".input_scale",
          ".input_scale_inv",
          ".output_scale",
          ".q_scale",
          ".k_scale",
          ".v_scale",
          ".kv_scale",
          ".input_zero_point",
          ".output_zero_point",
          ".input_global_scale",
          ".activation_scale",
          ".act_scale");

  @Override
  public void take(Inventory inventory) {
    if (inventory.quantization().method().isEmpty()) {
      return;
    }
    for (String name : inventory.names()) {
      if (SUFFIXES.stream().anyMatch(name::endsWith)) {
        inventory
            .find(name)
            .filter(tensor -> tensor.elements() <= MOST)
            .ifPresent(tensor -> inventory.consume(tensor, "scale of activations"));
      }
    }
  }
}
