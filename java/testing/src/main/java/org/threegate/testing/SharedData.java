package org.threegate.testing;

import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Assumptions;

/**
 * Real checkpoints beside the checkout; tests that need them are skipped, by name, where they are
 * not.
 */
public final class SharedData {
  private SharedData() {}

  /** A directory or file of {@code ../shared/data}. */
  public static Path require(String name) {
    Path path =
        Path.of(System.getProperty("threegate.root"))
            .resolveSibling("shared")
            .resolve("data")
            .resolve(name);
    if (!Files.exists(path)) {
      System.out.println("SKIPPED, because " + path + " is not there");
    }
    Assumptions.assumeTrue(Files.exists(path), path + " is not there");
    return path;
  }
}
