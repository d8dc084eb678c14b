package org.threegate.report;

import java.util.List;
import java.util.Optional;
import org.threegate.analysis.curvature.CurvatureStudy;
import org.threegate.analysis.statistics.Accounting;
import org.threegate.analysis.statistics.Finding;

/**
 * Holds the curvature along an update, ready to be rendered.
 *
 * @param provenance how the report was made
 * @param capture path of the capture
 * @param base path of the base
 * @param tuned path of the tuned checkpoint
 * @param fisher kind of Fisher information
 * @param unit samples whose slopes are squared: {@code token} or {@code sequence}
 * @param klPerToken KL divergence of the tuned policy from the base in nats per token, if it was
 *     measured
 * @param study curvature of each layer
 * @param findings verdicts on the claims
 */
public record CurvatureReport(
    Provenance provenance,
    String capture,
    String base,
    String tuned,
    String fisher,
    String unit,
    Optional<Double> klPerToken,
    CurvatureStudy study,
    List<Finding> findings) {
  /** Copies the list. */
  public CurvatureReport {
    findings = List.copyOf(findings);
  }

  /** {@return how much of the models was measured, with a caveat if one is needed} */
  public ComparisonReport.Coverage coverage() {
    Accounting accounting = study.accounting();
    Accounting.Side side = Account.smallest(List.of(accounting.base(), accounting.tuned()));
    return new ComparisonReport.Coverage(
        side.entries(),
        side.weights(),
        Account.caveat(side, study.quantized().size(), "measured"),
        study.matched(),
        accounting.base(),
        accounting.tuned());
  }
}
