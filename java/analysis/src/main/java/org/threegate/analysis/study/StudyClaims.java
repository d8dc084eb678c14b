package org.threegate.analysis.study;

import java.util.ArrayList;
import java.util.List;
import org.threegate.analysis.statistics.BenjaminiHochberg;
import org.threegate.analysis.statistics.VerdictRule;

/**
 * Tests the claims of arXiv 2511.08567 on the runs of a study. Contrasts between ways of training
 * have runs as replicates, one per seed. Besides the usual control there are matched ones: the same
 * size of the update, and the same data with a supervised loss. The matched ones decide, by {@link
 * VerdictRule}, and the false discovery rate is 5 % over these claims. Claims about a single update
 * are compared with null models, and all seeds must agree.
 *
 * <pre>{@code
 * for (StudyClaim claim : StudyClaims.judge(result)) {
 *   System.out.println(claim.verdict().label() + ": " + claim.statement());
 * }
 * }</pre>
 */
public final class StudyClaims {
  private static final double FALSE_DISCOVERY_RATE = 0.05;

  private StudyClaims() {}

  /**
   * {@return all claims that can be tested on the runs, in the order of the paper}
   *
   * @param result measurements of the study
   */
  public static List<StudyClaim> judge(StudyResult result) {
    StudyRuns runs = new StudyRuns(result);
    LearningClaims learning = new LearningClaims(runs);
    SizeClaims size = new SizeClaims(runs);
    GeometryClaims geometry = new GeometryClaims(runs);
    AgreementClaims agreement = new AgreementClaims(runs);
    InvarianceClaims invariance = new InvarianceClaims(runs);
    DivergenceClaims divergence = new DivergenceClaims(runs);
    List<Draft> claims = new ArrayList<>();
    claims.add(learning.learning());
    claims.add(size.sparsity());
    claims.add(size.hiding());
    claims.add(geometry.nss());
    claims.add(geometry.rotation());
    claims.addAll(geometry.ofOneUpdate());
    claims.addAll(agreement.seeds());
    agreement.axes().ifPresent(claims::add);
    claims.addAll(invariance.agreement());
    claims.add(divergence.divergence());
    claims.addAll(divergence.curvature());
    claims.addAll(learning.masks());
    learning.adapters().ifPresent(claims::add);
    List<StudyClaim> judged = new ArrayList<>(judged(claims));
    judged.addAll(invariance.repetition(judged, StudyClaims::judged));
    return List.copyOf(judged);
  }

  private static List<StudyClaim> judged(List<Draft> claims) {
    double[] pValues =
        claims.stream()
            .filter(draft -> draft.rule().isPresent())
            .mapToDouble(Draft::pValue)
            .toArray();
    double threshold = BenjaminiHochberg.threshold(pValues, FALSE_DISCOVERY_RATE);
    return claims.stream().map(draft -> draft.judged(threshold)).toList();
  }
}
