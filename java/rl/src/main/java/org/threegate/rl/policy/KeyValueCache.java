package org.threegate.rl.policy;

import java.util.ArrayList;
import java.util.List;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptions;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;

/**
 * Keys and values of the tokens that a decoder has seen, so that it sees each once.
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
  // Which of the tokens so far are some: [batch, capacity].
  private Tensor mask;
  private int length;

  private KeyValueCache(int capacity, Tensor mask) {
    this.capacity = capacity;
    this.mask = mask;
  }

  /**
   * Makes room for sequences of up to {@code capacity} tokens.
   *
   * @param type of the keys and values
   */
  static KeyValueCache of(DecoderConfig config, ScalarType type, int batch, int capacity) {
    Tensor mask =
        Scopes.own(
            () ->
                ModelDevice.placed(
                    torch.zeros(new long[] {batch, capacity}, new TensorOptions(ScalarType.Bool))));
    KeyValueCache cache = new KeyValueCache(capacity, mask);
    for (int layer = 0; layer < config.layers(); layer++) {
      for (List<Tensor> tensors : List.of(cache.keys, cache.values)) {
        tensors.add(
            Scopes.own(
                () ->
                    ModelDevice.placed(
                        torch.zeros(
                            new long[] {
                              batch, config.keyValueHeads(), capacity, config.headDimension()
                            },
                            new TensorOptions(type)))));
      }
    }
    return cache;
  }

  /** Tokens so far, padding among them. */
  public int length() {
    return length;
  }

  /** Appends the mask of new tokens; the mask of all is returned. */
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

  /** Appends keys to a layer's; all of them are returned. */
  Tensor appendKeys(int layer, Tensor own) {
    return appended(keys.get(layer), own);
  }

  /** Appends values to a layer's; all of them are returned. */
  Tensor appendValues(int layer, Tensor own) {
    return appended(values.get(layer), own);
  }

  private Tensor appended(Tensor all, Tensor own) {
    long count = own.size(2);
    all.narrow(2, length, count).copy_(own);
    return all.narrow(2, 0, length + count);
  }

  /** Every layer has got its keys and values of so many tokens. */
  void advance(int count) {
    length += count;
  }

  /** Keeps some rows of the batch. */
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
