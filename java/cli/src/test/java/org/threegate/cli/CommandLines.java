package org.threegate.cli;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Function;
import java.util.stream.Stream;
import picocli.CommandLine;
import picocli.CommandLine.Model.ArgSpec;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Model.OptionSpec;
import picocli.CommandLine.Model.PositionalParamSpec;

/** All commands, and command lines that give each of them its file arguments. */
final class CommandLines {
  /** Further arguments that a command needs before it reads or writes anything. */
  private static final Map<String, List<String>> NEEDED =
      Map.of(
          "calibrate", List.of("--layers", "1", "--side", "16"),
          "mask", List.of("--kind", "low"),
          "intervene", List.of("--rotate-vo", "--layers", "0"),
          "generate", List.of("aaa"),
          "pretrain", List.of("--steps", "1"),
          "study", List.of("--quick", "--steps", "1"),
          "demo", List.of("--sample"),
          "patch follow", List.of("--once"));

  private CommandLines() {}

  /** A command without subcommands, and its full name. */
  record Command(String name, CommandSpec spec) {
    @Override
    public String toString() {
      return name;
    }

    List<ArgSpec> inputs() {
      return spec.args().stream().filter(CommandLines::isInput).toList();
    }

    Optional<ArgSpec> output() {
      return spec.args().stream().filter(argument -> kind(argument).isPresent()).findFirst();
    }

    /** Returns a command line with the files that the function gives for the file arguments. */
    String[] line(Function<ArgSpec, Optional<Path>> files) {
      List<String> line = new ArrayList<>(List.of(name.split(" ")));
      spec.positionalParameters().stream()
          .sorted(Comparator.comparing((PositionalParamSpec one) -> one.index().min()))
          .forEach(
              argument ->
                  files
                      .apply(argument)
                      .ifPresent(
                          file -> {
                            for (int i = 0; i < Math.max(1, argument.arity().min()); i++) {
                              line.add(file.toString());
                            }
                          }));
      line.addAll(NEEDED.getOrDefault(name, List.of()));
      spec.options().stream()
          .filter(option -> isInput(option) || kind(option).isPresent())
          .forEach(
              option ->
                  files
                      .apply(option)
                      .ifPresent(
                          file -> {
                            line.add(option.longestName());
                            line.add(file.toString());
                          }));
      return line.toArray(String[]::new);
    }
  }

  static List<Command> all() {
    List<Command> all = new ArrayList<>();
    add(all, "", new CommandLine(Main.class));
    return all;
  }

  private static void add(List<Command> all, String name, CommandLine command) {
    if (command.getSubcommands().isEmpty()) {
      all.add(new Command(name, command.getCommandSpec()));
    }
    command
        .getSubcommands()
        .forEach((own, line) -> add(all, name.isEmpty() ? own : name + " " + own, line));
  }

  static Stream<Command> writing() {
    return all().stream().filter(command -> command.output().isPresent());
  }

  static boolean isInput(ArgSpec argument) {
    return OutputGuard.annotation(argument, Input.class).isPresent();
  }

  static Optional<Output.Kind> kind(ArgSpec argument) {
    return OutputGuard.annotation(argument, Output.class).map(Output::value);
  }

  static String label(ArgSpec argument) {
    return argument instanceof OptionSpec option ? option.longestName() : argument.paramLabel();
  }
}
