package org.threegate.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Assumptions;

/** Runs scripts with $PYTHON, or with python3 if that is not set. */
final class Python {
  private final String python;

  private Python(String python) {
    this.python = python;
  }

  /** Returns a Python that has the modules. Skips the test, and prints why, if one is missing. */
  static Python require(String modules) throws InterruptedException {
    Python python = new Python(System.getenv().getOrDefault("PYTHON", "python3"));
    boolean there;
    try {
      there = python.run("-c", "import " + modules).code() == 0;
    } catch (IOException e) {
      there = false;
    }
    String reason = python.python + " has no " + modules;
    if (!there) {
      System.out.println("SKIPPED, because " + reason);
    }
    Assumptions.assumeTrue(there, reason);
    return python;
  }

  private record Run(int code, String out) {}

  private Run run(String... arguments) throws IOException, InterruptedException {
    List<String> command = new ArrayList<>(List.of(python));
    command.addAll(List.of(arguments));
    Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
    String out = new String(process.getInputStream().readAllBytes());
    return new Run(process.waitFor(), out);
  }

  /** Returns what a script prints. Fails if the script does. */
  String output(Path script, Object... arguments) throws IOException, InterruptedException {
    List<String> all = new ArrayList<>(List.of(script.toString()));
    for (Object argument : arguments) {
      all.add(argument.toString());
    }
    Run run = run(all.toArray(String[]::new));
    assertThat(run.code()).as(run.out()).isZero();
    return run.out();
  }
}
