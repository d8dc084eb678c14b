package org.threegate.rl.policy;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.bytedeco.pytorch.DoubleOptional;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptional;
import org.bytedeco.pytorch.TensorOptions;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;

/**
 * Attention within the texts of a packed row, by the fused kernel of libtorch. It has a first
 * derivative only.
 */
final class PackedAttention {
  private static final double MASKED = -1e30; // as in Decoder

  private final List<Packed.Text> texts;
  private final ScalarType type;
  private final Map<List<Integer>, Tensor> masks = new HashMap<>();

  /**
   * Prepares the attention of a row.
   *
   * @param type the dtype in which attention is computed
   */
  PackedAttention(List<Packed.Text> texts, ScalarType type) {
    this.texts = texts;
    this.type = type;
  }

  /** Creates the masks of layers with a window, which outlive the scope of a layer. */
  void prepare(int window) {
    for (Packed.Text text : texts) {
      if (!text.isFirst() || window > 0) {
        mask(text, window);
      }
    }
  }

  /**
   * Applies attention.
   *
   * @param queries [1, heads, width, head dimension]
   * @param keys [1, groups, width, head dimension]
   * @param values of the same shape as keys
   * @param window the number of tokens that a token sees, or 0
   * @return [1, width, heads, head dimension]
   */
  Tensor apply(Tensor queries, Tensor keys, Tensor values, int window, double scale) {
    ScalarType given = queries.scalar_type().intern();
    return given == type
        ? mixed(queries, keys, values, window, scale)
        : mixed(queries.to(type), keys.to(type), values.to(type), window, scale).to(given);
  }

  private Tensor mixed(Tensor queries, Tensor keys, Tensor values, int window, double scale) {
    List<Tensor> mixed = new ArrayList<>();
    for (Packed.Text text : texts) {
      mixed.add(
          Scopes.keep(
              () -> {
                boolean first = text.isFirst();
                int from = first ? text.prompt() : text.begin();
                int count = first ? text.given() + text.count() : text.count();
                TensorOptional mask =
                    first && window == 0
                        ? new TensorOptional()
                        : new TensorOptional(mask(text, window));
                return torch.scaled_dot_product_attention(
                    queries.narrow(2, from, count),
                    seen(keys, text),
                    seen(values, text),
                    mask,
                    0.0,
                    first && window == 0,
                    new DoubleOptional(scale),
                    true);
              }));
    }
    Tensor all =
        mixed.size() == 1
            ? mixed.get(0)
            : torch.cat(Tensors.vector(mixed.toArray(new Tensor[0])), 2);
    return all.transpose(1, 2);
  }

  /** Returns the keys or values of a text and its prompt. */
  private static Tensor seen(Tensor all, Packed.Text text) {
    return text.isFirst()
        ? all.narrow(2, text.prompt(), text.given() + text.count())
        : torch.cat(
            Tensors.vector(
                all.narrow(2, text.prompt(), text.given()),
                all.narrow(2, text.begin(), text.count())),
            2);
  }

  private Tensor mask(Packed.Text text, int window) {
    int before = text.isFirst() ? 0 : text.given();
    int all = text.given() + text.count();
    Tensor known = masks.get(List.of(before, all, window));
    if (known != null) {
      return known;
    }
    Tensor made =
        Scopes.keep(
            () -> {
              Tensor queries = Tensors.range(before, all).unsqueeze(1);
              Tensor keys = Tensors.range(0, all).unsqueeze(0);
              Tensor seen = keys.le(queries);
              if (window > 0) {
                seen = seen.bitwise_and(queries.sub(keys).lt(new Scalar(window)));
              }
              return ModelDevice.placed(
                      torch.zeros(new long[] {1}, new TensorOptions(ScalarType.Float)))
                  .masked_fill(seen.bitwise_not(), new Scalar(MASKED))
                  .to(type);
            });
    masks.put(List.of(before, all, window), made);
    return made;
  }
}
