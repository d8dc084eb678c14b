package org.threegate.report;

import java.io.IOException;
import java.io.OutputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import org.threegate.file.AtomicFiles;

/** A page and its JSON file: both whole, or none. */
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
    Files.createDirectories(directory.toAbsolutePath().normalize().getParent());
    String text = HtmlPage.render(template, page);
    AtomicFiles.updateDirectory(
        directory,
        name,
        to -> {
          Files.writeString(to.resolve(template), text);
          try (OutputStream out = Files.newOutputStream(to.resolve(name))) {
            json.write(out);
          }
        });
  }
}
