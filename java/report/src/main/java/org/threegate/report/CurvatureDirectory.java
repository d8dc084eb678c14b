package org.threegate.report;

import java.io.IOException;
import java.io.OutputStream;
import java.nio.file.Path;

/**
 * Writes {@code curvature.json} and {@code curvature.html}. A failure leaves the files as they
 * were.
 *
 * <pre>{@code
 * CurvatureDirectory.write(curvatureReport, Path.of("threegate-curvature"));
 * }</pre>
 */
public final class CurvatureDirectory {
  /** Name of the JSON document. */
  public static final String JSON = "curvature.json";

  /** Name of the page. */
  public static final String HTML = "curvature.html";

  private CurvatureDirectory() {}

  /**
   * Writes only {@code curvature.json}. The stream stays open.
   *
   * @param report report to write
   * @param out stream that receives the document in UTF-8
   * @throws IOException if the stream cannot be written
   */
  public static void writeJson(CurvatureReport report, OutputStream out) throws IOException {
    ReportMapper.write(CurvatureJson.of(report), out);
  }

  /**
   * Writes both files.
   *
   * @param report report to write
   * @param directory path of the directory, which is created if it does not exist
   * @throws IOException if a file cannot be written
   */
  public static void write(CurvatureReport report, Path directory) throws IOException {
    CurvatureJson document = CurvatureJson.of(report);
    PageFiles.write(directory, HTML, document, JSON, document);
  }
}
