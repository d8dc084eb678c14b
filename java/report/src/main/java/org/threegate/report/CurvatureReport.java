package org.threegate.report;

import java.util.List;
import java.util.Optional;
import org.threegate.analysis.curvature.CurvatureStudy;

/**
 * Holds the curvature along an update, ready to be rendered.
 *
 * @param command the options after defaults, enough to repeat the run
 * @param capture path of the capture
 * @param base path of the base
 * @param tuned path of the tuned checkpoint
 * @param fisher kind of Fisher information
 * @param unit samples whose slopes are squared: {@code token} or {@code sequence}
 * @param klPerToken KL divergence of the tuned policy from the base in nats per token, if it was
 *     measured
 * @param seconds wall-clock seconds
 */
public record CurvatureReport(
    String version,
    List<String> command,
    String capture,
    String base,
    String tuned,
    String fisher,
    String unit,
    Optional<Double> klPerToken,
    CurvatureStudy study,
    double seconds) {}
