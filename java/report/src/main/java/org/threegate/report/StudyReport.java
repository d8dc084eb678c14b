package org.threegate.report;

import java.util.List;
import org.threegate.analysis.study.StudyClaim;
import org.threegate.analysis.study.StudyResult;

/**
 * Holds the results of a study, ready to be rendered.
 *
 * @param command the options after defaults, enough to repeat it
 * @param backend device, binding and threads
 * @param seconds wall-clock seconds
 */
public record StudyReport(
    String version,
    List<String> command,
    ComparisonReport.Backend backend,
    StudyResult result,
    List<StudyClaim> claims,
    double seconds) {
  public StudyReport {
    claims = List.copyOf(claims);
  }
}
