package org.threegate.rl.study;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.SplittableRandom;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.threegate.analysis.mask.MaskKind;
import org.threegate.kernel.Context;
import org.threegate.kernel.Control;
import org.threegate.kernel.Mask;
import org.threegate.kernel.MaskSelection;
import org.threegate.kernel.MaskSets;
import org.threegate.rl.policy.Decoder;
import org.threegate.rl.policy.Scopes;
import org.threegate.rl.policy.TensorMemory;
import org.threegate.rl.policy.Tensors;

/** Determines where weights may move in a run, and measures where they moved. */
final class Movement {
  private static final int SHUFFLES = 5;
  private static final double TOLERANCE = 1e-6;
  private static final double ALPHA = 0.5; // share of the entries in masks
  private static final double RANK_SHARE = 0.1;

  /**
   * The movement of all matrices together.
   *
   * @param entries the number of entries of all matrices
   * @param allowed the number of entries that may move
   * @param permutedSparsities the shares of unchanged entries in permuted updates
   * @param principalOfLargest the share of the principal mask in the half of the entries that moved
   *     most
   * @param lowOfLargest the share of the low-magnitude mask in the same half
   */
  record Shares(
      double entries,
      double allowed,
      double[] permutedSparsities,
      double principalOfLargest,
      double lowOfLargest) {}

  private final Context context;
  private final Control control;

  Movement(Context context, Control control) {
    this.context = context;
    this.control = control;
  }

  /** Returns the masks of entries that may move in a run, by the names of matrices. */
  Map<String, Mask> masks(Arm arm, Decoder before) {
    Map<String, Mask> masks = new LinkedHashMap<>();
    arm.setting()
        .mask()
        .ifPresent(
            kind -> {
              SplittableRandom random = new SplittableRandom(arm.seed());
              matrices(before)
                  .forEach(
                      (name, weight) -> {
                        long seed = random.nextLong();
                        Mask mask = mask(weight, kind, ALPHA, seed);
                        double entries = (double) mask.rows() * mask.columns();
                        masks.put(
                            name,
                            arm.setting().likeMask()
                                ? mask(weight, MaskKind.RANDOM, mask.count() / entries, seed)
                                : mask);
                      });
            });
    return masks;
  }

  private static Map<String, Tensor> matrices(Decoder model) {
    Map<String, Tensor> matrices = new LinkedHashMap<>(model.parameters());
    matrices.values().removeIf(parameter -> parameter.dim() != 2);
    return matrices;
  }

  private Mask mask(Tensor weight, MaskKind kind, double alpha, long seed) {
    Mask[] mask = new Mask[1];
    Scopes.run(
        () -> {
          try (TensorMemory memory = TensorMemory.of(context, weight.detach())) {
            long shorter = Math.min(weight.size(0), weight.size(1));
            int rank = (int) Math.max(1, Math.round(RANK_SHARE * shorter));
            mask[0] =
                kind.of(
                    context,
                    memory.operand(),
                    new MaskKind.Request(rank, alpha, TOLERANCE, seed),
                    control);
          }
        });
    return mask[0];
  }

  /** Measures how the matrices moved from a base to a policy. */
  Shares of(Decoder before, Decoder policy, Map<String, Mask> masks) {
    double[] sparsities = new double[SHUFFLES];
    double total = 0;
    double allowed = 0;
    double chosen = 0;
    double principal = 0;
    double low = 0;
    for (Map.Entry<String, Tensor> entry : matrices(before).entrySet()) {
      Largest largest = largest(entry.getValue(), policy, entry.getKey(), sparsities);
      long entries = entry.getValue().numel();
      total += entries;
      allowed += Optional.ofNullable(masks.get(entry.getKey())).map(Mask::count).orElse(entries);
      chosen += largest.count();
      principal += largest.principal();
      low += largest.low();
    }
    for (int i = 0; i < SHUFFLES; i++) {
      sparsities[i] /= total;
    }
    return new Shares(total, allowed, sparsities, principal / chosen, low / chosen);
  }

  /** The half of the entries that moved most, and how many of them are in the masks. */
  private record Largest(long count, long principal, long low) {}

  /**
   * Finds the entries that moved most.
   *
   * @param sparsities receives the shares of unchanged entries in permuted updates
   */
  private Largest largest(Tensor base, Decoder policy, String name, double[] sparsities) {
    Largest[] largest = new Largest[1];
    Scopes.run(
        () -> {
          Tensor update = policy.weight(name).detach().sub(base.detach()).contiguous();
          Mask principal = mask(base, MaskKind.PRINCIPAL, ALPHA, 0);
          Mask low = mask(base, MaskKind.LOW, ALPHA, 0);
          long count = Math.round(ALPHA * base.numel());
          try (TensorMemory memory = TensorMemory.of(context, update)) {
            Mask farthest = MaskSelection.largest(context, memory.operand(), count, control);
            MaskSets.Overlaps overlaps =
                MaskSets.overlaps(context, List.of(farthest, principal, low));
            largest[0] = new Largest(count, overlaps.common(0, 1), overlaps.common(0, 2));
          }
          float[] moves = Tensors.floats(update);
          SplittableRandom random = new SplittableRandom(name.hashCode());
          for (int draw = 0; draw < SHUFFLES; draw++) {
            shuffle(moves, random);
            int own = draw;
            Scopes.run(() -> sparsities[own] += unchanged(base, moves));
          }
        });
    return largest[0];
  }

  private static void shuffle(float[] values, SplittableRandom random) {
    for (int i = values.length - 1; i > 0; i--) {
      int j = random.nextInt(i + 1);
      float kept = values[i];
      values[i] = values[j];
      values[j] = kept;
    }
  }

  private static double unchanged(Tensor base, float[] moves) {
    Tensor before = base.detach();
    Tensor moved =
        before.add(Tensors.of(moves, moves.length).view_as(before)).to(ScalarType.BFloat16);
    return moved.eq(before.to(ScalarType.BFloat16)).sum().item_double();
  }
}
