package org.threegate.cli;

import java.io.PrintWriter;
import java.nio.charset.StandardCharsets;
import java.util.function.Predicate;
import org.threegate.analysis.measure.Comparison;
import org.threegate.checkpoint.InvalidInputException;
import org.threegate.kernel.KernelException;
import picocli.CommandLine;

/** Runs commands, and says what became of them. */
final class Execution {
  static final int INVALID_INPUT = 2;
  static final int INTERNAL = 1;
  static final int INTERRUPTED = 130;

  private Execution() {}

  /**
   * Runs a command line; returns its exit code: 0, 1 for a defect of ours, 2 for invalid input, 130
   * when interrupted.
   *
   * @param refused failures that are the input's, beside those that all commands have
   */
  static int of(Object root, Predicate<Throwable> refused, String... arguments) {
    PrintWriter out =
        new PrintWriter(new java.io.OutputStreamWriter(System.out, StandardCharsets.UTF_8), true);
    PrintWriter err =
        new PrintWriter(new java.io.OutputStreamWriter(System.err, StandardCharsets.UTF_8), true);
    CommandLine command =
        new CommandLine(root)
            .setOut(out)
            .setErr(err)
            .setCaseInsensitiveEnumValuesAllowed(true)
            .setExitCodeExceptionMapper(e -> exitCode(e, refused))
            .setExecutionExceptionHandler((e, line, parsed) -> report(e, refused, err))
            .setParameterExceptionHandler(
                (e, parsed) -> {
                  err.println("threegate: " + oneLine(e.getMessage()) + "; see threegate help");
                  return INVALID_INPUT;
                });
    if (arguments.length == 0) {
      command.usage(out);
      return INVALID_INPUT;
    }
    try {
      return command.execute(arguments);
    } catch (UnsatisfiedLinkError e) {
      // What it says is what to do: a cache that cannot be written, a library that is missing.
      err.println("threegate: " + oneLine(e.getMessage()));
      return INVALID_INPUT;
    }
  }

  private static int report(Exception e, Predicate<Throwable> refused, PrintWriter err) {
    int code = exitCode(e, refused);
    if (code == INTERRUPTED) {
      return code;
    }
    err.println(
        "threegate: " + oneLine(code == INTERNAL ? "internal error: " + e : e.getMessage()));
    if (code == INTERNAL && Boolean.getBoolean("threegate.stacktrace")) {
      e.printStackTrace(err);
    }
    return code;
  }

  private static int exitCode(Throwable e, Predicate<Throwable> refused) {
    if (e instanceof Comparison.CancelledException) {
      return INTERRUPTED;
    }
    return e instanceof InvalidInputException || e instanceof KernelException || refused.test(e)
        ? INVALID_INPUT
        : INTERNAL;
  }

  private static String oneLine(String message) {
    return String.valueOf(message).replaceAll("\\R", " ");
  }
}
