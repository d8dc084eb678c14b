package org.threegate.rl.adapter;

import java.util.List;

/**
 * The hyperparameters of a low-rank adapter. PEFT's names are given.
 *
 * @param rank the rank of each product, 1 or more ({@code r}). It is limited by the shorter side of
 *     a matrix
 * @param alpha the scale is alpha / rank, or alpha / √rank ({@code lora_alpha})
 * @param rankStabilised whether the latter is used (rsLoRA, arXiv 2312.03732, {@code use_rslora})
 * @param initialisation the initial factors
 * @param targets the last parts of the names of linear layers, such as {@code q_proj} ({@code
 *     target_modules})
 */
public record AdapterOptions(
    int rank,
    double alpha,
    boolean rankStabilised,
    List<String> targets,
    Initialisation initialisation) {
  /** All linear layers except the output head. */
  public static final List<String> ALL =
      List.of("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj");

  /**
   * Validates the options.
   *
   * @throws IllegalArgumentException when the rank or alpha is not above 0, or there are no targets
   */
  public AdapterOptions {
    targets = List.copyOf(targets);
    if (rank < 1 || !(alpha > 0) || Double.isInfinite(alpha) || targets.isEmpty()) {
      throw new IllegalArgumentException(
          "rank must be 1 or more, alpha above 0, and targets not empty");
    }
  }

  /**
   * {@return options for all linear layers, with alpha twice the rank}
   *
   * @param rank the rank of each product, 1 or more
   * @param initialisation the initial factors
   */
  public static AdapterOptions of(int rank, Initialisation initialisation) {
    return new AdapterOptions(rank, 2.0 * rank, false, ALL, initialisation);
  }

  double scale() {
    return rankStabilised ? alpha / Math.sqrt(rank) : alpha / rank;
  }
}
