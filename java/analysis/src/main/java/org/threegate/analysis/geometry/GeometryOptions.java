package org.threegate.analysis.geometry;

import java.util.List;
import java.util.stream.Stream;
import org.threegate.analysis.nullmodel.NullModel;

/**
 * What is measured of the geometry of an update, and against what.
 *
 * @param ranks numbers k of leading directions; larger ones than a matrix has are cut
 * @param rankFractions the same as shares of the shorter side
 * @param alphas shares of entries in the masks
 * @param nulls null models to draw from
 * @param draws of each null model, at least 2; 0: by size, 20 of small matrices and 10 of large
 *     ones, whose measures vary less, but 4 where each takes a decomposition
 * @param tolerance of the decompositions, see {@link org.threegate.kernel.TruncatedSvd.Request}
 * @param seed of the draws
 */
public record GeometryOptions(
    List<Integer> ranks,
    List<Double> rankFractions,
    List<Double> alphas,
    List<NullModel> nulls,
    int draws,
    double tolerance,
    long seed) {
  /** A tenth of the directions, half of the entries, all null models. */
  public static final GeometryOptions DEFAULT =
      new GeometryOptions(
          List.of(), List.of(0.1), List.of(0.5), List.of(NullModel.values()), 0, 1e-6, 0);

  /** Checks ranges. */
  public GeometryOptions {
    ranks = List.copyOf(ranks);
    rankFractions = List.copyOf(rankFractions);
    alphas = List.copyOf(alphas);
    nulls = List.copyOf(nulls);
    require(ranks.stream().allMatch(rank -> rank >= 1), "a rank is at least 1");
    require(
        rankFractions.stream().allMatch(share -> share > 0 && share <= 1),
        "a rank fraction is above 0 and at most 1");
    require(!ranks.isEmpty() || !rankFractions.isEmpty(), "a rank is needed");
    require(
        !alphas.isEmpty() && alphas.stream().allMatch(alpha -> alpha > 0 && alpha < 1),
        "alpha lies between 0 and 1");
    require(draws == 0 || draws >= 2, "a standard deviation needs at least 2 draws");
    require(tolerance > 0 && tolerance < 1, "the tolerance lies between 0 and 1");
  }

  private static void require(boolean holds, String text) {
    if (!holds) {
      throw new IllegalArgumentException(text);
    }
  }

  /** The ranks for a matrix whose shorter side this is, in order, each once. */
  public List<Integer> ranksOf(long shorter) {
    return Stream.concat(
            ranks.stream().map(rank -> Math.min((long) rank, shorter)),
            rankFractions.stream()
                .map(share -> Math.max(1L, (long) Math.floor(share * shorter + 0.5))))
        .map(Math::toIntExact)
        .distinct()
        .toList();
  }

  /** A seed of its own for each tensor: FNV-1a of the name, then the finaliser of SplitMix64. */
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

  /** round(alpha · entries), half up. */
  public static long countOf(double alpha, long entries) {
    return (long) Math.floor(alpha * entries + 0.5);
  }
}
