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
  public static final String JSON = "consensus.json";
  public static final String HTML = "consensus.html";

  private ConsensusDirectory() {}

  /** Writes only {@code consensus.json}. The stream stays open. */
  public static void writeJson(ConsensusReport report, OutputStream out) throws IOException {
    ReportMapper.write(ConsensusJson.file(report), out);
  }

  /** Writes both files. */
  public static void write(ConsensusReport report, Path directory) throws IOException {
    PageFiles.write(directory, HTML, ConsensusJson.page(report), JSON, ConsensusJson.file(report));
  }
}
