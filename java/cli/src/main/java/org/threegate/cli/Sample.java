package org.threegate.cli;

import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;

/** The embedded sample: a small model before and after training, in a temporary directory. */
final class Sample implements AutoCloseable {
  private static final List<String> SIDES = List.of("base", "tuned");
  private static final List<String> FILES = List.of("config.json", "model.safetensors");

  private final Path directory;

  private Sample(Path directory) {
    this.directory = directory;
  }

  /** Extracts the sample. */
  static Sample extract() throws IOException {
    Sample sample = new Sample(Files.createTempDirectory("threegate-sample"));
    try {
      sample.copy();
    } catch (IOException | RuntimeException e) {
      sample.close();
      throw e;
    }
    return sample;
  }

  private void copy() throws IOException {
    for (String side : SIDES) {
      Files.createDirectory(directory.resolve(side));
      for (String file : FILES) {
        try (InputStream in = Sample.class.getResourceAsStream("sample/" + side + "/" + file)) {
          Files.copy(in, directory.resolve(side).resolve(file));
        }
      }
    }
  }

  /** Returns the model before training. */
  Path base() {
    return directory.resolve("base");
  }

  /** Returns the model after training. */
  Path tuned() {
    return directory.resolve("tuned");
  }

  /** Deletes the files. */
  @Override
  public void close() throws IOException {
    for (String side : SIDES) {
      for (String file : FILES) {
        Files.deleteIfExists(directory.resolve(side).resolve(file));
      }
      Files.deleteIfExists(directory.resolve(side));
    }
    Files.deleteIfExists(directory);
  }
}
