package org.threegate.rl.policy;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * How the tokens of a layer see each other.
 *
 * <pre>{@code
 * Mixer mixer =
 *     new Mixer.DeltaRule(16, 32, 128, 128, 4, Mixer.Projections.SEPARATE);
 * }</pre>
 */
public sealed interface Mixer {
  /**
   * Attention. Its heads are the same in all layers.
   *
   * @param window the attention window in tokens, including the token itself; 0 is full attention
   * @param rotary the rotary position embeddings
   */
  record Attention(int window, Rotary rotary) implements Mixer {}

  /** How the projections of a gated delta rule are stored. */
  enum Projections {
    /** Queries, keys and values one after the other; z, b and a in matrices of their own. */
    SEPARATE,
    /** Queries, keys, values and z of each key head together; b and a of each key head together. */
    GROUPED
  }

  /**
   * The gated delta rule (arXiv 2412.06464) behind a causal convolution of each channel. Each head
   * has a memory, a matrix from keys to values. Each key head serves as many value heads.
   *
   * @param keyHeads the number of heads of queries and keys ({@code linear_num_key_heads})
   * @param valueHeads the number of heads of values, a multiple of {@code keyHeads} ({@code
   *     linear_num_value_heads})
   * @param keyDimension the width of a head of queries or keys ({@code linear_key_head_dim})
   * @param valueDimension the width of a head of values ({@code linear_value_head_dim})
   * @param kernel the number of tokens that the convolution sees ({@code linear_conv_kernel_dim})
   * @param projections how the projections are stored
   */
  record DeltaRule(
      int keyHeads,
      int valueHeads,
      int keyDimension,
      int valueDimension,
      int kernel,
      Projections projections)
      implements Mixer {
    /** What the names of its parameters begin with, within a layer. */
    static final String PREFIX = "linear_attn.";

    /** The logarithm of the rate at which memories decay. */
    static final String DECAY = "A_log";

    /** The bias of the time steps. */
    static final String STEP = "dt_bias";

    /**
     * Checks the numbers of heads.
     *
     * @throws IllegalArgumentException when one does not divide the other
     */
    public DeltaRule {
      if (keyHeads < 1 || valueHeads % keyHeads != 0) {
        throw new IllegalArgumentException(
            "valueHeads " + valueHeads + " is not a multiple of keyHeads " + keyHeads);
      }
    }

    /** {@return the width of all queries, and of all keys} */
    long keys() {
      return (long) keyHeads * keyDimension;
    }

    /** {@return the width of all values} */
    long values() {
      return (long) valueHeads * valueDimension;
    }

    /** {@return the number of channels of the convolution: queries, keys and values} */
    long channels() {
      return 2 * keys() + values();
    }

    /** {@return the number of value heads that a key head serves} */
    int each() {
      return valueHeads / keyHeads;
    }

    /**
     * Returns the names and shapes of the parameters.
     *
     * @param prefix what their names begin with
     * @param hidden the width of the residual stream
     */
    Map<String, List<Long>> parameters(String prefix, long hidden) {
      Map<String, List<Long>> shapes = new LinkedHashMap<>();
      shapes.put(prefix + STEP, List.of((long) valueHeads));
      shapes.put(prefix + DECAY, List.of((long) valueHeads));
      shapes.put(prefix + "conv1d.weight", List.of(channels(), 1L, (long) kernel));
      switch (projections) {
        case SEPARATE -> {
          shapes.put(prefix + "in_proj_qkv.weight", List.of(channels(), hidden));
          shapes.put(prefix + "in_proj_z.weight", List.of(values(), hidden));
          shapes.put(prefix + "in_proj_b.weight", List.of((long) valueHeads, hidden));
          shapes.put(prefix + "in_proj_a.weight", List.of((long) valueHeads, hidden));
        }
        case GROUPED -> {
          shapes.put(prefix + "in_proj_qkvz.weight", List.of(channels() + values(), hidden));
          shapes.put(prefix + "in_proj_ba.weight", List.of(2L * valueHeads, hidden));
        }
      }
      shapes.put(prefix + "norm.weight", List.of((long) valueDimension));
      shapes.put(prefix + "out_proj.weight", List.of(hidden, values()));
      return shapes;
    }

    /**
     * Returns the parts of fused projections, as {@code threegate compare} names them.
     *
     * @param prefix what the names of the parameters begin with
     */
    List<RowPart> parts(String prefix) {
      long key = keyDimension;
      long value = (long) each() * valueDimension;
      return switch (projections) {
        case SEPARATE -> {
          String fused = prefix + "in_proj_qkv.weight";
          yield List.of(
              new RowPart(fused, "q", new RowPart.Rows(0, keys(), keys(), 1)),
              new RowPart(fused, "k", new RowPart.Rows(keys(), keys(), keys(), 1)),
              new RowPart(fused, "v", new RowPart.Rows(2 * keys(), values(), values(), 1)));
        }
        case GROUPED -> {
          String fused = prefix + "in_proj_qkvz.weight";
          String steps = prefix + "in_proj_ba.weight";
          long group = 2 * (key + value);
          yield List.of(
              new RowPart(fused, "q", new RowPart.Rows(0, key, group, keyHeads)),
              new RowPart(fused, "k", new RowPart.Rows(key, key, group, keyHeads)),
              new RowPart(fused, "v", new RowPart.Rows(2 * key, value, group, keyHeads)),
              new RowPart(fused, "z", new RowPart.Rows(2 * key + value, value, group, keyHeads)),
              new RowPart(steps, "b", new RowPart.Rows(0, each(), 2L * each(), keyHeads)),
              new RowPart(steps, "a", new RowPart.Rows(each(), each(), 2L * each(), keyHeads)));
        }
      };
    }
  }
}
