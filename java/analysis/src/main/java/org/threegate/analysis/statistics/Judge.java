package org.threegate.analysis.statistics;

import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;

/**
 * Judges claims.
 *
 * <p>The effect beyond each null model is pooled over matrices, see {@link PooledEffect}. A claim
 * is supported (contradicted) if the effect beyond <em>every</em> null is significant and its 95 %
 * interval lies beyond the smallest effect of interest, in (against) the claimed direction. A claim
 * that lacks a null model gets neither verdict. The false discovery rate is 5 % over all claims and
 * settings. An effect beyond the naive reference, or beyond one of the nulls, that another null
 * accounts for is explained by the null. An effect within the smallest effect of interest on both
 * sides is consistent with chance. Otherwise the claim is undetermined. The rule is defined by this
 * project; the claims follow arXiv 2511.08567.
 *
 * <pre>{@code
 * Claim.Measure measure = new Claim.Measure("share", "", SmallestEffect.Scale.RATIO);
 * Claim claim = new Claim("small", "The update is small", measure, -1, List.of(), "not measured");
 * Finding finding = Judge.findings(List.of(claim)).get(0);
 * System.out.println(finding.verdict().label() + ": " + finding.text());
 * }</pre>
 */
public final class Judge {
  private static final double FALSE_DISCOVERY_RATE = 0.05;

  private Judge() {}

  /**
   * Judges claims together, with the default smallest effects and one correction for multiple
   * tests.
   *
   * @param all claims with their tests; undefined tests are left out by name
   * @return one finding per claim, in the same order
   */
  public static List<Finding> findings(List<Claim> all) {
    return findings(all, SmallestEffect.DEFAULT);
  }

  /**
   * Judges claims together, with one correction for multiple tests.
   *
   * @param all claims with their tests; claims with the same identifier are settings of one finding
   * @param smallest smallest effects of interest
   * @return one finding per identifier, in the order of the claims
   */
  public static List<Finding> findings(List<Claim> all, SmallestEffect smallest) {
    List<Judged> judged = all.stream().map(claim -> new Judged(claim.defined(), smallest)).toList();
    double ofClaims = threshold(judged.stream().mapToDouble(Judged::pValue).toArray());
    double ofMatrices =
        threshold(
            judged.stream()
                .filter(Judged::isComplete)
                .flatMap(own -> own.claim.tests().stream())
                .mapToDouble(test -> test.strictest().pValue())
                .toArray());
    Map<String, List<Judged>> byId = new LinkedHashMap<>();
    judged.forEach(own -> byId.computeIfAbsent(own.claim.id(), id -> new ArrayList<>()).add(own));
    return byId.values().stream().map(own -> finding(own, ofClaims, ofMatrices)).toList();
  }

  private static double threshold(double[] pValues) {
    return BenjaminiHochberg.threshold(pValues, FALSE_DISCOVERY_RATE);
  }

  private static Finding finding(List<Judged> judged, double ofClaims, double ofMatrices) {
    Judged first = judged.get(0);
    List<Finding.Setting> settings =
        judged.stream()
            .map(
                own ->
                    new Finding.Setting(
                        own.claim.measure().setting(),
                        own.verdict(ofClaims),
                        own.closest().map(beyond -> beyond.pooled().effect())))
            .toList();
    Verdict verdict = settings.get(0).verdict();
    Finding.Evidence evidence = first.evidence(ofMatrices);
    String seen = FindingText.seen(first.claim, verdict, evidence, settings);
    return new Finding(
        first.claim.id(), verdict, first.claim.statement(), seen, evidence, settings);
  }

  /** A claim with its pooled effects. */
  private static final class Judged {
    private final Claim claim;
    private final double ratio;
    private final double bound;
    private final Optional<PooledEffect> naive;
    private final List<Finding.Beyond> nulls;

    Judged(Claim claim, SmallestEffect smallest) {
      this.claim = claim;
      this.ratio = smallest.on(claim.measure().scale());
      this.bound = Math.log(ratio);
      this.naive = naive(claim);
      this.nulls = nulls(claim);
    }

    private static Optional<PooledEffect> naive(Claim claim) {
      List<Claim.Test> tests =
          claim.tests().stream().filter(test -> test.naive().isPresent()).toList();
      return tests.isEmpty()
          ? Optional.empty()
          : Optional.of(
              pooled(tests, tests.stream().map(test -> test.naive().get().effect()).toList()));
    }

    private static PooledEffect pooled(List<Claim.Test> tests, List<Effect> effects) {
      return PooledEffect.of(effects, tests.stream().map(test -> test.place().layer()).toList());
    }

    private static Optional<Against> against(Claim.Test test, String model) {
      return test.nulls().stream()
          .filter(against -> against.estimate().model().equals(model))
          .findFirst();
    }

    /**
     * Pools the effect beyond each null that is defined for at least half of the matrices. The
     * closest null, with the smallest effect, comes first.
     */
    private static List<Finding.Beyond> nulls(Claim claim) {
      List<String> models =
          claim.tests().stream()
              .flatMap(test -> test.nulls().stream())
              .map(against -> against.estimate().model())
              .distinct()
              .toList();
      List<Finding.Beyond> all = new ArrayList<>();
      for (String model : models) {
        List<Claim.Test> tests =
            claim.tests().stream().filter(test -> against(test, model).isPresent()).toList();
        if (2 * tests.size() >= claim.tests().size()) {
          all.add(beyond(model, tests));
        }
      }
      all.sort(
          (one, other) ->
              Double.compare(
                  Math.abs(one.pooled().effect().log()), Math.abs(other.pooled().effect().log())));
      return List.copyOf(all);
    }

    private static Finding.Beyond beyond(String model, List<Claim.Test> tests) {
      List<Against> all = tests.stream().map(test -> against(test, model).orElseThrow()).toList();
      return new Finding.Beyond(
          model,
          all.stream().mapToInt(own -> own.estimate().draws()).min().orElseThrow(),
          median(all.stream().map(own -> own.effect().t()).toList()),
          pooled(tests, all.stream().map(Against::effect).toList()));
    }

    private static double median(List<Double> values) {
      List<Double> sorted = values.stream().sorted().toList();
      int count = sorted.size();
      return (sorted.get((count - 1) / 2) + sorted.get(count / 2)) / 2;
    }

    Optional<Finding.Beyond> closest() {
      return nulls.stream().findFirst();
    }

    /** Returns whether no null model that a verdict needs is missing. */
    boolean isComplete() {
      return claim.missing().isEmpty();
    }

    /**
     * Returns the p-value of the hypothesis that one of the nulls explains the observations. A null
     * that was not drawn may explain any.
     */
    double pValue() {
      return isComplete()
          ? nulls.stream().mapToDouble(beyond -> beyond.pooled().pValue()).max().orElse(1)
          : 1;
    }

    Verdict verdict(double threshold) {
      return new VerdictRule(claim.sign(), bound)
          .verdict(
              nulls.stream().map(beyond -> beyond.pooled().effect()).toList(),
              naive.stream().map(PooledEffect::effect).toList(),
              isComplete() && pValue() <= threshold);
    }

    Finding.Evidence evidence(double threshold) {
      Finding.Votes votes = Finding.Votes.NONE;
      double weight = 0;
      double observed = 0;
      double expected = 0;
      double chance = 0;
      boolean hasNaive = !claim.tests().isEmpty();
      Map<String, Finding.Votes> kinds = new TreeMap<>();
      for (Claim.Test test : claim.tests()) {
        Claim.Score score = test.strictest();
        boolean significant = isComplete() && score.pValue() <= threshold;
        int direction = significant ? (int) Math.signum(score.t()) * claim.sign() : 0;
        votes = votes.plus(direction);
        kinds.put(
            test.place().kind(),
            kinds.getOrDefault(test.place().kind(), Finding.Votes.NONE).plus(direction));
        weight += test.weight();
        observed += test.weight() * test.observed();
        Against closest =
            closest().flatMap(beyond -> against(test, beyond.model())).orElse(score.against());
        expected += test.weight() * closest.estimate().mean();
        hasNaive &= test.naive().isPresent();
        chance += test.weight() * test.naive().map(own -> own.estimate().mean()).orElse(0.0);
      }
      return new Finding.Evidence(
          votes,
          new Finding.Means(
              observed / weight,
              expected / weight,
              hasNaive ? Optional.of(chance / weight) : Optional.empty()),
          naive,
          nulls,
          ratio,
          byKind(kinds),
          claim.excluded());
    }

    private Map<String, Finding.Kind> byKind(Map<String, Finding.Votes> votes) {
      Map<String, Finding.Kind> kinds = new TreeMap<>();
      closest()
          .ifPresent(
              beyond ->
                  votes.forEach(
                      (kind, own) -> {
                        List<Claim.Test> tests =
                            claim.tests().stream()
                                .filter(test -> test.place().kind().equals(kind))
                                .filter(test -> against(test, beyond.model()).isPresent())
                                .toList();
                        if (!tests.isEmpty()) {
                          kinds.put(
                              kind, new Finding.Kind(own, beyond(beyond.model(), tests).pooled()));
                        }
                      }));
      return Collections.unmodifiableMap(kinds);
    }
  }
}
