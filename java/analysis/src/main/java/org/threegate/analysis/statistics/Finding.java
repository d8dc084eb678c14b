package org.threegate.analysis.statistics;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;

/**
 * A claim with its verdict. A matrix counts for or against the claim under two conditions. Its
 * measure lies at least three standard deviations from the strictest applicable null; for sampled
 * nulls the p-value must be as small. It is also significant among all matrices and all claims at a
 * false discovery rate of 5 %.
 *
 * <p>The claim is supported (contradicted) if more than half of the matrices count for (against)
 * it. It is explained by the nulls if more than half would count for it without the nulls, and at
 * most a tenth do with them. Otherwise it is undetermined. The rule is defined by this project; the
 * claims follow arXiv 2511.08567.
 *
 * @param id identifier, as in reports
 * @param verdict the verdict
 * @param statement the claim as a sentence
 * @param seen summary of the measured values and their null models, as text
 * @param evidence the numbers behind the verdict
 */
public record Finding(
    String id, Verdict verdict, String statement, String seen, Evidence evidence) {
  /** Two-sided p-value of three standard deviations. */
  private static final double THREE_SIGMA = 0.0026997960632601866;

  private static final double FALSE_DISCOVERY_RATE = 0.05;
  private static final double LEAST_Z = 3;

  /**
   * The numbers behind a verdict.
   *
   * @param votes votes of all tested matrices
   * @param naivelySupporting number of matrices that would count for it without the null models
   * @param means means over the tested matrices
   * @param strictestNull how often each null was the strictest, sorted by name
   * @param byKind votes by kind of matrix, sorted by name
   * @param excluded description of excluded matrices with the reason; empty text if none
   */
  public record Evidence(
      Votes votes,
      int naivelySupporting,
      Means means,
      Map<String, Integer> strictestNull,
      Map<String, Votes> byKind,
      String excluded) {}

  /**
   * Numbers of matrices.
   *
   * @param matrices number of tested matrices
   * @param supporting number of matrices that count for the claim
   * @param contrary number of matrices that count against it
   */
  public record Votes(int matrices, int supporting, int contrary) {
    private static final Votes NONE = new Votes(0, 0, 0);

    private Votes plus(boolean supports, boolean contradicts) {
      return new Votes(
          matrices + 1, supporting + (supports ? 1 : 0), contrary + (contradicts ? 1 : 0));
    }
  }

  /**
   * Means over matrices.
   *
   * @param observed weighted mean of the measure
   * @param nullMean weighted mean of the strictest null of each matrix
   * @param naiveMean weighted mean of the naive value; empty if there is none
   * @param medianZ median z-score over matrices
   * @param explainedShare share of the deviation from the naive value that the nulls reproduce;
   *     empty if there is no naive value
   */
  public record Means(
      double observed,
      double nullMean,
      Optional<Double> naiveMean,
      double medianZ,
      Optional<Double> explainedShare) {}

  /**
   * Judges claims together, with one correction for multiple tests.
   *
   * @param all claims with their tests; undefined tests are left out by name
   * @return one finding per claim, in the same order
   */
  public static List<Finding> of(List<Claim> all) {
    List<Claim> claims = all.stream().map(Claim::defined).toList();
    double[] pValues =
        claims.stream()
            .flatMap(claim -> claim.tests().stream())
            .mapToDouble(test -> test.strictest().pValue())
            .toArray();
    double threshold =
        Math.min(THREE_SIGMA, BenjaminiHochberg.threshold(pValues, FALSE_DISCOVERY_RATE));
    List<Finding> findings = new ArrayList<>();
    for (Claim claim : claims) {
      findings.add(judge(claim, threshold));
    }
    return List.copyOf(findings);
  }

  private static boolean isSignificant(double z, double pValue, double threshold) {
    return Math.abs(z) >= LEAST_Z && pValue <= threshold;
  }

  private static Finding judge(Claim claim, double threshold) {
    Votes votes = Votes.NONE;
    int naively = 0;
    double weight = 0;
    double observed = 0;
    double expected = 0;
    double naive = 0;
    boolean hasNaive = !claim.tests().isEmpty();
    List<Double> scores = new ArrayList<>();
    Map<String, Integer> strictest = new TreeMap<>();
    Map<String, Votes> kinds = new TreeMap<>();
    for (Claim.Test test : claim.tests()) {
      Claim.Score score = test.strictest();
      boolean significant = isSignificant(score.z(), score.pValue(), threshold);
      boolean supports = significant && score.z() * claim.sign() > 0;
      boolean contradicts = significant && !supports;
      votes = votes.plus(supports, contradicts);
      naively += test.naive().map(value -> speaks(value, test, claim)).orElse(true) ? 1 : 0;
      scores.add(score.z());
      strictest.merge(score.estimate().model(), 1, Integer::sum);
      kinds.put(
          test.kind(), kinds.getOrDefault(test.kind(), Votes.NONE).plus(supports, contradicts));
      weight += test.weight();
      observed += test.weight() * test.observed();
      expected += test.weight() * score.estimate().mean();
      hasNaive &= test.naive().isPresent();
      naive += test.weight() * test.naive().map(NullEstimate::mean).orElse(0.0);
    }
    Optional<Double> naiveMean = hasNaive ? Optional.of(naive / weight) : Optional.empty();
    double deviation = observed - naive;
    Optional<Double> explained =
        hasNaive && deviation != 0 ? Optional.of((expected - naive) / deviation) : Optional.empty();
    Evidence evidence =
        new Evidence(
            votes,
            naively,
            new Means(observed / weight, expected / weight, naiveMean, median(scores), explained),
            Collections.unmodifiableMap(strictest),
            Collections.unmodifiableMap(kinds),
            claim.excluded());
    Verdict verdict = verdict(votes, naively);
    return new Finding(
        claim.id(), verdict, claim.statement(), seen(claim, verdict, evidence), evidence);
  }

  private static boolean speaks(NullEstimate naive, Claim.Test test, Claim claim) {
    double z = naive.z(test.observed());
    return z * claim.sign() >= LEAST_Z;
  }

  private static Verdict verdict(Votes votes, int naively) {
    int matrices = votes.matrices();
    if (2 * votes.supporting() > matrices) {
      return Verdict.SUPPORTED;
    }
    if (2 * votes.contrary() > matrices) {
      return Verdict.CONTRADICTED;
    }
    if (2 * naively > matrices && 10 * (votes.supporting() + votes.contrary()) <= matrices) {
      return Verdict.EXPLAINED_BY_NULL;
    }
    return Verdict.UNDETERMINED;
  }

  private static double median(List<Double> values) {
    List<Double> sorted = values.stream().sorted().toList();
    int count = sorted.size();
    return count == 0 ? Double.NaN : (sorted.get((count - 1) / 2) + sorted.get(count / 2)) / 2;
  }

  /** {@return the claim and a summary of its measured values, as one line} */
  public String text() {
    return statement + ": " + seen;
  }

  private static String seen(Claim claim, Verdict verdict, Evidence evidence) {
    Votes votes = evidence.votes();
    Means means = evidence.means();
    if (votes.matrices() == 0) {
      String why = claim.excluded().isEmpty() ? "no matrix to test" : claim.excluded();
      return why + ".";
    }
    StringBuilder text = new StringBuilder();
    text.append(
        String.format(
            Locale.ROOT,
            "%s is %.4g, null models give %.4g",
            claim.measure(),
            means.observed(),
            means.nullMean()));
    means
        .naiveMean()
        .ifPresent(value -> text.append(String.format(Locale.ROOT, ", chance %.4g", value)));
    text.append(
        String.format(
            Locale.ROOT,
            "; beyond the strictest null, %d of %d matrices speak for it and %d against",
            votes.supporting(),
            votes.matrices(),
            votes.contrary()));
    if (verdict == Verdict.EXPLAINED_BY_NULL && means.explainedShare().isPresent()) {
      text.append(
          String.format(
              Locale.ROOT,
              "; %.0f %% of the deviation from chance is explained",
              100 * means.explainedShare().get()));
    }
    if (!claim.excluded().isEmpty()) {
      text.append("; ").append(claim.excluded());
    }
    return text.append('.').toString();
  }
}
