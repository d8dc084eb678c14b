package org.threegate.report;

import java.io.IOException;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import org.threegate.checkpoint.AtomicFiles;

/**
 * Writes {@code report.json}, {@code tensors.parquet}, {@code arrays.safetensors} and {@code
 * report.html}: first all of them under a temporary name beside the target, then renamed; a failure
 * leaves the target as it was.
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

  /** Where an interrupted comparison into {@code directory} keeps what it has finished. */
  public static Path journal(Path directory) {
    Path absolute = directory.toAbsolutePath().normalize();
    return absolute.resolveSibling("." + absolute.getFileName() + ".journal");
  }

  /** {@code report.json} alone. */
  public static void writeJson(ComparisonReport report, OutputStream out) throws IOException {
    JsonReport.write(report, out);
  }

  /** Writes all files. */
  public static void write(ComparisonReport report, Path directory) throws IOException {
    Path target = directory.toAbsolutePath().normalize();
    Path temporary =
        target.resolveSibling(
            ".partial-" + target.getFileName() + "-" + ProcessHandle.current().pid());
    Files.createDirectory(temporary);
    try {
      inParallel(
          () -> {
            try (OutputStream json = Files.newOutputStream(temporary.resolve(JSON))) {
              JsonReport.write(report, json);
            }
            ParquetReport.write(report, temporary.resolve(PARQUET));
          },
          () -> ArraysReport.write(report, temporary.resolve(ARRAYS)),
          () -> Files.writeString(temporary.resolve(HTML), HtmlReport.render(report)));
      for (Path file : AtomicFiles.list(temporary)) {
        try (FileChannel channel = FileChannel.open(file, StandardOpenOption.WRITE)) {
          channel.force(true);
        }
      }
      if (Files.exists(target)) {
        for (String name : List.of(ARRAYS, PARQUET, HTML, JSON)) {
          Files.move(
              temporary.resolve(name),
              target.resolve(name),
              StandardCopyOption.ATOMIC_MOVE,
              StandardCopyOption.REPLACE_EXISTING);
        }
      } else {
        Files.move(temporary, target, StandardCopyOption.ATOMIC_MOVE);
      }
    } finally {
      AtomicFiles.deleteDirectory(temporary);
    }
  }

  @FunctionalInterface
  private interface Writing {
    void run() throws IOException;
  }

  /** Runs all to their end; throws the first failure. */
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
