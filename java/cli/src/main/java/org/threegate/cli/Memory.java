package org.threegate.cli;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;

/** Reads the memory use of this process from {@code /proc/self/status}. */
final class Memory {
  private Memory() {}

  /** Returns the peak resident set in bytes, including mapped files, or 0 if it is unknown. */
  static long peakRssBytes() {
    try {
      return Files.readAllLines(Path.of("/proc/self/status")).stream()
          .filter(line -> line.startsWith("VmHWM:"))
          .mapToLong(line -> Long.parseLong(line.replaceAll("[^0-9]", "")) * 1024)
          .findFirst()
          .orElse(0);
    } catch (IOException e) {
      return 0;
    }
  }
}
