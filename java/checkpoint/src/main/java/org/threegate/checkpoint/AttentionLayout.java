package org.threegate.checkpoint;

import java.util.List;
import java.util.OptionalInt;

/** Where the parts and the heads of the attention of one layer lie in its matrices. */
final class AttentionLayout {
  /**
   * Where a part of attention lies in a matrix.
   *
   * @param part the part
   * @param ranges its rows, or columns of an output matrix
   * @param head rows or columns of a head
   */
  record Place(HeadPart part, Ranges ranges, long head) {}

  private static final int QUARTERS = 4;

  private final String family;
  private final AttentionHeads.FusedHeads order;
  private final OptionalInt unrotated;
  private final long queries;
  private final long keyValues;
  private final long dimension;
  private final long valueDimension;

  AttentionLayout(ModelConfig config, AttentionHeads.OfLayer heads) {
    this.family = config.modelType();
    this.order = config.heads().fused();
    this.unrotated = config.heads().unrotated();
    this.queries = heads.queries();
    this.keyValues = heads.keyValues();
    this.dimension = heads.dimension();
    this.valueDimension = heads.valueDimension();
  }

  /** Returns what a matrix holds; nothing if the configuration does not fit it. */
  List<Place> places(TensorKind kind, long rows, long columns) {
    if (rows == 0 || columns == 0) {
      return List.of();
    }
    return switch (kind) {
      case Q_PROJ ->
          isGated(rows)
              ? List.of(place(HeadPart.QUERY, new Ranges(0, dimension, 2 * dimension, queries)))
              : all(HeadPart.QUERY, queries * dimension, rows);
      case Q_B_PROJ -> all(HeadPart.QUERY, queries * dimension, rows);
      case K_PROJ -> all(HeadPart.KEY, keyValues * dimension, rows);
      case V_PROJ -> all(HeadPart.VALUE, keyValues * valueDimension, rows);
      case KV_B_PROJ -> latent(rows);
      case O_PROJ -> all(HeadPart.OUTPUT, queries * valueDimension, columns);
      case QKV -> fused(rows);
      default -> List.of();
    };
  }

  private Place place(HeadPart part, Ranges ranges) {
    boolean values = part == HeadPart.VALUE || part == HeadPart.OUTPUT;
    return new Place(part, ranges, values ? valueDimension : dimension);
  }

  private List<Place> all(HeadPart part, long size, long actual) {
    return size == actual ? List.of(place(part, Ranges.of(0, size))) : List.of();
  }

  /** Qwen3-Next and Qwen3.5 store a gate after the queries of each head. */
  private boolean isGated(long rows) {
    return rows == 2 * queries * dimension
        && (family.startsWith("qwen3_next") || family.startsWith("qwen3_5"));
  }

  /** Returns keys and values of each head, as multi-head latent attention computes them. */
  private List<Place> latent(long rows) {
    if (unrotated.isEmpty() || rows != queries * (unrotated.getAsInt() + valueDimension)) {
      return List.of();
    }
    long keys = unrotated.getAsInt();
    long step = keys + valueDimension;
    return List.of(
        new Place(HeadPart.KEY, new Ranges(0, keys, step, queries), keys),
        place(HeadPart.VALUE, new Ranges(keys, valueDimension, step, queries)));
  }

  /** Returns the rows of queries, keys and values. */
  private List<Place> fused(long rows) {
    // The linear attention of MiniMax has as many keys as queries.
    long keys = family.equals("minimax") ? queries : keyValues;
    long q = queries * dimension;
    long k = keys * dimension;
    long v = keys * valueDimension;
    if (rows == k + v && order == AttentionHeads.FusedHeads.CONCATENATED) {
      // JetMoE's queries are matrices of experts.
      return List.of(
          place(HeadPart.KEY, Ranges.of(0, k)), place(HeadPart.VALUE, Ranges.of(k, rows)));
    }
    if (rows != q + k + v) {
      return List.of();
    }
    return switch (order) {
      case CONCATENATED ->
          List.of(
              place(HeadPart.QUERY, Ranges.of(0, q)),
              place(HeadPart.KEY, Ranges.of(q, q + k)),
              place(HeadPart.VALUE, Ranges.of(q + k, rows)));
      case GROUPED -> {
        long group = q / keys;
        long step = rows / keys;
        yield queries % keys != 0
            ? List.of()
            : List.of(
                place(HeadPart.QUERY, new Ranges(0, group, step, keys)),
                place(HeadPart.KEY, new Ranges(group, dimension, step, keys)),
                place(HeadPart.VALUE, new Ranges(group + dimension, valueDimension, step, keys)));
      }
      case QUARTERS -> {
        long own = q / QUARTERS;
        yield queries % QUARTERS != 0 || rows != 3 * q
            ? List.of()
            : List.of(
                place(HeadPart.QUERY, new Ranges(0, own, 3 * own, QUARTERS)),
                place(HeadPart.KEY, new Ranges(2 * own, own, 3 * own, QUARTERS)),
                place(HeadPart.VALUE, new Ranges(own, own, 3 * own, QUARTERS)));
      }
    };
  }
}
