package org.threegate.report;

import java.util.List;
import java.util.Optional;
import org.threegate.analysis.curvature.CurvatureStudy;

/**
 * Curvature along an update, ready to be rendered.
 *
 * @param command the options after defaults, enough to repeat the run
 * @param capture path
 * @param base path
 * @param tuned path
 * @param fisher whose labels the gradients are of
 * @param unit whose slopes are squared: {@code token} or {@code sequence}
 * @param klPerToken of the tuned policy from the base, in nats a token, where it was measured
 * @param seconds wall-clock
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
