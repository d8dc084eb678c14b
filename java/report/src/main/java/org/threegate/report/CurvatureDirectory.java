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
  public static final String JSON = "curvature.json";
  public static final String HTML = "curvature.html";

  private CurvatureDirectory() {}

  /** Writes only {@code curvature.json}. The stream stays open. */
  public static void writeJson(CurvatureReport report, OutputStream out) throws IOException {
    ReportMapper.write(CurvatureJson.of(report), out);
  }

  /** Writes both files. */
  public static void write(CurvatureReport report, Path directory) throws IOException {
    CurvatureJson document = CurvatureJson.of(report);
    PageFiles.write(directory, HTML, document, JSON, document);
  }
}
