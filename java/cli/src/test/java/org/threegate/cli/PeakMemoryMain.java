package org.threegate.cli;

import java.nio.file.Files;
import java.nio.file.Path;

/** Runs a command line, and then prints the line of the largest resident size of this process. */
final class PeakMemoryMain {
  private PeakMemoryMain() {}

  public static void main(String... arguments) throws Exception {
    int code = Main.run(arguments);
    Files.readAllLines(Path.of("/proc/self/status")).stream()
        .filter(line -> line.startsWith("VmHWM:"))
        .forEach(System.out::println);
    System.exit(code);
  }
}
