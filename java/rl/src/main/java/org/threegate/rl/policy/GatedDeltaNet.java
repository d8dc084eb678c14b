package org.threegate.rl.policy;

import java.util.Map;
import java.util.Optional;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptional;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;

/**
 * A layer of the gated delta rule. Queries, keys and values pass a causal convolution of each
 * channel. The output of each head is normalized and gated.
 *
 * @param kind the shape of the layer
 * @param own the parameters of the layer
 * @param epsilon the term that is added to mean squares ({@code rms_norm_eps})
 * @param exact the dtype of norms and memories
 */
record GatedDeltaNet(Mixer.DeltaRule kind, Own own, double epsilon, ScalarType exact) {
  private static final double NORM_EPSILON = 1e-6; // of queries and keys, as in transformers

  /** Applies a linear layer of the decoder to rows, [..., inputs]. */
  @FunctionalInterface
  interface Projection {
    Tensor apply(String weight, Tensor rows);
  }

  /**
   * The parameters of a layer.
   *
   * @param parameters all parameters of the decoder
   * @param linear the linear layers of the decoder
   * @param prefix what the names of the parameters of the layer begin with
   */
  record Own(Map<String, Tensor> parameters, Projection linear, String prefix) {
    private Tensor get(String name) {
      return parameters.get(prefix + name);
    }

    private Tensor project(String name, Tensor rows) {
      return linear.apply(prefix + name + ".weight", rows);
    }
  }

  /**
   * The inputs of the rule.
   *
   * @param columns queries, keys and values before the convolution, [batch, tokens, channels]
   * @param gates z, [batch, tokens, value heads, value dimension]
   * @param rates b, [batch, tokens, value heads]
   * @param steps a, [batch, tokens, value heads]
   */
  private record Inputs(Tensor columns, Tensor gates, Tensor rates, Tensor steps) {}

  /**
   * Computes the layer.
   *
   * @param states the normalized states, [batch, tokens, hidden]
   * @param packing how padding is kept out
   * @param cached the state of the tokens before, which is advanced; there is no gradient with it
   * @return what is added to the residual stream, [batch, tokens, hidden]
   */
  Tensor apply(Tensor states, Packing packing, Optional<DeltaState> cached) {
    Inputs inputs = inputs(states);
    Tensor mixed = packing.unpacked(mixed(inputs, packing, cached));
    return own.project("out_proj", gated(mixed, inputs.gates()).flatten(2, 3));
  }

  private Inputs inputs(Tensor states) {
    long batch = states.size(0);
    long tokens = states.size(1);
    long heads = kind.valueHeads();
    if (kind.projections() == Mixer.Projections.SEPARATE) {
      return new Inputs(
          own.project("in_proj_qkv", states),
          own.project("in_proj_z", states).view(batch, tokens, heads, kind.valueDimension()),
          own.project("in_proj_b", states),
          own.project("in_proj_a", states));
    }
    long key = kind.keyDimension();
    long value = (long) kind.each() * kind.valueDimension();
    Tensor groups =
        own.project("in_proj_qkvz", states).view(batch, tokens, kind.keyHeads(), 2 * (key + value));
    Tensor steps =
        own.project("in_proj_ba", states).view(batch, tokens, kind.keyHeads(), 2L * kind.each());
    return new Inputs(
        torch.cat(
            Tensors.vector(
                groups.narrow(3, 0, key).flatten(2, 3),
                groups.narrow(3, key, key).flatten(2, 3),
                groups.narrow(3, 2 * key, value).flatten(2, 3)),
            -1),
        groups
            .narrow(3, 2 * key + value, value)
            .reshape(batch, tokens, heads, kind.valueDimension()),
        steps.narrow(3, 0, kind.each()).flatten(2, 3),
        steps.narrow(3, kind.each(), kind.each()).flatten(2, 3));
  }

  /** Computes what each head reads, [batch, tokens, value heads, value dimension]. */
  private Tensor mixed(Inputs inputs, Packing packing, Optional<DeltaState> cached) {
    Tensor columns = packing.packed(inputs.columns());
    Tensor passed = convolved(columns, packing, cached);
    Tensor decays =
        packing.packed(
            torch
                .softplus(inputs.steps().to(exact).add(own.get(Mixer.DeltaRule.STEP)))
                .mul(own.get(Mixer.DeltaRule.DECAY).to(exact).exp().neg()));
    DeltaRuleScan scan =
        new DeltaRuleScan(
            heads(passed.narrow(2, 0, kind.keys()))
                .mul(new Scalar(1 / Math.sqrt(kind.keyDimension()))),
            heads(passed.narrow(2, kind.keys(), kind.keys())),
            passed
                .narrow(2, 2 * kind.keys(), kind.values())
                .to(exact)
                .unflatten(2, kind.valueHeads(), kind.valueDimension()),
            decays,
            packing.packed(inputs.rates().sigmoid()).to(exact));
    ScalarType stored = passed.scalar_type().intern();
    if (cached.isEmpty()) {
      return scan.all(Optional.empty()).outputs().to(stored);
    }
    Tensor memory = cached.get().memory();
    if (columns.size(1) == 1) {
      return scan.step(memory).to(stored);
    }
    DeltaRuleScan.Result result = scan.all(Optional.of(memory));
    memory.copy_(result.memory());
    return result.outputs().to(stored);
  }

  /** Applies the convolution and its activation, [batch, tokens, channels]. */
  private Tensor convolved(Tensor columns, Packing packing, Optional<DeltaState> cached) {
    long before = kind.kernel() - 1L;
    Tensor known =
        cached
            .map(state -> torch.cat(Tensors.vector(state.columns(), columns), 1))
            .orElseGet(
                () -> torch.constant_pad_nd(columns, new long[] {0, 0, before, 0}, new Scalar(0)));
    Tensor sums =
        torch.conv1d(
            known.transpose(1, 2),
            own.get("conv1d.weight"),
            new TensorOptional(),
            new long[] {1},
            new long[] {0},
            new long[] {1},
            kind.channels());
    cached.ifPresent(state -> state.columns().copy_(packing.last(known, before)));
    return torch.silu(sums).transpose(1, 2);
  }

  /** Normalizes queries or keys, and repeats them for the value heads that they serve. */
  private Tensor heads(Tensor flat) {
    Tensor wide = flat.to(exact).unflatten(2, kind.keyHeads(), kind.keyDimension());
    Tensor squares = wide.mul(wide).sum(new long[] {-1}, true, null);
    Tensor normal = wide.mul(squares.add(new Scalar(NORM_EPSILON)).rsqrt());
    return kind.each() == 1
        ? normal
        : normal.unsqueeze(3).expand(-1, -1, -1, kind.each(), -1).flatten(2, 3);
  }

  private Tensor gated(Tensor mixed, Tensor gates) {
    return new RmsNorm(RmsNorm.Kind.ROUNDED, epsilon)
        .apply(mixed, own.get("norm.weight"), exact)
        .mul(torch.silu(gates.to(exact)))
        .to(mixed.scalar_type());
  }
}
