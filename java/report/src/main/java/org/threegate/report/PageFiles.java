package org.threegate.report;

import java.io.IOException;
import java.io.OutputStream;
import java.nio.ByteBuffer;
import java.nio.channels.Channels;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import org.threegate.checkpoint.AtomicFiles;

/** A page and its JSON file, each written whole or not at all. */
final class PageFiles {
  private PageFiles() {}

  /** Writes JSON to a stream. */
  @FunctionalInterface
  interface Json {
    void write(OutputStream out) throws IOException;
  }

  /**
   * @param template of the page, and its name
   */
  static void write(Path directory, String template, HtmlPage.Data page, String name, Json json)
      throws IOException {
    Files.createDirectories(directory);
    String text = HtmlPage.render(template, page);
    AtomicFiles.write(
        directory.resolve(template),
        out -> {
          ByteBuffer bytes = ByteBuffer.wrap(text.getBytes(StandardCharsets.UTF_8));
          while (bytes.hasRemaining()) {
            out.write(bytes);
          }
        });
    AtomicFiles.write(directory.resolve(name), out -> json.write(Channels.newOutputStream(out)));
  }
}
