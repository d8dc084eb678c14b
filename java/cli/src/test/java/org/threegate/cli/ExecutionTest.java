package org.threegate.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.ByteArrayOutputStream;
import java.io.File;
import java.io.IOException;
import java.io.PrintStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.CompletionException;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import org.threegate.run.CancelledException;
import org.threegate.run.InvalidInputException;
import picocli.CommandLine.Command;
import picocli.CommandLine.Parameters;

/** Tests that every failure of a command ends in one line that is safe to print on a terminal. */
@Tag("binding")
class ExecutionTest {
  @TempDir Path directory;

  /** The root of a command line whose only command fails. */
  @Command(name = "threegate", subcommands = Failing.class)
  static final class Root {}

  @Command(name = "fail")
  static final class Failing implements Callable<Integer> {
    private static Throwable failure = new IllegalStateException();

    @Parameters(arity = "0..1")
    private int number;

    @Override
    public Integer call() throws Exception {
      if (failure instanceof Error error) {
        throw error;
      }
      throw (Exception) failure;
    }
  }

  private static CommandRun run(String... arguments) {
    ByteArrayOutputStream err = new ByteArrayOutputStream();
    PrintStream old = System.err;
    System.setErr(new PrintStream(err, true, StandardCharsets.UTF_8));
    try {
      int code = Execution.of(new Root(), e -> false, arguments);
      return new CommandRun(code, "", err.toString(StandardCharsets.UTF_8));
    } finally {
      System.setErr(old);
    }
  }

  @ParameterizedTest
  @MethodSource("failures")
  void everyFailureEndsInALine(Throwable failure, int code, String part) {
    Failing.failure = failure;
    CommandRun run = run("fail");
    assertThat(run.code()).isEqualTo(code);
    if (code == Execution.INTERRUPTED) {
      assertThat(run.err()).isEmpty();
      return;
    }
    assertThat(run.err()).startsWith("threegate: ").hasLineCount(1).contains(part);
    assertThat(run.err()).doesNotContain("\tat ").hasSizeLessThan(620);
    assertThat(run.err().strip().codePoints())
        .noneMatch(c -> Character.isISOControl(c) || Character.getType(c) == Character.FORMAT);
    assertThat(run.err().contains("internal error")).isEqualTo(code == Execution.INTERNAL);
  }

  static Stream<Arguments> failures() {
    OutOfMemoryError memory = new OutOfMemoryError("Java heap space");
    StackOverflowError stack = new StackOverflowError();
    UnsatisfiedLinkError link = new UnsatisfiedLinkError("libthreegate: not\nthere");
    return Stream.of(
        Arguments.of(memory, 2, "memory of this process is used up (Java heap space"),
        Arguments.of(new CompletionException(memory), 2, "memory of this process is used up"),
        Arguments.of(new IllegalStateException(new ExecutionException(memory)), 2, "memory"),
        Arguments.of(stack, 2, "nested more deeply"),
        Arguments.of(new ExceptionInInitializerError(stack), 2, "nested more deeply"),
        Arguments.of(link, 2, "libthreegate: not there"),
        Arguments.of(new ExceptionInInitializerError(link), 2, "libthreegate: not there"),
        Arguments.of(new NoClassDefFoundError("org/threegate/X"), 70, "org/threegate/X"),
        Arguments.of(
            new ExceptionInInitializerError(new IllegalStateException("x")), 70, "Illegal"),
        Arguments.of(new AssertionError("x"), 70, "x"),
        Arguments.of(new IllegalArgumentException("a\u202eb\u001b[2Jc"), 70, "a\\u202eb\\u001b"),
        Arguments.of(new IndexOutOfBoundsException("y".repeat(100_000)), 70, "yyy"),
        Arguments.of(new InvalidInputException("z".repeat(100_000) + "\n\r"), 2, "zzz"),
        Arguments.of(new CompletionException(new InvalidInputException("name it")), 2, "name it"),
        Arguments.of(new NoSuchFileException("here"), 2, "here: no such file or directory"),
        Arguments.of(new UncheckedIOException(new IOException("disk\ngone")), 2, "disk gone"),
        Arguments.of(new java.nio.file.InvalidPathException("a\0b", "Nul"), 2, "a\\u0000b"),
        Arguments.of(new CancelledException(), 130, ""));
  }

  @Test
  void argumentsAreShownAsTheyMayBeShown() {
    for (String argument : List.of("\u001b[2J\u202e", "q".repeat(100_000), "a\nb")) {
      CommandRun run = run("fail", argument);
      run.assertRefused("see threegate help");
      assertThat(run.err()).hasSizeLessThan(620).doesNotContain("\u001b").doesNotContain("\u202e");
    }
  }

  @Test
  void helpListsTheExitCodes() {
    for (String command : List.of("compare", "patch", "train")) {
      assertThat(CommandRun.of(command, "--help").out())
          .contains("Exit codes:", "2 ", "invalid input", "70", "a bug", "130");
    }
  }

  /** A process that runs out of memory prints one line instead of a stack trace of each thread. */
  @Test
  void aProcessWhoseMemoryIsUsedUpSaysSo() throws Exception {
    Path problems = directory.resolve("problems.jsonl");
    String line = "{\"prompt\":\"" + "x".repeat(1 << 19) + "\",\"answer\":\"1\"}\n";
    Files.writeString(problems, line.repeat(64));
    Process process =
        new ProcessBuilder(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "-Xmx16m",
                "--enable-native-access=ALL-UNNAMED", // no warning of JDK 24+, as in the jar
                "-cp",
                System.getProperty("java.class.path").replace("\n", File.pathSeparator),
                "org.threegate.cli.Main",
                "eval",
                directory.toString(),
                "--problems",
                problems.toString())
            .redirectErrorStream(true)
            .start();
    String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    assertThat(process.waitFor(1, TimeUnit.MINUTES)).isTrue();
    assertThat(output.lines())
        .singleElement()
        .asString()
        .startsWith("threegate: the memory of this process is used up");
    assertThat(process.exitValue()).isEqualTo(2);
  }
}
