package org.threegate.analysis.study;

import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.stream.Collectors;
import org.threegate.analysis.statistics.Effect;
import org.threegate.analysis.statistics.SmallestEffect;
import org.threegate.analysis.statistics.Verdict;
import org.threegate.analysis.statistics.VerdictRule;

/**
 * A claim before the correction for multiple tests.
 *
 * @param claim the claim; its verdict is final if there is no rule
 * @param rule the rule that judges its contrasts; empty if the verdict is final
 * @param equality whether the claim is that there is no difference
 */
record Draft(StudyClaim claim, Optional<VerdictRule> rule, boolean equality) {
  private static final double LEVEL = 0.05;

  static Draft judged(StudyClaim claim) {
    return new Draft(claim, Optional.empty(), false);
  }

  /**
   * Returns a claim that contrasts decide.
   *
   * @param sign +1 if the claim is that the measure lies above its references, −1 if below
   */
  static Draft of(StudyClaim claim, int sign, RunMeasure measure) {
    return new Draft(claim, Optional.of(new VerdictRule(sign, measure.bound())), false);
  }

  /**
   * Returns a claim that there is no difference. A difference below the smallest of interest, in
   * both directions, supports it.
   */
  static Draft ofEquality(StudyClaim claim, RunMeasure measure) {
    return new Draft(claim, Optional.of(new VerdictRule(1, measure.bound())), true);
  }

  private List<Contrast> matched() {
    return claim.contrasts().stream().filter(Contrast::matched).toList();
  }

  /** Returns the p-value of the hypothesis that one of the matched references explains the runs. */
  double pValue() {
    return matched().stream().mapToDouble(Contrast::pValue).max().orElse(1);
  }

  /**
   * Returns the claim with its verdict.
   *
   * @param threshold largest significant p-value
   */
  StudyClaim judged(double threshold) {
    return rule.map(own -> judged(own, threshold)).orElse(claim);
  }

  private StudyClaim judged(VerdictRule own, double threshold) {
    List<Effect> effects =
        matched().stream().filter(Contrast::isDefined).map(Contrast::effect).toList();
    List<Effect> usual =
        claim.contrasts().stream()
            .filter(contrast -> !contrast.matched())
            .filter(Contrast::isDefined)
            .map(Contrast::effect)
            .toList();
    Verdict difference = own.verdict(effects, usual, pValue() <= threshold);
    Verdict verdict = equality ? ofEquality(difference) : difference;
    return claim.with(verdict, claim.seen() + " " + text(own, verdict));
  }

  private static Verdict ofEquality(Verdict difference) {
    return switch (difference) {
      case SUPPORTED, CONTRADICTED -> Verdict.CONTRADICTED;
      case CONSISTENT_WITH_CHANCE -> Verdict.SUPPORTED;
      case EXPLAINED_BY_NULL, UNDETERMINED -> Verdict.UNDETERMINED;
    };
  }

  private String text(VerdictRule own, Verdict verdict) {
    SmallestEffect.Scale scale = claim.plot().scale();
    String text =
        claim.contrasts().stream()
            .map(contrast -> contrast.text(scale))
            .collect(Collectors.joining("; "));
    if (verdict == Verdict.UNDETERMINED) {
      int seeds =
          matched().stream()
              .filter(Contrast::isDefined)
              .mapToInt(contrast -> contrast.seedsToDecide(own.bound()))
              .max()
              .orElse(0);
      if (seeds > 0) {
        text += "; about " + seeds + " seeds would decide, if the effects are as seen";
      } else if (matched().stream().allMatch(Contrast::isDefined) && pValue() <= LEVEL) {
        text += "; not significant after the correction for all claims";
      }
    }
    return text.substring(0, 1).toUpperCase(Locale.ROOT) + text.substring(1) + ".";
  }
}
