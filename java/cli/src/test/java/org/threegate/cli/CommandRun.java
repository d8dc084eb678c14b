package org.threegate.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.stream.Stream;

/** The exit code and the output of a command line that ran in this process. */
record CommandRun(int code, String out, String err) {
  static CommandRun of(Object... arguments) {
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    ByteArrayOutputStream err = new ByteArrayOutputStream();
    PrintStream oldOut = System.out;
    PrintStream oldErr = System.err;
    System.setOut(new PrintStream(out, true, StandardCharsets.UTF_8));
    System.setErr(new PrintStream(err, true, StandardCharsets.UTF_8));
    try {
      int code = Main.run(Stream.of(arguments).map(String::valueOf).toArray(String[]::new));
      return new CommandRun(
          code, out.toString(StandardCharsets.UTF_8), err.toString(StandardCharsets.UTF_8));
    } finally {
      System.setOut(oldOut);
      System.setErr(oldErr);
    }
  }

  /** Asserts that one line says what is wrong, and that the exit code is 2. */
  void assertRefused(String... parts) {
    assertThat(err).startsWith("threegate: ").contains(parts);
    assertThat(err.lines()).hasSize(1);
    assertThat(err).doesNotContain("Exception").doesNotContain("\tat ");
    assertThat(code).isEqualTo(2);
  }
}
