package org.threegate.analysis.geometry;

import java.util.List;
import java.util.stream.Stream;
import org.threegate.analysis.nullmodel.NullModel;

/**
 * Options for measuring the geometry of an update and its null models.
 *
 * @param ranks numbers k of leading directions; clipped to the shorter side of a matrix
 * @param rankFractions numbers of leading directions as shares of the shorter side
 * @param alphas shares of entries in the masks
 * @param nulls null models to sample
 * @param draws number of draws of each null model, at least 2. With 0 there are 20, but 4 to 20 if
 *     each draw needs a decomposition, fewer for larger matrices
 * @param tolerance relative tolerance of the decompositions, see {@link
 *     org.threegate.kernel.TruncatedSvd.Request}
 * @param seed seed of the draws
 * @param sharesDraws whether updates of one tensor share their random numbers. Differences between
 *     runs then contain less noise of the draws, and their null models are not independent
 */
public record GeometryOptions(
    List<Integer> ranks,
    List<Double> rankFractions,
    List<Double> alphas,
    List<NullModel> nulls,
    int draws,
    double tolerance,
    long seed,
    boolean sharesDraws) {
  /**
   * Default options: a tenth of the directions; half, a tenth and a twentieth of the entries; all
   * null models.
   */
  public static final GeometryOptions DEFAULT =
      new GeometryOptions(
          List.of(),
          List.of(0.1),
          List.of(0.5, 0.1, 0.05),
          List.of(NullModel.values()),
          0,
          1e-6,
          0);

  /**
   * Creates options whose updates share no random numbers.
   *
   * @param ranks numbers k of leading directions
   * @param rankFractions numbers of leading directions as shares of the shorter side
   * @param alphas shares of entries in the masks
   * @param nulls null models to sample
   * @param draws number of draws of each null model, at least 2; 0: chosen by the size
   * @param tolerance relative tolerance of the decompositions
   * @param seed seed of the draws
   */
  public GeometryOptions(
      List<Integer> ranks,
      List<Double> rankFractions,
      List<Double> alphas,
      List<NullModel> nulls,
      int draws,
      double tolerance,
      long seed) {
    this(ranks, rankFractions, alphas, nulls, draws, tolerance, seed, false);
  }

  /** Validates the options. */
  public GeometryOptions {
    ranks = List.copyOf(ranks);
    rankFractions = List.copyOf(rankFractions);
    alphas = List.copyOf(alphas);
    nulls = List.copyOf(nulls);
    require(ranks.stream().allMatch(rank -> rank >= 1), "ranks must be at least 1");
    require(
        rankFractions.stream().allMatch(share -> share > 0 && share <= 1),
        "rank fractions must be above 0 and at most 1");
    require(!ranks.isEmpty() || !rankFractions.isEmpty(), "at least one rank is required");
    require(
        !alphas.isEmpty() && alphas.stream().allMatch(alpha -> alpha > 0 && alpha < 1),
        "alpha must be between 0 and 1");
    require(draws == 0 || draws >= 2, "draws must be 0 or at least 2");
    require(tolerance > 0 && tolerance < 1, "tolerance must be between 0 and 1");
  }

  /**
   * {@return these options with another seed}
   *
   * @param other seed of the draws
   */
  public GeometryOptions withSeed(long other) {
    return new GeometryOptions(
        ranks, rankFractions, alphas, nulls, draws, tolerance, other, sharesDraws);
  }

  /** {@return these options with random numbers that all updates of one tensor share} */
  public GeometryOptions withSharedDraws() {
    return new GeometryOptions(ranks, rankFractions, alphas, nulls, draws, tolerance, seed, true);
  }

  private static void require(boolean holds, String text) {
    if (!holds) {
      throw new IllegalArgumentException(text);
    }
  }

  /**
   * {@return the distinct ranks for a matrix with this shorter side, in the order of the options}
   *
   * @param shorter length of the shorter side of the matrix
   */
  public List<Integer> ranksOf(long shorter) {
    return Stream.concat(
            ranks.stream().map(rank -> Math.min((long) rank, shorter)),
            rankFractions.stream()
                .map(share -> Math.max(1L, (long) Math.floor(share * shorter + 0.5))))
        .map(Math::toIntExact)
        .distinct()
        .toList();
  }

  /**
   * {@return the seed for a tensor: FNV-1a of the name, then the finalizer of SplitMix64}
   *
   * @param name name of the tensor
   */
  public long seedOf(String name) {
    long hash = 0xcbf29ce484222325L;
    for (int i = 0; i < name.length(); i++) {
      hash = (hash ^ name.charAt(i)) * 0x100000001b3L;
    }
    hash += seed * 0x9e3779b97f4a7c15L;
    hash = (hash ^ hash >>> 30) * 0xbf58476d1ce4e5b9L;
    hash = (hash ^ hash >>> 27) * 0x94d049bb133111ebL;
    return hash ^ hash >>> 31;
  }

  /**
   * {@return round(alpha · entries), rounding half up}
   *
   * @param alpha share of entries, from 0 to 1
   * @param entries number of all entries
   */
  public static long countOf(double alpha, long entries) {
    return (long) Math.floor(alpha * entries + 0.5);
  }
}
