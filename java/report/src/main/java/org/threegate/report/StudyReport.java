package org.threegate.report;

import java.util.List;
import org.threegate.analysis.study.StudyClaim;
import org.threegate.analysis.study.StudyResult;

/**
 * Holds the results of a study, ready to be rendered.
 *
 * @param version version of Threegate
 * @param command the options after defaults, enough to repeat it
 * @param backend device, binding and threads
 * @param result measurements of the study
 * @param claims claims with their verdicts
 * @param seconds wall-clock seconds
 */
public record StudyReport(
    String version,
    List<String> command,
    ComparisonReport.Backend backend,
    StudyResult result,
    List<StudyClaim> claims,
    double seconds) {
  /** Copies the lists. */
  public StudyReport {
    claims = List.copyOf(claims);
  }
}
