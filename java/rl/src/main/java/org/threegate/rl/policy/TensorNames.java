package org.threegate.rl.policy;

import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Stream;

/**
 * The names of the tensors of a decoder in its checkpoint.
 *
 * <pre>{@code
 * TensorNames names = decoder.config().names();
 * System.out.println(names.layer(3, "input_layernorm.weight"));
 * }</pre>
 *
 * @param prefix what the names begin with, except for that of the output head
 * @param others what the names of tensors beside the decoder begin with, and why they are no part
 *     of it
 */
public record TensorNames(String prefix, Map<String, String> others) {
  /** The prefix in checkpoints of a text model. */
  static final String TEXT = "model.";

  /** The prefix in checkpoints that have a text model beside others. */
  static final String NESTED = "model.language_model.";

  /** The output head. */
  static final String HEAD = "lm_head.weight";

  /** Copies the map. */
  public TensorNames {
    others = Map.copyOf(others);
  }

  /** Returns the names with the prefix that a checkpoint has. */
  TensorNames storedAs(Set<String> names) {
    return Stream.of(prefix, TEXT, NESTED)
        .map(own -> new TensorNames(own, others))
        .filter(own -> names.contains(own.embedding()))
        .findFirst()
        .orElse(this);
  }

  /** {@return the name of the embedding} */
  public String embedding() {
    return prefix + "embed_tokens.weight";
  }

  /** {@return the name of the final norm} */
  public String norm() {
    return prefix + "norm.weight";
  }

  /**
   * {@return the name of a tensor of a layer}
   *
   * @param layer the number of the layer, from 0
   * @param name the name within the layer
   */
  public String layer(int layer, String name) {
    return prefix + "layers." + layer + "." + name;
  }

  /**
   * {@return the name in the checkpoint of a tensor that the text model alone names otherwise}
   *
   * @param name a name with the prefix of the checkpoint, or of the text model alone
   */
  public String stored(String name) {
    return name.startsWith(TEXT + "layers.") ? prefix + name.substring(TEXT.length()) : name;
  }

  /**
   * {@return why a tensor is no part of the decoder; empty if it must be one}
   *
   * @param name the name of the tensor
   */
  public Optional<String> beside(String name) {
    return others.entrySet().stream()
        .filter(other -> name.startsWith(other.getKey()))
        .map(Map.Entry::getValue)
        .findFirst();
  }
}
