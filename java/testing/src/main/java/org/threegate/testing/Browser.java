package org.threegate.testing;

import java.io.IOException;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Assumptions;

/** Opens pages in a headless Chromium. Tests are skipped with a message if there is none. */
public final class Browser {
  private static final List<String> NAMES =
      List.of("chromium", "chromium-browser", "google-chrome");
  private static final List<String> OPTIONS =
      List.of(
          "--headless",
          "--no-sandbox",
          "--disable-gpu",
          "--disable-quic",
          "--no-first-run",
          "--disable-background-networking",
          "--disable-component-update",
          "--disable-sync",
          "--enable-logging=stderr");

  private Browser() {}

  /**
   * A page after its scripts have run.
   *
   * @param dom HTML of its elements
   * @param errors errors of its scripts
   */
  public record Page(String dom, List<String> errors) {
    /** Returns the number of plots. */
    public long canvases() {
      return dom.split("<canvas", -1).length - 1L;
    }
  }

  /**
   * Opens a page.
   *
   * @param scratch directory for files of the browser
   */
  public static Page open(URI address, Path scratch) throws IOException, InterruptedException {
    Path log = scratch.resolve("browser.log");
    Path page = scratch.resolve("browser.html");
    Process process =
        new ProcessBuilder(
                command(
                    address,
                    scratch,
                    "--virtual-time-budget=5000",
                    "--dump-dom",
                    address.toString()))
            .redirectError(log.toFile())
            .redirectOutput(page.toFile())
            .start();
    if (process.waitFor() != 0) {
      throw new IOException("the browser failed: " + Files.readString(log));
    }
    List<String> errors =
        Files.readString(log, StandardCharsets.ISO_8859_1)
            .lines()
            .filter(line -> line.contains("CONSOLE"))
            .toList();
    return new Page(Files.readString(page), errors);
  }

  /**
   * Returns the command that starts the browser, or skips the test if there is none.
   *
   * @param address page to open
   */
  static List<String> command(URI address, Path scratch, String... more) {
    List<Path> found =
        Stream.of(System.getenv("PATH").split(":"))
            .flatMap(directory -> NAMES.stream().map(name -> Path.of(directory, name)))
            .filter(Files::isExecutable)
            .toList();
    if (found.isEmpty()) {
      System.out.println("SKIPPED, because there is no Chromium to show " + address);
    }
    Assumptions.assumeFalse(found.isEmpty(), "no Chromium");
    List<String> command = new ArrayList<>(List.of(found.get(0).toString()));
    command.addAll(OPTIONS);
    command.add("--user-data-dir=" + scratch.resolve("browser"));
    command.addAll(List.of(more));
    return command;
  }
}
