package org.threegate.report;

import java.io.IOException;
import java.io.OutputStream;
import java.nio.ByteBuffer;
import java.nio.channels.Channels;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import org.threegate.checkpoint.AtomicFiles;

/**
 * Writes {@code consensus.json} and {@code consensus.html}, each whole or not at all.
 *
 * <pre>{@code
 * ConsensusDirectory.write(consensusReport, Path.of("threegate-consensus"));
 * }</pre>
 */
public final class ConsensusDirectory {
  public static final String JSON = "consensus.json";
  public static final String HTML = "consensus.html";

  private ConsensusDirectory() {}

  /** {@code consensus.json} alone. */
  public static void writeJson(ConsensusReport report, OutputStream out) throws IOException {
    ConsensusJson.write(report, out);
  }

  /** Writes both files. */
  public static void write(ConsensusReport report, Path directory) throws IOException {
    Files.createDirectories(directory);
    String page = HtmlPage.render(HTML, json -> ConsensusJson.page(json, report));
    AtomicFiles.write(
        directory.resolve(HTML),
        out -> {
          ByteBuffer bytes = ByteBuffer.wrap(page.getBytes(StandardCharsets.UTF_8));
          while (bytes.hasRemaining()) {
            out.write(bytes);
          }
        });
    AtomicFiles.write(
        directory.resolve(JSON), out -> ConsensusJson.write(report, Channels.newOutputStream(out)));
  }
}
