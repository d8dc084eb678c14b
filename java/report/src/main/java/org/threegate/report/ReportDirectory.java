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
  public static final String JSON = "report.json";
  public static final String PARQUET = "tensors.parquet";
  public static final String ARRAYS = "arrays.safetensors";
  public static final String HTML = "report.html";

  private ReportDirectory() {}

  /**
   * Returns the path of the journal, from which an interrupted comparison into {@code directory}
   * resumes.
   */
  public static Path journal(Path directory) {
    Path absolute = directory.toAbsolutePath().normalize();
    return absolute.resolveSibling("." + absolute.getFileName() + ".journal");
  }

  /** Writes only {@code report.json}. The stream stays open. */
  public static void writeJson(ComparisonReport report, OutputStream out) throws IOException {
    ReportMapper.write(ComparisonJson.of(report), out);
  }

  /** Writes all files. */
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
                  ParquetReport.write(report, to.resolve(PARQUET));
                },
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
