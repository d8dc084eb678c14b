package org.threegate.report;

import java.io.IOException;
import java.io.OutputStream;

/**
 * Writes a calibration as one JSON document.
 *
 * <pre>{@code
 * CalibrationDocument.write(calibrationReport, System.out);
 * }</pre>
 */
public final class CalibrationDocument {
  private CalibrationDocument() {}

  /**
   * Writes the document. The stream stays open.
   *
   * @param report report to write
   * @param out stream that receives the document in UTF-8
   * @throws IOException if the stream cannot be written
   */
  public static void write(CalibrationReport report, OutputStream out) throws IOException {
    ReportMapper.write(CalibrationJson.of(report), out);
  }
}
