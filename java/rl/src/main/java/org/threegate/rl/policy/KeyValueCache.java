package org.threegate.rl.policy;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptions;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;

/**
 * Caches the attention keys and values of tokens, so that a decoder processes each token once.
 *
 * <pre>{@code
 * try (KeyValueCache cache = decoder.cache(1, 32)) {
 *   var logits = decoder.next(tokens, mask, cache);
 * }
 * }</pre>
 */
public final class KeyValueCache implements AutoCloseable {
  private final int capacity;
  private final List<Tensor> keys = new ArrayList<>();
  private final List<Tensor> values = new ArrayList<>();
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
   */
  static KeyValueCache of(DecoderConfig config, ScalarType type, int batch, int capacity) {
    Tensor mask =
        Scopes.own(
            () ->
                ModelDevice.placed(
                    torch.zeros(new long[] {batch, capacity}, new TensorOptions(ScalarType.Bool))));
    KeyValueCache cache = new KeyValueCache(capacity, mask);
    for (int layer = 0; layer < config.layers().size(); layer++) {
      for (List<Tensor> tensors : List.of(cache.keys, cache.values)) {
        tensors.add(
            Scopes.own(
                () ->
                    ModelDevice.placed(
                        torch.zeros(
                            new long[] {
                              batch,
                              config.attention().keyValueHeads(),
                              capacity,
                              config.attention().headDimension()
                            },
                            new TensorOptions(type)))));
      }
    }
    return cache;
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
    for (List<Tensor> tensors : List.of(keys, values)) {
      tensors.replaceAll(tensor -> selected(tensor, rows));
    }
    mask = selected(mask, rows);
  }

  private static Tensor selected(Tensor tensor, Tensor rows) {
    Tensor selected = Scopes.own(() -> tensor.index_select(0, rows));
    tensor.close();
    return selected;
  }

  @Override
  public void close() {
    keys.forEach(Tensor::close);
    values.forEach(Tensor::close);
    mask.close();
  }
}
