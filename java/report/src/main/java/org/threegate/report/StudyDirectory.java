package org.threegate.report;

import java.io.IOException;
import java.io.OutputStream;
import java.nio.file.Path;

/**
 * Writes {@code study.json} and {@code study.html}. A failure leaves the files as they were.
 *
 * <pre>{@code
 * StudyDirectory.write(studyReport, Path.of("threegate-study"));
 * }</pre>
 */
public final class StudyDirectory {
  /** Name of the JSON document. */
  public static final String JSON = "study.json";

  /** Name of the page. */
  public static final String HTML = "study.html";

  private StudyDirectory() {}

  /**
   * Writes only {@code study.json}. The stream stays open.
   *
   * @param report report to write
   * @param out stream that receives the document in UTF-8
   * @throws IOException if the stream cannot be written
   */
  public static void writeJson(StudyReport report, OutputStream out) throws IOException {
    ReportMapper.write(StudyJson.of(report), out);
  }

  /**
   * Writes both files.
   *
   * @param report report to write
   * @param directory path of the directory, which is created if it does not exist
   * @throws IOException if a file cannot be written
   */
  public static void write(StudyReport report, Path directory) throws IOException {
    StudyJson document = StudyJson.of(report);
    PageFiles.write(directory, HTML, document, JSON, document);
  }
}
