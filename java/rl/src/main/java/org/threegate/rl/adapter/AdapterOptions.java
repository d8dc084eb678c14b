package org.threegate.rl.adapter;

import java.util.List;

/**
 * An adapter of low rank.
 *
 * @param rank of each product, 1 at least; that of a smaller matrix is its shorter side
 * @param alpha the scale is alpha / rank, or alpha / √rank
 * @param rankStabilised the latter (rsLoRA, arXiv 2312.03732)
 * @param targets last parts of the names of linear layers, such as {@code q_proj}
 */
public record AdapterOptions(
    int rank,
    double alpha,
    boolean rankStabilised,
    List<String> targets,
    Initialisation initialisation) {
  /** All linear layers but the head. */
  public static final List<String> ALL =
      List.of("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj");

  public AdapterOptions {
    targets = List.copyOf(targets);
    if (rank < 1 || !(alpha > 0) || Double.isInfinite(alpha) || targets.isEmpty()) {
      throw new IllegalArgumentException(
          "an adapter has a rank of 1 at least, an alpha above 0 and a target");
    }
  }

  /** Of all linear layers, with alpha twice the rank. */
  public static AdapterOptions of(int rank, Initialisation initialisation) {
    return new AdapterOptions(rank, 2.0 * rank, false, ALL, initialisation);
  }

  double scale() {
    return rankStabilised ? alpha / Math.sqrt(rank) : alpha / rank;
  }
}
