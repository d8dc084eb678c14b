package org.threegate.cli;

import java.io.IOException;
import java.io.OutputStreamWriter;
import java.io.PrintWriter;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileSystemException;
import java.nio.file.InvalidPathException;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CompletionException;
import java.util.concurrent.ExecutionException;
import java.util.function.Predicate;
import org.threegate.checkpoint.Json;
import org.threegate.kernel.Capabilities;
import org.threegate.kernel.KernelException;
import org.threegate.kernel.Status;
import org.threegate.run.CancelledException;
import org.threegate.run.InvalidInputException;
import org.threegate.run.PrintableText;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Model.UsageMessageSpec;
import picocli.CommandLine.ParseResult;
import picocli.CommandLine.PicocliException;
import picocli.CommandLine.TypeConversionException;

/** Runs commands, and reports each failure in one line. */
final class Execution {
  static final int INVALID_INPUT = 2;
  static final int INTERNAL = 70; // EX_SOFTWARE of sysexits.h
  static final int INTERRUPTED = 130;

  private static final long MIB = 1 << 20;

  private final Predicate<Throwable> refused;
  private final PrintWriter out;
  private final PrintWriter err;

  /**
   * Creates an execution that prints to the standard streams.
   *
   * @param refused recognizes further failures that an invalid input causes
   */
  private Execution(Predicate<Throwable> refused) {
    this.refused = refused;
    this.out = new PrintWriter(new OutputStreamWriter(System.out, StandardCharsets.UTF_8), true);
    this.err = new PrintWriter(new OutputStreamWriter(System.err, StandardCharsets.UTF_8), true);
  }

  /** Runs a command line and ends the process. */
  static void main(Object root, Predicate<Throwable> refused, String... arguments) {
    Execution execution = new Execution(refused);
    // Failures of background threads are reported in one line as well.
    Thread.setDefaultUncaughtExceptionHandler((thread, e) -> execution.report(e));
    loadAhead();
    System.exit(execution.run(root, arguments));
  }

  /**
   * Loads what nearly all commands need while this thread reads the command line. Both take about
   * as long.
   */
  private static void loadAhead() {
    Thread loading =
        new Thread(
            () -> {
              try {
                Capabilities.query();
                Json.parseObject("{}", "");
              } catch (RuntimeException | LinkageError e) {
                return; // a command that needs it fails in the same way, and reports it
              }
            },
            "threegate-load-ahead");
    loading.setDaemon(true);
    loading.start();
  }

  /** Runs a command line and returns its exit code. The help lists exit codes. */
  static int of(Object root, Predicate<Throwable> refused, String... arguments) {
    return new Execution(refused).run(root, arguments);
  }

  private int run(Object root, String... arguments) {
    CommandLine command =
        commandLine(root, arguments)
            .setOut(out)
            .setErr(err)
            .setCaseInsensitiveEnumValuesAllowed(true)
            .setExpandAtFiles(false) // a prompt may begin with @
            .registerConverter(Path.class, Execution::path)
            .setExitCodeExceptionMapper(this::exitCode)
            .setExecutionExceptionHandler((e, line, parsed) -> report(e))
            .setExecutionStrategy(this::guarded)
            .setParameterExceptionHandler(
                (e, parsed) -> {
                  say(UsageErrors.message(e));
                  return INVALID_INPUT;
                });
    command
        .getHelpSectionMap()
        .put(UsageMessageSpec.SECTION_KEY_COMMAND_LIST, CommandGroups::render);
    command.getCommandSpec().usageMessage().commandListHeading("");
    explainExitCodes(command);
    if (arguments.length == 0) {
      command.usage(out);
      return INVALID_INPUT;
    }
    return command.execute(spelledOut(command, arguments));
  }

  /**
   * Returns {@code patch apply --help} for {@code help patch apply}, because picocli's command
   * reads one name only. A name that is unknown stays the error that it is without {@code help}.
   */
  private static String[] spelledOut(CommandLine command, String... arguments) {
    if (arguments.length < 3 || !arguments[0].equals("help")) {
      return arguments;
    }
    List<String> spelled = new ArrayList<>(List.of(arguments).subList(1, arguments.length));
    CommandLine own = command.getSubcommands().get(spelled.get(0));
    Set<String> known = own == null ? Set.of() : own.getSubcommands().keySet();
    if (known.isEmpty() || known.contains(spelled.get(1))) {
      spelled.add("--help");
    }
    return spelled.toArray(String[]::new);
  }

  /**
   * Returns a command line as picocli makes it of the annotations of {@code root}, but with a
   * single subcommand if the first argument names one, and with none if it asks for the version.
   * Reading the annotations of all commands takes most of the time of a start.
   */
  private static CommandLine commandLine(Object root, String... arguments) {
    Command annotation = root.getClass().getAnnotation(Command.class);
    String first = arguments.length == 0 ? "" : arguments[0];
    if (first.equals("--version") || first.equals("-V")) {
      return withoutSubcommands(root, annotation);
    }
    for (Class<?> subcommand : annotation.subcommands()) {
      Command own = subcommand.getAnnotation(Command.class);
      if (own.name().equals(first) && subcommand != CommandLine.HelpCommand.class) {
        return withoutSubcommands(root, annotation).addSubcommand(subcommand);
      }
    }
    return new CommandLine(root);
  }

  private static CommandLine withoutSubcommands(Object root, Command annotation) {
    CommandSpec spec =
        CommandSpec.wrapWithoutInspection(root)
            .name(annotation.name())
            .mixinStandardHelpOptions(annotation.mixinStandardHelpOptions());
    try {
      spec.versionProvider(CommandLine.defaultFactory().create(annotation.versionProvider()));
    } catch (Exception e) { // what picocli's factory declares
      throw new IllegalStateException(e);
    }
    return new CommandLine(spec);
  }

  /** Runs a command after its outputs have been checked against its inputs. */
  private int guarded(ParseResult parsed) {
    try {
      for (ParseResult at = parsed; at != null; at = at.hasSubcommand() ? at.subcommand() : null) {
        if (!at.isUsageHelpRequested() && !at.isVersionHelpRequested()) {
          OutputGuard.check(at.commandSpec());
        }
      }
      return new CommandLine.RunLast().execute(parsed);
    } catch (PicocliException e) {
      throw e; // has its own handler
    } catch (Throwable e) {
      return report(e);
    }
  }

  private static void explainExitCodes(CommandLine command) {
    Map<String, String> codes = new LinkedHashMap<>();
    codes.put("0", "done");
    codes.put(
        Integer.toString(INVALID_INPUT), "invalid input; one line on standard error names it");
    codes.put(Integer.toString(INTERNAL), "a bug in Threegate; please report it");
    codes.put(
        Integer.toString(INTERRUPTED),
        "interrupted; continue with --resume where the command has it");
    command
        .getCommandSpec()
        .usageMessage()
        .exitCodeListHeading("%nExit codes:%n")
        .exitCodeList(codes);
    command.getSubcommands().values().forEach(Execution::explainExitCodes);
  }

  private static Path path(String text) {
    try {
      return Path.of(text);
    } catch (InvalidPathException e) {
      throw new TypeConversionException("\"" + text + "\" is not a valid path: " + e.getReason());
    }
  }

  private int report(Throwable thrown) {
    Throwable e = cause(thrown);
    int code = exitCode(e);
    if (code == INTERRUPTED) {
      return code;
    }
    say(code == INTERNAL ? "internal error: " + e : message(e));
    if (code == INTERNAL && Boolean.getBoolean("threegate.stacktrace")) {
      e.printStackTrace(err);
    }
    return code;
  }

  /** Returns the original failure, without wrappers from other threads or initializers. */
  private static Throwable cause(Throwable thrown) {
    for (Throwable e = thrown; e != null; e = e.getCause()) {
      if (e instanceof VirtualMachineError) {
        return e;
      }
    }
    Throwable e = thrown;
    while (e.getCause() != null
        && (e instanceof CompletionException
            || e instanceof ExecutionException
            || e instanceof ExceptionInInitializerError
            || e instanceof UncheckedIOException)) {
      e = e.getCause();
    }
    return e;
  }

  private int exitCode(Throwable thrown) {
    Throwable e = cause(thrown);
    if (e instanceof CancelledException) {
      return INTERRUPTED;
    }
    boolean ofInput =
        e instanceof InvalidInputException
            || e instanceof InvalidPathException
            || e instanceof IOException
            || e instanceof OutOfMemoryError
            || e instanceof StackOverflowError
            || e instanceof UnsatisfiedLinkError
            || e instanceof KernelException failure && failure.status() != Status.INTERNAL
            || refused.test(e);
    return ofInput ? INVALID_INPUT : INTERNAL;
  }

  private static String message(Throwable e) {
    if (e instanceof InvalidInputException refused) {
      return Advice.message(refused);
    }
    if (e instanceof OutOfMemoryError) {
      return String.format(
          "the memory of this process is used up (%s; the heap limit is %d MiB): the input is too large"
              + " for it, or damaged; JAVA_TOOL_OPTIONS=-Xmx8g sets a limit of 8 GiB",
          e.getMessage(), Runtime.getRuntime().maxMemory() / MIB);
    }
    if (e instanceof StackOverflowError) {
      return "the input is nested more deeply than Threegate can read; it is damaged or malicious";
    }
    if (e instanceof InvalidPathException path) {
      return "\"" + path.getInput() + "\" is not a valid path: " + path.getReason();
    }
    if (e instanceof FileSystemException failure) {
      return failure.getFile()
          + ": "
          + (e instanceof NoSuchFileException
              ? "no such file or directory"
              : OutputPath.reason(failure));
    }
    // The message of an UnsatisfiedLinkError also says how to fix it.
    return e instanceof IOException && e.getMessage() == null ? e.toString() : e.getMessage();
  }

  private void say(String message) {
    err.println(
        "threegate: " + PrintableText.message(String.valueOf(message).replaceAll("\\R", " ")));
  }
}
