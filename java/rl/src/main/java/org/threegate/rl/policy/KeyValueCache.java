package org.threegate.rl.policy;

import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptions;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;

/**
 * Caches what the layers keep of tokens, so that a decoder processes each token once: the keys and
 * values of attention, and the states of gated delta rules.
 *
 * <pre>{@code
 * try (KeyValueCache cache = decoder.cache(1, 32)) {
 *   var logits = decoder.next(tokens, mask, cache);
 * }
 * }</pre>
 */
public final class KeyValueCache implements AutoCloseable {
  private final int capacity;
  // By the numbers of the layers.
  private final Map<Integer, Tensor> keys = new HashMap<>();
  private final Map<Integer, Tensor> values = new HashMap<>();
  private final Map<Integer, DeltaState> states = new HashMap<>();
  // False at padding, [batch, capacity].
  private Tensor mask;
  private int length;
  private Optional<PackedMatrices> matrices = Optional.empty();

  private KeyValueCache(int capacity, Tensor mask) {
    this.capacity = capacity;
    this.mask = mask;
  }

  /**
   * Allocates a cache.
   *
   * @param capacity the maximal number of tokens per sequence
   * @param type the dtype of keys and values
   * @param exact the dtype of the memories of gated delta rules
   */
  static KeyValueCache of(
      DecoderConfig config, ScalarType type, ScalarType exact, int batch, int capacity) {
    Tensor mask = zeros(ScalarType.Bool, batch, capacity);
    KeyValueCache cache = new KeyValueCache(capacity, mask);
    long heads = config.attention().keyValueHeads();
    long width = config.attention().headDimension();
    for (int layer = 0; layer < config.layers().size(); layer++) {
      if (config.layers().get(layer).mixer() instanceof Mixer.DeltaRule rule) {
        cache.states.put(layer, DeltaState.of(rule, type, exact, batch));
      } else {
        cache.keys.put(layer, zeros(type, batch, heads, capacity, width));
        cache.values.put(layer, zeros(type, batch, heads, capacity, width));
      }
    }
    return cache;
  }

  private static Tensor zeros(ScalarType type, long... shape) {
    return Scopes.own(() -> ModelDevice.placed(torch.zeros(shape, new TensorOptions(type))));
  }

  /** Returns the state of the gated delta rule of a layer, which is changed in place. */
  DeltaState state(int layer) {
    return states.get(layer);
  }

  /** Uses packed matrices from now on. The caller closes them. */
  void use(PackedMatrices packed) {
    matrices = Optional.of(packed);
  }

  /** Returns the packed matrices that layers use. */
  Optional<PackedMatrices> matrices() {
    return matrices;
  }

  /** {@return the number of tokens so far, including padding} */
  public int length() {
    return length;
  }

  /** Appends the mask of new tokens, and returns the mask of all tokens. */
  Tensor append(Tensor newMask) {
    int count = (int) newMask.size(1);
    if (length + count > capacity) {
      throw new IllegalStateException(
          "a cache of "
              + capacity
              + " tokens has "
              + length
              + " already; "
              + count
              + " more do not fit");
    }
    mask.narrow(1, length, count).copy_(newMask);
    return mask.narrow(1, 0, length + count);
  }

  /** Appends keys to those of a layer, and returns all keys of the layer. */
  Tensor appendKeys(int layer, Tensor own) {
    return appended(keys.get(layer), own);
  }

  /** Appends values to those of a layer, and returns all values of the layer. */
  Tensor appendValues(int layer, Tensor own) {
    return appended(values.get(layer), own);
  }

  private Tensor appended(Tensor all, Tensor own) {
    long count = own.size(2);
    all.narrow(2, length, count).copy_(own);
    return all.narrow(2, 0, length + count);
  }

  /** Advances the length, after every layer has appended its keys and values. */
  void advance(int count) {
    length += count;
  }

  /** Keeps the given rows of the batch, and drops the others. */
  void select(Tensor rows) {
    for (Map<Integer, Tensor> tensors : List.of(keys, values)) {
      tensors.replaceAll((layer, tensor) -> selected(tensor, rows));
    }
    states.replaceAll((layer, state) -> state.map(tensor -> selected(tensor, rows)));
    mask = selected(mask, rows);
  }

  private static Tensor selected(Tensor tensor, Tensor rows) {
    Tensor selected = Scopes.own(() -> tensor.index_select(0, rows));
    tensor.close();
    return selected;
  }

  @Override
  public void close() {
    keys.values().forEach(Tensor::close);
    values.values().forEach(Tensor::close);
    states.values().forEach(DeltaState::close);
    mask.close();
  }
}
