package org.threegate.checkpoint;

import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;

/**
 * The heads of linear attention with a gated delta rule, as Qwen3-Next and Qwen3.5 have it. Each
 * key head serves as many value heads.
 *
 * @param keys number of heads of queries and keys
 * @param values number of heads of values, a multiple of {@code keys}
 * @param keyDimension rows of a head of queries or keys
 * @param valueDimension rows of a head of values
 */
public record LinearHeads(int keys, int values, int keyDimension, int valueDimension) {
  private static final int MOST_HEADS = 1 << 16;
  private static final int WIDEST = 1 << 24;

  /** A part of a fused matrix. */
  record Part(String label, Ranges outputs) {}

  /** Returns the heads that a configuration states, if they fit each other. */
  static Optional<LinearHeads> parse(JsonFields text) {
    OptionalInt keys = AttentionHeads.size(text, MOST_HEADS, "linear_num_key_heads");
    OptionalInt values = AttentionHeads.size(text, MOST_HEADS, "linear_num_value_heads");
    OptionalInt keyDimension = AttentionHeads.size(text, WIDEST, "linear_key_head_dim");
    OptionalInt valueDimension = AttentionHeads.size(text, WIDEST, "linear_value_head_dim");
    boolean stated =
        keys.isPresent()
            && values.isPresent()
            && keyDimension.isPresent()
            && valueDimension.isPresent();
    return stated && values.getAsInt() % keys.getAsInt() == 0
        ? Optional.of(
            new LinearHeads(
                keys.getAsInt(),
                values.getAsInt(),
                keyDimension.getAsInt(),
                valueDimension.getAsInt()))
        : Optional.empty();
  }

  /**
   * Returns the parts of a projection; none if the heads do not fit it. Qwen3-Next stores queries,
   * keys, values and gates z of each key head together, and so decays b and a. Qwen3.5 stores
   * queries, keys and values one after the other.
   *
   * @param module name of the projection
   * @param rows its outputs
   */
  List<Part> parts(String module, long rows) {
    long perKey = (long) (values / keys);
    long key = keyDimension;
    long value = perKey * valueDimension;
    long step = 2 * (key + value);
    return switch (module) {
      case "in_proj_qkvz" ->
          rows != keys * step
              ? List.of()
              : List.of(
                  new Part("q", new Ranges(0, key, step, keys)),
                  new Part("k", new Ranges(key, key, step, keys)),
                  new Part("v", new Ranges(2 * key, value, step, keys)),
                  new Part("z", new Ranges(2 * key + value, value, step, keys)));
      case "in_proj_ba" ->
          rows != 2L * values
              ? List.of()
              : List.of(
                  new Part("b", new Ranges(0, perKey, 2 * perKey, keys)),
                  new Part("a", new Ranges(perKey, perKey, 2 * perKey, keys)));
      case "in_proj_qkv" ->
          rows != keys * (2 * key + value)
              ? List.of()
              : List.of(
                  new Part("q", Ranges.of(0, keys * key)),
                  new Part("k", Ranges.of(keys * key, 2 * keys * key)),
                  new Part("v", Ranges.of(2 * keys * key, rows)));
      default -> List.of();
    };
  }
}
