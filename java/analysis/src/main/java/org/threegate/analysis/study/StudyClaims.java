package org.threegate.analysis.study;

import java.util.ArrayList;
import java.util.List;

/**
 * Tests the claims of arXiv 2511.08567 on the runs of a study. The paper compares runs at their
 * usual learning rates. This class also compares them at matched update sizes, and the matched
 * comparison decides. Claims about a single update are compared with null models, and both seeds
 * must agree.
 *
 * <pre>{@code
 * for (StudyClaim claim : StudyClaims.judge(result)) {
 *   System.out.println(claim.verdict().label() + ": " + claim.statement());
 * }
 * }</pre>
 */
public final class StudyClaims {
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
    DivergenceClaims divergence = new DivergenceClaims(runs);
    List<StudyClaim> claims = new ArrayList<>();
    claims.add(learning.learning());
    claims.add(size.sparsity());
    claims.add(size.hiding());
    claims.add(geometry.nss());
    claims.add(geometry.rotation());
    claims.addAll(geometry.ofOneUpdate());
    claims.addAll(agreement.seeds());
    agreement.axes().ifPresent(claims::add);
    claims.add(divergence.divergence());
    claims.addAll(divergence.curvature());
    claims.addAll(learning.masks());
    learning.adapters().ifPresent(claims::add);
    return List.copyOf(claims);
  }
}
