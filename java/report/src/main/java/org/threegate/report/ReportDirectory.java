package org.threegate.report;

import java.io.IOException;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import org.threegate.file.AtomicFiles;

/**
 * Writes {@code report.json}, {@code tensors.parquet}, {@code arrays.safetensors} and {@code
 * report.html}. All files are written into a temporary directory first, which then replaces the
 * target. A failure leaves the target as it was.
 *
 * <pre>{@code
 * ReportDirectory.write(report, Path.of("threegate-report"));
 * }</pre>
 */
public final class ReportDirectory {
  /** Name of the JSON document. */
  public static final String JSON = "report.json";

  /** Name of the table with a row per tensor. */
  public static final String PARQUET = "tensors.parquet";

  /** Name of the file with arrays such as spectra. */
  public static final String ARRAYS = "arrays.safetensors";

  /** Name of the page. */
  public static final String HTML = "report.html";

  private ReportDirectory() {}

  /**
   * {@return the path of the journal, from which an interrupted comparison into {@code directory}
   * resumes}
   *
   * @param directory path of the directory of the report
   */
  public static Path journal(Path directory) {
    Path absolute = directory.toAbsolutePath().normalize();
    return absolute.resolveSibling("." + absolute.getFileName() + ".journal");
  }

  /**
   * Writes only {@code report.json}. The stream stays open.
   *
   * @param report report to write
   * @param out stream that receives the document in UTF-8
   * @throws IOException if the stream cannot be written
   */
  public static void writeJson(ComparisonReport report, OutputStream out) throws IOException {
    ReportMapper.write(ComparisonJson.of(report), out);
  }

  /**
   * Writes all files.
   *
   * @param report report to write
   * @param directory path of the directory, which is created if it does not exist
   * @throws IOException if a file cannot be written
   */
  public static void write(ComparisonReport report, Path directory) throws IOException {
    AtomicFiles.updateDirectory(
        directory,
        JSON,
        to ->
            inParallel(
                () -> {
                  try (OutputStream json = Files.newOutputStream(to.resolve(JSON))) {
                    ReportMapper.write(ComparisonJson.of(report), json);
                  }
                },
                () -> ParquetReport.write(report, to.resolve(PARQUET)),
                () -> ArraysReport.write(report, to.resolve(ARRAYS)),
                () ->
                    Files.writeString(
                        to.resolve(HTML), HtmlPage.render(HTML, PageJson.of(report)))));
  }

  @FunctionalInterface
  private interface Writing {
    void run() throws IOException;
  }

  /** Runs all tasks to their end, then throws the first failure. */
  private static void inParallel(Writing... writings) throws IOException {
    List<CompletableFuture<Void>> running = new ArrayList<>();
    for (Writing writing : writings) {
      running.add(
          CompletableFuture.runAsync(
              () -> {
                try {
                  writing.run();
                } catch (IOException e) {
                  throw new UncheckedIOException(e);
                }
              }));
    }
    try {
      CompletableFuture.allOf(running.toArray(CompletableFuture[]::new)).join();
    } catch (CompletionException e) {
      if (e.getCause() instanceof UncheckedIOException failure) {
        throw failure.getCause();
      }
      throw e;
    }
  }
}
