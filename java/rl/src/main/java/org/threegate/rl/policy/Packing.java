package org.threegate.rl.policy;

import java.util.Optional;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;

/**
 * How padding is kept out of layers that read tokens one after the other. What a padding token
 * would write is multiplied by 0. Where a token follows padding that follows a token, the tokens of
 * each row are moved together, before its padding.
 *
 * @param known 1 at tokens and 0 at padding, [batch, tokens, 1], after the tokens were moved; empty
 *     without padding
 * @param order where each token is moved, if one is
 */
record Packing(Optional<Tensor> known, Optional<Order> order) {
  /**
   * The places of moved tokens.
   *
   * @param from the flat index that each place takes its token from, [batch · tokens], int64
   * @param back the flat index to which each token was moved, [batch · tokens], int64
   * @param lengths the number of tokens of each row, [batch], int64
   */
  record Order(Tensor from, Tensor back, Tensor lengths) {}

  /** Which neighbours of padding a layer can bear. */
  private enum Place {
    /** A state follows: padding is on the left of all tokens. */
    LEFT,
    /** A state precedes: there is no padding. */
    NOWHERE,
    /** The tokens are alone: padding is on either side. */
    AROUND
  }

  /**
   * Looks for padding.
   *
   * @param mask false at padding, [batch, tokens], bool
   * @param cached whether the state after these tokens is used
   * @param before the number of tokens that the state was computed from
   * @param type the dtype of the model
   */
  static Packing of(Tensor mask, boolean cached, long before, ScalarType type) {
    int tokens = (int) mask.size(1);
    long[] known = Tensors.longs(mask.to(ScalarType.Long));
    Place allowed = !cached ? Place.AROUND : before == 0 ? Place.LEFT : Place.NOWHERE;
    boolean padded = false;
    boolean moved = false;
    for (int row = 0; row < known.length; row += tokens) {
      int count = 0;
      int runs = 0;
      for (int i = 0; i < tokens; i++) {
        boolean begins = known[row + i] == 1 && (i == 0 || known[row + i - 1] == 0);
        count += known[row + i] == 1 ? 1 : 0;
        runs += begins ? 1 : 0;
      }
      boolean gaps = count < tokens;
      padded |= gaps;
      moved |=
          switch (allowed) {
            case AROUND -> runs > 1;
            case LEFT -> runs > 1 || count > 0 && known[row + tokens - 1] == 0;
            case NOWHERE -> gaps;
          };
    }
    if (!padded) {
      return new Packing(Optional.empty(), Optional.empty());
    }
    Tensor ones = mask.to(type).unsqueeze(-1);
    return moved ? packed(known, tokens, ones) : new Packing(Optional.of(ones), Optional.empty());
  }

  private static Packing packed(long[] known, int tokens, Tensor ones) {
    long[] from = new long[known.length];
    long[] back = new long[known.length];
    long[] lengths = new long[known.length / tokens];
    for (int row = 0; row < lengths.length; row++) {
      int begin = row * tokens;
      int next = begin;
      for (long wanted : new long[] {1, 0}) {
        for (int i = begin; i < begin + tokens; i++) {
          if (known[i] == wanted) {
            back[i] = next;
            from[next++] = i;
            lengths[row] += wanted;
          }
        }
      }
    }
    Order order =
        new Order(
            Tensors.of(from, from.length),
            Tensors.of(back, back.length),
            Tensors.of(lengths, lengths.length));
    return new Packing(Optional.of(moved(ones, order.from())), Optional.of(order));
  }

  private static Tensor moved(Tensor values, Tensor places) {
    return values.flatten(0, 1).index_select(0, places).view_as(values);
  }

  /** Moves the tokens together, and sets padding to 0, [batch, tokens, features]. */
  Tensor packed(Tensor values) {
    Tensor together = order.map(own -> moved(values, own.from())).orElse(values);
    return known.map(own -> together.mul(own.to(together.scalar_type()))).orElse(together);
  }

  /** Moves the tokens back to their places, [batch, tokens, ...]. */
  Tensor unpacked(Tensor values) {
    return order.map(own -> moved(values.contiguous(), own.back())).orElse(values);
  }

  /**
   * Returns the last columns before the end of each row.
   *
   * @param columns the columns before these tokens, and those of these tokens, [batch, count +
   *     tokens, channels]
   * @param count the number of columns to return
   */
  Tensor last(Tensor columns, long count) {
    if (order.isEmpty()) {
      return columns.narrow(1, columns.size(1) - count, count);
    }
    Tensor places = order.get().lengths().unsqueeze(1).add(Tensors.range(0, count)).unsqueeze(-1);
    return columns.gather(1, places.expand(columns.size(0), count, columns.size(2)));
  }
}
