package org.threegate.testing;

import java.nio.file.Files;
import java.nio.file.Path;

/**
 * Small real checkpoints of this repository. {@code java/testing/fixtures/README.md} lists them.
 */
public final class SharedData {
  private SharedData() {}

  /**
   * Finds a fixture.
   *
   * @param name name of a file or directory
   * @throws IllegalArgumentException if there is none
   */
  public static Path require(String name) {
    Path path =
        Path.of(System.getProperty("threegate.root"))
            .resolve("java/testing/fixtures")
            .resolve(name);
    if (!Files.exists(path)) {
      throw new IllegalArgumentException("no fixture " + path);
    }
    return path;
  }
}
