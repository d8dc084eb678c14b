package org.threegate.report;

import java.io.IOException;
import java.io.OutputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import org.threegate.file.AtomicFiles;

/** Writes a page and its JSON file: both, or neither. */
final class PageFiles {
  private PageFiles() {}

  /**
   * Writes a page and a document.
   *
   * @param template name of the page and of its template
   * @param page data of the page
   * @param name name of the document's file
   */
  static void write(Path directory, String template, Record page, String name, Record document)
      throws IOException {
    Files.createDirectories(directory.toAbsolutePath().normalize().getParent());
    String text = HtmlPage.render(template, page);
    AtomicFiles.updateDirectory(
        directory,
        name,
        to -> {
          Files.writeString(to.resolve(template), text);
          try (OutputStream out = Files.newOutputStream(to.resolve(name))) {
            ReportMapper.write(document, out);
          }
        });
  }
}
