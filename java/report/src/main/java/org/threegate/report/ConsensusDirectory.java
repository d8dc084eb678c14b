package org.threegate.report;

import java.io.IOException;
import java.io.OutputStream;
import java.nio.file.Path;

/**
 * Writes {@code consensus.json} and {@code consensus.html}. A failure leaves the files as they
 * were.
 *
 * <pre>{@code
 * ConsensusDirectory.write(consensusReport, Path.of("threegate-consensus"));
 * }</pre>
 */
public final class ConsensusDirectory {
  /** Name of the JSON document. */
  public static final String JSON = "consensus.json";

  /** Name of the page. */
  public static final String HTML = "consensus.html";

  private ConsensusDirectory() {}

  /**
   * Writes only {@code consensus.json}. The stream stays open.
   *
   * @param report report to write
   * @param out stream that receives the document in UTF-8
   * @throws IOException if the stream cannot be written
   */
  public static void writeJson(ConsensusReport report, OutputStream out) throws IOException {
    ReportMapper.write(ConsensusJson.file(report), out);
  }

  /**
   * Writes both files.
   *
   * @param report report to write
   * @param directory path of the directory, which is created if it does not exist
   * @throws IOException if a file cannot be written
   */
  public static void write(ConsensusReport report, Path directory) throws IOException {
    PageFiles.write(directory, HTML, ConsensusJson.page(report), JSON, ConsensusJson.file(report));
  }
}
