package org.threegate.analysis.curvature;

import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.threegate.analysis.statistics.ClusteredMean;
import org.threegate.analysis.statistics.NullEstimate;
import org.threegate.analysis.statistics.PairedComparison;

/**
 * The curvature of one layer along its update and along others.
 *
 * @param rank leading directions that count as principal
 * @param squaredNorm of the update
 * @param along vᵀFv of unit directions; means over draws of the random ones. Without those that are
 *     less than a millionth of the update, such as what an empty mask leaves of it
 * @param shares squared norms of the update's parts, over that of the update
 * @param drawSd of single draws' curvatures, standard deviations
 * @param comparisons token by token
 * @param sequences derivatives along the update of whole sequences' log-likelihoods
 * @param leastInUpdateSpan the smallest curvature in the span of the update's leading singular
 *     directions
 * @param kfacInputOverlap of the leading eigenvectors of K-FAC's A with the base's right singular
 *     vectors
 * @param kfacGradientOverlap of those of B with the left ones
 * @param eigenvalueDensity of the eigenvalues of the layer's Fisher information, where it was asked
 *     for
 */
public record LayerCurvature(
    String name,
    String kind,
    int tokens,
    int rank,
    double squaredNorm,
    Map<Along, ClusteredMean> along,
    Map<Along, Double> shares,
    Map<Along, Double> drawSd,
    List<Comparison> comparisons,
    List<Sequence> sequences,
    double leastInUpdateSpan,
    Optional<Overlap> kfacInputOverlap,
    Optional<Overlap> kfacGradientOverlap,
    Optional<Density> eigenvalueDensity) {
  /** The sum of a sequence's slopes, and how many tokens it has. */
  public record Sequence(long id, double slope, int tokens) {
    Sequence plus(Sequence other) {
      return new Sequence(id, slope + other.slope, tokens + other.tokens);
    }

    /** The same sequence along another layer's update too. */
    public Sequence and(Sequence other) {
      return new Sequence(id, slope + other.slope, tokens);
    }
  }

  /**
   * ½ ΔᵀFΔ of whole sequences, in nats a token: to second order the KL divergence that this layer's
   * update causes by itself, and an upper bound of what it adds once the other layers may answer
   * (δ_W, arXiv 2511.08567, appendix F.3).
   */
  public ClusteredMean klAlone() {
    return klAlone(sequences);
  }

  /** Of the updates whose slopes these are. */
  public static ClusteredMean klAlone(List<Sequence> sequences) {
    // A sequence's half square, spread over its tokens, is the mean over tokens.
    double tokens = sequences.stream().mapToInt(Sequence::tokens).average().orElse(Double.NaN);
    double[] halves =
        sequences.stream()
            .mapToDouble(sequence -> sequence.slope() * sequence.slope() / 2 / tokens)
            .toArray();
    long[] each = sequences.stream().mapToLong(Sequence::id).toArray();
    return ClusteredMean.of(halves, each);
  }

  /** first − second. */
  public record Comparison(Along first, Along second, PairedComparison paired) {}

  /**
   * How eigenvalues are distributed, a bump of a tenth of a decade each.
   *
   * @param decades logarithms to base 10 of eigenvalues
   * @param shares of all eigenvalues a decade, at each
   * @param se of these
   * @param largest eigenvalue that was found
   * @param trace of the matrix, from the same probes
   */
  public record Density(
      double[] decades, double[] shares, double[] se, double largest, Estimate trace) {}

  /**
   * Mean squared cosine of the principal angles of two subspaces.
   *
   * @param directions of each
   * @param random the same of random subspaces
   */
  public record Overlap(int directions, double observed, NullEstimate random) {}

  /** The comparison of two directions, where both are there. */
  public Optional<PairedComparison> compared(Along first, Along second) {
    return comparisons.stream()
        .filter(comparison -> comparison.first() == first && comparison.second() == second)
        .map(Comparison::paired)
        .findFirst();
  }
}
