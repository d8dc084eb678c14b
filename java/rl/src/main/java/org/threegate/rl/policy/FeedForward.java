package org.threegate.rl.policy;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.ScalarOptional;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;

/**
 * The gated feed-forward network of a layer.
 *
 * <pre>{@code
 * FeedForward network = new FeedForward.Dense(11008, false, FeedForward.Gating.SILU);
 * }</pre>
 */
public sealed interface FeedForward {
  /** How the gate and the first projection are combined. */
  enum Gating {
    /** silu(gate) · up. */
    SILU,
    /** gelu(gate) · up, with the tanh approximation ({@code gelu_pytorch_tanh}). */
    GELU_TANH,
    /** gate · sigmoid(1.702 · gate) · (up + 1), with both clipped at 7 (gpt-oss). */
    CLIPPED;

    /** The bound of {@link #CLIPPED}, which transformers does not read from config.json. */
    static final double LIMIT = 7;

    private static final double SLOPE = 1.702;

    Tensor apply(Tensor gate, Tensor up) {
      return switch (this) {
        case SILU -> torch.silu(gate).mul(up);
        case GELU_TANH -> torch.gelu(gate, "tanh").mul(up);
        case CLIPPED -> {
          Tensor low = gate.clamp_max(new Scalar(LIMIT));
          Tensor bounded =
              up.clamp(
                  new ScalarOptional(new Scalar(-LIMIT)), new ScalarOptional(new Scalar(LIMIT)));
          Tensor gated = low.mul(low.mul(new Scalar(SLOPE)).sigmoid());
          yield bounded.add(new Scalar(1.0)).mul(gated);
        }
      };
    }
  }

  /** How the weights of the chosen experts follow from the logits of the router. */
  enum Routing {
    /** The probabilities of the chosen experts among all. */
    SHARES,
    /** The same, divided by their sum ({@code norm_topk_prob}). */
    NORMALIZED_SHARES,
    /** The probabilities of the chosen experts among themselves. */
    CHOSEN
  }

  /** How the matrices of experts are stored. */
  enum Layout {
    /** Three matrices for each expert, [outputs, inputs], as on the hub. */
    SEPARATE("gate"),
    /**
     * The matrices of all experts in one tensor, [experts, outputs, inputs], as transformers 5
     * holds them. The gate comes before the first projection.
     */
    FUSED("gate"),
    /**
     * The matrices of all experts in one tensor, [experts, inputs, outputs], with biases. Columns
     * of the gate and of the first projection take turns (gpt-oss).
     */
    TRANSPOSED("router");

    private final String router;

    Layout(String router) {
      this.router = router;
    }

    /** Returns the name of the router within the feed-forward network. */
    String router() {
      return router;
    }
  }

  /**
   * One network for all tokens.
   *
   * @param intermediate the width of the network ({@code intermediate_size})
   * @param biased whether its linear layers have biases
   * @param gating the activation
   */
  record Dense(int intermediate, boolean biased, Gating gating) implements FeedForward {
    @Override
    public Map<String, List<Long>> parameters(String prefix, int hidden) {
      Map<String, List<Long>> shapes = new LinkedHashMap<>();
      linear(shapes, prefix + "gate_proj", intermediate, hidden, biased);
      linear(shapes, prefix + "up_proj", intermediate, hidden, biased);
      linear(shapes, prefix + "down_proj", hidden, intermediate, biased);
      return shapes;
    }
  }

  /**
   * A router that chooses some of many networks for each token.
   *
   * @param intermediate the width of each expert
   * @param count the number of experts
   * @param chosen the number of experts of a token ({@code num_experts_per_tok})
   * @param routing the weights of the chosen experts
   * @param gating the activation
   * @param layout how the matrices are stored
   * @param shared the width of an expert of all tokens, whose output has a gate ({@code
   *     shared_expert_intermediate_size}); 0 for none
   */
  record Experts(
      int intermediate,
      int count,
      int chosen,
      Routing routing,
      Gating gating,
      Layout layout,
      int shared)
      implements FeedForward {
    /**
     * Checks the number of chosen experts.
     *
     * @throws IllegalArgumentException when it is not from 1 to the number of experts
     */
    public Experts {
      if (chosen < 1 || chosen > count) {
        throw new IllegalArgumentException(
            "chosen must be from 1 to " + count + ", but is " + chosen);
      }
    }

    /** {@return the same experts in another layout} */
    Experts in(Layout other) {
      return new Experts(intermediate, count, chosen, routing, gating, other, shared);
    }

    @Override
    public Map<String, List<Long>> parameters(String prefix, int hidden) {
      Map<String, List<Long>> shapes = new LinkedHashMap<>();
      boolean biased = layout == Layout.TRANSPOSED;
      linear(shapes, prefix + layout.router(), count, hidden, biased);
      String experts = prefix + "experts.";
      long all = count;
      long wide = intermediate;
      long narrow = hidden;
      switch (layout) {
        case SEPARATE -> {
          for (int i = 0; i < count; i++) {
            linear(shapes, experts + i + ".gate_proj", wide, narrow, false);
            linear(shapes, experts + i + ".up_proj", wide, narrow, false);
            linear(shapes, experts + i + ".down_proj", narrow, wide, false);
          }
        }
        case FUSED -> {
          shapes.put(experts + "gate_up_proj", List.of(all, 2 * wide, narrow));
          shapes.put(experts + "down_proj", List.of(all, narrow, wide));
        }
        case TRANSPOSED -> {
          shapes.put(experts + "gate_up_proj", List.of(all, narrow, 2 * wide));
          shapes.put(experts + "gate_up_proj_bias", List.of(all, 2 * wide));
          shapes.put(experts + "down_proj", List.of(all, wide, narrow));
          shapes.put(experts + "down_proj_bias", List.of(all, narrow));
        }
      }
      if (shared > 0) {
        shapes.putAll(new Dense(shared, false, gating).parameters(prefix + SHARED, hidden));
        linear(shapes, prefix + SHARED_GATE, 1, hidden, false);
      }
      return shapes;
    }
  }

  /** What the names of the expert of all tokens begin with. */
  static final String SHARED = "shared_expert.";

  /** The name of the gate of that expert. */
  static final String SHARED_GATE = "shared_expert_gate";

  /** {@return the activation} */
  Gating gating();

  /**
   * {@return the names and shapes of the parameters}
   *
   * @param prefix what their names begin with
   * @param hidden the width of the residual stream
   */
  Map<String, List<Long>> parameters(String prefix, int hidden);

  private static void linear(
      Map<String, List<Long>> shapes, String name, long outputs, long inputs, boolean biased) {
    shapes.put(name + ".weight", List.of(outputs, inputs));
    if (biased) {
      shapes.put(name + ".bias", List.of(outputs));
    }
  }
}
