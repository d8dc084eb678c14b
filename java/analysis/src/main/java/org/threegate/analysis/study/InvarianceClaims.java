package org.threegate.analysis.study;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.threegate.analysis.statistics.Agreement;
import org.threegate.analysis.statistics.Finding;
import org.threegate.analysis.statistics.Verdict;

/** Claims that results depend neither on the optimizer, nor on the task, nor on the base. */
final class InvarianceClaims {
  private static final String SOURCE = "section 2.2";

  private final StudyRuns runs;

  InvarianceClaims(StudyRuns runs) {
    this.runs = runs;
  }

  /** Returns the claims about the weights that runs of the same base change. */
  List<Draft> agreement() {
    List<Draft> claims = new ArrayList<>();
    for (StudyResult.Variation variation : runs.result().variations()) {
      for (Finding finding : variation.consensus()) {
        claims.add(agrees(variation, finding));
      }
      if (!variation.agreements().isEmpty()) {
        claims.add(asSeeds(variation));
      }
    }
    return claims;
  }

  private Draft agrees(StudyResult.Variation variation, Finding finding) {
    return Draft.judged(
        new StudyClaim(
            variation.id() + "-agrees",
            SOURCE,
            "RLVR and RLVR with " + variation.title() + " change the same weights",
            finding.verdict(),
            StudyRuns.seen(finding),
            runs.limits("One pair of runs is judged, matrix by matrix."),
            List.of(),
            plot(variation)));
  }

  /**
   * Returns the claim that a variation does not matter: the agreement of two seeds beyond magnitude
   * is the same with it. The claim is supported by equivalence, and contradicted by a difference.
   */
  private Draft asSeeds(StudyResult.Variation variation) {
    List<Map<String, Agreement>> seeds = runs.result().seeds();
    int pairs = Math.min(seeds.size(), variation.agreements().size());
    double[] lost = new double[pairs];
    for (int i = 0; i < pairs; i++) {
      lost[i] = excess(variation.agreements().get(i)) - excess(seeds.get(i));
    }
    return Draft.ofEquality(
        new StudyClaim(
            variation.id() + "-as-seeds",
            SOURCE,
            "RLVR and RLVR with "
                + variation.title()
                + " agree as much as two seeds of RLVR in the weights that they change",
            Verdict.UNDETERMINED,
            StudyRuns.text(
                "Jaccard index of the changed entries: %s; two seeds of RLVR: %s.",
                text(AgreementClaims.sum(variation.agreements().stream())),
                text(AgreementClaims.sum(seeds.stream()))),
            runs.limits(
                StudyRuns.text(
                    "A pair of seeds is a replicate, and there %s %d. Odds ratios are taken beyond the"
                        + " magnitude-matched null, because the shares of changed weights differ.",
                    pairs == 1 ? "is" : "are", pairs)),
            List.of(Contrast.paired("two seeds of RLVR", true, lost)),
            plot(variation)),
        AgreementClaims.JACCARD);
  }

  private static String text(Agreement agreement) {
    return StudyRuns.text(
        "%.3f (magnitude alone: %.3f)", agreement.jaccard(), agreement.magnitudeJaccard());
  }

  private static double excess(Map<String, Agreement> pair) {
    return AgreementClaims.sum(Stream.of(pair)).againstMagnitude().effect().log();
  }

  private StudyClaim.Plot plot(StudyResult.Variation own) {
    List<StudyClaim.Point> points = new ArrayList<>();
    points.add(
        AgreementClaims.ofAgreement(
            "two seeds of RLVR", AgreementClaims.sum(runs.result().seeds().stream())));
    for (StudyResult.Variation variation : runs.result().variations()) {
      if (!variation.agreements().isEmpty()) {
        points.add(
            AgreementClaims.ofAgreement(
                "RLVR and RLVR with " + variation.title(),
                AgreementClaims.sum(variation.agreements().stream())));
      }
    }
    return AgreementClaims.plot(points);
  }

  /**
   * Returns one claim for each variation: that the verdicts about single updates, and about
   * supervision where there are such runs, are those of the main part.
   *
   * @param main the claims of the main part with their verdicts
   * @param judge judges drafts
   */
  List<StudyClaim> repetition(List<StudyClaim> main, Judge judge) {
    List<StudyClaim> claims = new ArrayList<>();
    for (StudyResult.Variation variation : runs.result().variations()) {
      StudyRuns own = new StudyRuns(runs.result().of(variation));
      if (own.has(StudyRuns.RLVR)) {
        claims.add(repeated(variation, judge.of(drafts(own)), main));
      }
    }
    return claims;
  }

  /** Judges drafts that belong together. */
  interface Judge {
    List<StudyClaim> of(List<Draft> drafts);
  }

  private static List<Draft> drafts(StudyRuns own) {
    GeometryClaims geometry = new GeometryClaims(own);
    List<Draft> drafts = new ArrayList<>();
    if (!own.matchedControls().isEmpty()) {
      drafts.add(new SizeClaims(own).sparsity());
      drafts.add(geometry.nss());
      drafts.add(geometry.rotation());
      drafts.add(new DivergenceClaims(own).divergence());
    }
    drafts.addAll(geometry.ofOneUpdate());
    return drafts;
  }

  private StudyClaim repeated(
      StudyResult.Variation variation, List<StudyClaim> own, List<StudyClaim> main) {
    Map<String, Verdict> verdicts = new LinkedHashMap<>();
    main.forEach(claim -> verdicts.put(claim.id(), claim.verdict()));
    List<String> same = new ArrayList<>();
    List<String> other = new ArrayList<>();
    List<String> open = new ArrayList<>();
    for (StudyClaim claim : own) {
      Verdict first = verdicts.getOrDefault(claim.id(), Verdict.UNDETERMINED);
      String verdict = claim.id() + " (" + claim.verdict().label();
      if (first == Verdict.UNDETERMINED || claim.verdict() == Verdict.UNDETERMINED) {
        open.add(verdict + "; main part: " + first.label() + ")");
      } else if (isAlike(first, claim.verdict())) {
        same.add(verdict + ")");
      } else {
        other.add(verdict + ", not " + first.label() + ")");
      }
    }
    Verdict verdict =
        !other.isEmpty()
            ? Verdict.CONTRADICTED
            : same.isEmpty() || !open.isEmpty() ? Verdict.UNDETERMINED : Verdict.SUPPORTED;
    int seeds = runs.result().of(variation).arm(StudyRuns.RLVR).size();
    return new StudyClaim(
        variation.id() + "-repeats",
        SOURCE,
        "Verdicts on updates are the same with " + variation.title(),
        verdict,
        Stream.of(
                sentence("The same verdicts", same),
                sentence("Other verdicts", other),
                sentence("Undetermined in one of both", open))
            .flatMap(Optional::stream)
            .collect(Collectors.joining(" ")),
        runs.limits(
            StudyRuns.text(
                "%d %s trained with it. An undetermined verdict says nothing about either.",
                seeds, seeds == 1 ? "seed was" : "seeds were")),
        List.of(),
        new StudyClaim.Plot(
            StudyRuns.ACCURACY.name(), StudyRuns.ACCURACY.scale(), false, accuracies(variation)));
  }

  /** A null model that explains a claim, and an effect of no interest, both speak for no effect. */
  private static boolean isAlike(Verdict one, Verdict other) {
    return one == other || !one.isDecided() && !other.isDecided();
  }

  private static Optional<String> sentence(String begin, List<String> parts) {
    return parts.isEmpty()
        ? Optional.empty()
        : Optional.of(
            String.format(
                Locale.ROOT, "%s (%d): %s.", begin, parts.size(), String.join(", ", parts)));
  }

  private List<StudyClaim.Point> accuracies(StudyResult.Variation variation) {
    StudyResult own = runs.result().of(variation);
    Mean base = own.base().mean();
    List<StudyClaim.Point> points = new ArrayList<>();
    points.add(new StudyClaim.Point("base", base.value(), base.se(), List.of()));
    points.addAll(new StudyRuns(own).plot(StudyRuns.ACCURACY, run -> List.of()).points());
    return points;
  }
}
