package org.threegate.cli;

import java.util.List;
import org.threegate.kernel.Context;
import picocli.CommandLine.Option;

/** Options of commands that compute with several threads and random numbers. */
final class RunMixin {
  @Option(
      names = "--threads",
      paramLabel = "N",
      defaultValue = "0",
      description = "Number of threads; 0 for one on each processor (default: ${DEFAULT-VALUE}).")
  private int threads;

  @Option(
      names = "--seed",
      paramLabel = "N",
      defaultValue = "0",
      description = "Seed of all random numbers (default: ${DEFAULT-VALUE}).")
  private long seed;

  int threads() {
    return threads;
  }

  long seed() {
    return seed;
  }

  /** Opens a context on the processor. */
  Context open() {
    return Context.open(Context.Device.CPU, threads);
  }

  /** Returns these options as arguments of a command line, with defaults filled in. */
  List<String> command() {
    return List.of("--threads", Integer.toString(threads), "--seed", Long.toString(seed));
  }
}
