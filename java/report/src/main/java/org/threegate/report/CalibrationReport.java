package org.threegate.report;

import org.threegate.analysis.calibration.CalibrationResult;

/**
 * Holds a calibration, ready to be rendered.
 *
 * @param provenance how the report was made
 * @param base path or name of the base
 * @param result verdicts on updates whose truth is known
 */
public record CalibrationReport(Provenance provenance, String base, CalibrationResult result) {}
