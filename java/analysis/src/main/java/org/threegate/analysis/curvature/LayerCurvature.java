package org.threegate.analysis.curvature;

import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.threegate.analysis.statistics.ClusteredMean;
import org.threegate.analysis.statistics.Effect;
import org.threegate.analysis.statistics.NullEstimate;
import org.threegate.analysis.statistics.PairedComparison;

/**
 * The curvature of one layer along its update and along other directions.
 *
 * @param name name of the layer
 * @param kind kind of the layer's matrix, such as {@code q_proj}
 * @param tokens number of captured tokens
 * @param rank number of leading directions that count as principal
 * @param squaredNorm squared Frobenius norm of the update
 * @param directions curvature along single directions
 * @param comparisons paired comparisons over tokens
 * @param sequences derivatives of the log-likelihoods of whole sequences along the update
 * @param spectrum eigenvalues and eigenvectors of the layer's Fisher information
 */
public record LayerCurvature(
    String name,
    String kind,
    int tokens,
    int rank,
    double squaredNorm,
    Directions directions,
    List<Comparison> comparisons,
    List<Sequence> sequences,
    Spectrum spectrum) {
  /**
   * Curvature along directions.
   *
   * @param along curvature vᵀFv of unit directions, averaged over draws for random ones. Parts
   *     below a millionth of the update, such as its part in an empty mask, are left out
   * @param shares squared norms of the parts of the update, relative to that of the update
   * @param drawSd standard deviation of the curvature over single draws
   * @param draws number of draws of each kind of random direction
   */
  public record Directions(
      Map<Along, ClusteredMean> along,
      Map<Along, Double> shares,
      Map<Along, Double> drawSd,
      int draws) {}

  /**
   * Eigenvalues and eigenvectors.
   *
   * @param leastInUpdateSpan the smallest curvature in the span of the update's leading singular
   *     directions
   * @param kfacInputOverlap overlap of the leading eigenvectors of K-FAC's A with the right
   *     singular vectors of the base
   * @param kfacGradientOverlap overlap of the leading eigenvectors of B with the left singular
   *     vectors of the base
   * @param eigenvalueDensity density of the eigenvalues of the layer's Fisher information, if
   *     requested
   */
  public record Spectrum(
      double leastInUpdateSpan,
      Optional<Overlap> kfacInputOverlap,
      Optional<Overlap> kfacGradientOverlap,
      Optional<Density> eigenvalueDensity) {}

  /**
   * The sum of the slopes of a sequence, and its number of tokens.
   *
   * @param id identifier of the sequence
   * @param slope derivative of the sequence's log-likelihood along the update
   * @param tokens number of tokens of the sequence
   */
  public record Sequence(long id, double slope, int tokens) {
    Sequence plus(Sequence other) {
      return new Sequence(id, slope + other.slope, tokens + other.tokens);
    }

    /**
     * Adds the slope of the same sequence along the update of another layer.
     *
     * @param other slope of the same sequence in another layer
     * @return the sequence with the sum of both slopes
     */
    public Sequence and(Sequence other) {
      return new Sequence(id, slope + other.slope, tokens);
    }
  }

  /**
   * {@return ½ ΔᵀFΔ of whole sequences, in nats per token} To second order this is the KL
   * divergence that the update of this layer causes alone. It is an upper bound of its contribution
   * when the other layers can adapt (δ_W, arXiv 2511.08567, appendix F.3).
   */
  public ClusteredMean klAlone() {
    return klAlone(sequences);
  }

  /**
   * {@return ½ ΔᵀFΔ in nats per token, given the slopes of whole sequences}
   *
   * @param sequences slopes of whole sequences along an update
   */
  public static ClusteredMean klAlone(List<Sequence> sequences) {
    // Spread half of the squared slope over the tokens of the sequence and average over tokens.
    double tokens = sequences.stream().mapToInt(Sequence::tokens).average().orElse(Double.NaN);
    double[] halves =
        sequences.stream()
            .mapToDouble(sequence -> sequence.slope() * sequence.slope() / 2 / tokens)
            .toArray();
    long[] each = sequences.stream().mapToLong(Sequence::id).toArray();
    return ClusteredMean.of(halves, each);
  }

  /**
   * The comparison first − second.
   *
   * @param first direction whose curvature is reduced by that of the second
   * @param second direction that the first is compared with
   * @param paired difference of both, paired by tokens
   * @param effect ratio of both. Its error includes the spread of random directions, if the second
   *     direction is random
   */
  public record Comparison(Along first, Along second, PairedComparison paired, Effect effect) {}

  /**
   * The density of eigenvalues on a logarithmic scale, smoothed by a kernel with a width of a tenth
   * of a decade.
   *
   * @param decades logarithms to base 10 of eigenvalues
   * @param shares share of all eigenvalues per decade, at each point
   * @param se standard errors of the shares
   * @param largest largest eigenvalue found
   * @param trace trace of the matrix, from the same probes
   */
  public record Density(
      double[] decades, double[] shares, double[] se, double largest, Estimate trace) {
    /** Copies the arrays. */
    public Density {
      decades = decades.clone();
      shares = shares.clone();
      se = se.clone();
    }

    /** {@return a copy of the logarithms to base 10 of eigenvalues} */
    @Override
    public double[] decades() {
      return decades.clone();
    }

    /** {@return a copy of the shares of eigenvalues per decade} */
    @Override
    public double[] shares() {
      return shares.clone();
    }

    /** {@return a copy of the standard errors of the shares} */
    @Override
    public double[] se() {
      return se.clone();
    }
  }

  /**
   * Mean squared cosine of the principal angles of two subspaces.
   *
   * @param directions dimension of each subspace
   * @param observed observed value
   * @param random distribution for random subspaces
   */
  public record Overlap(int directions, double observed, NullEstimate random) {}

  /**
   * {@return the comparison of two directions; empty if one of them was not measured}
   *
   * @param first first direction of the comparison
   * @param second second direction of the comparison
   */
  public Optional<Comparison> compared(Along first, Along second) {
    return comparisons.stream()
        .filter(comparison -> comparison.first() == first && comparison.second() == second)
        .findFirst();
  }
}
