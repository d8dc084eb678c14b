package org.threegate.testing;

import java.io.File;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.function.Predicate;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/**
 * Runs a Java program in a separate JVM with the class path, binding, compilers and collector of
 * this one. It is used for programs that may crash, and for settings that must be known when a JVM
 * starts.
 *
 * <pre>{@code
 * ChildJvm.Result result =
 *     ChildJvm.of(ApiAttack.class, "10", "1").options("-Xmx512m").environment(Map.of()).run();
 * System.out.println(result.code() + ": " + result.output());
 * }</pre>
 */
public final class ChildJvm {
  private static final long LONGEST_SECONDS = 300;

  private final Class<?> program;
  private final List<String> arguments;
  private List<String> options = List.of();
  private Map<String, String> environment = Map.of();
  private List<String> before = List.of();
  private List<Path> added = List.of();
  private Predicate<String> left = entry -> true;

  /**
   * The result of a program.
   *
   * @param code exit status; 134 after a crash
   * @param output standard output and standard error
   */
  public record Result(int code, String output) {}

  private ChildJvm(Class<?> program, List<String> arguments) {
    this.program = program;
    this.arguments = arguments;
  }

  /** Prepares a run of {@code program.main}. */
  public static ChildJvm of(Class<?> program, String... arguments) {
    return new ChildJvm(program, List.of(arguments));
  }

  /** Adds options of the JVM. */
  public ChildJvm options(String... more) {
    options = List.of(more);
    return this;
  }

  /** Adds environment variables to the inherited ones. */
  public ChildJvm environment(Map<String, String> variables) {
    environment = variables;
    return this;
  }

  /** Leaves out the entries of the class path that contain a text. */
  public ChildJvm without(String part) {
    left = left.and(entry -> !entry.contains(part));
    return this;
  }

  /** Adds entries to the class path. */
  public ChildJvm with(List<Path> entries) {
    added = List.copyOf(entries);
    return this;
  }

  /** Sets a shell command that runs before the program. */
  public ChildJvm before(String command) {
    before = List.of("sh", "-c", command + "; exec \"$@\"", "sh");
    return this;
  }

  /** Returns the options of this JVM that choose its compilers and its collector. */
  public static List<String> inherited() {
    return ManagementFactory.getRuntimeMXBean().getInputArguments().stream()
        .filter(option -> option.matches("-XX:[+-].*(GC|Compilation)|-XX:TieredStopAtLevel=.*"))
        .toList();
  }

  /** Starts the program. Its output goes to a file. */
  public Process start(Path output) throws IOException {
    List<String> command = new ArrayList<>(before);
    command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
    String binding = System.getProperty("threegate.binding", "");
    if (!binding.isEmpty()) {
      command.add("-Dthreegate.binding=" + binding);
    }
    command.addAll(inherited());
    command.add("--enable-native-access=ALL-UNNAMED");
    command.add("-XX:-CreateCoredumpOnCrash");
    command.add("-XX:ErrorFile=/dev/stderr");
    command.addAll(options);
    String classPath =
        Stream.concat(
                Stream.of(System.getProperty("java.class.path").split(File.pathSeparator))
                    .filter(left),
                added.stream().map(Path::toString))
            .collect(Collectors.joining(File.pathSeparator));
    command.addAll(List.of("-cp", classPath, program.getName()));
    command.addAll(arguments);
    ProcessBuilder builder = new ProcessBuilder(command).redirectErrorStream(true);
    builder.environment().putAll(environment);
    return builder.redirectOutput(output.toFile()).start();
  }

  /** Runs the program and waits for its end. */
  public Result run() throws IOException, InterruptedException {
    Path output = Files.createTempFile("child", ".log");
    try {
      Process process = start(output);
      if (!process.waitFor(LONGEST_SECONDS, TimeUnit.SECONDS)) {
        process.destroyForcibly().waitFor();
      }
      byte[] bytes = Files.readAllBytes(output);
      return new Result(process.exitValue(), new String(bytes, StandardCharsets.UTF_8));
    } finally {
      Files.delete(output);
    }
  }
}
