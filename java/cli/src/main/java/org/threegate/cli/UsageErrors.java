package org.threegate.cli;

import java.util.List;
import java.util.stream.Collectors;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.UnmatchedArgumentException;

/** Words errors of a command line in one line, with picocli's suggestions for mistyped names. */
final class UsageErrors {
  private static final int MOST_SUGGESTIONS = 3;

  private UsageErrors() {}

  /** Returns the message for a command line that does not fit its command. */
  static String message(ParameterException e) {
    CommandSpec command = e.getCommandLine().getCommandSpec();
    if (e instanceof UnmatchedArgumentException unmatched) {
      return unmatched(unmatched, command);
    }
    if (e.getArgSpec() == null && e.getValue() != null && !command.subcommands().isEmpty()) {
      // "help COMMAND" with an unknown command
      return unmatched(
          new UnmatchedArgumentException(e.getCommandLine(), List.of(e.getValue())), command);
    }
    return e.getMessage() + "; " + pointer(command);
  }

  private static String unmatched(UnmatchedArgumentException e, CommandSpec command) {
    String name = e.getUnmatched().get(0);
    boolean option = name.startsWith("-");
    String kind = option ? "option" : command.subcommands().isEmpty() ? "argument" : "command";
    List<String> names = e.getSuggestions().stream().limit(option ? MOST_SUGGESTIONS : 1).toList();
    String advice =
        names.isEmpty()
            ? pointer(command)
            : names.stream()
                .map(suggestion -> "'" + suggestion + "'")
                .collect(Collectors.joining(" or ", "did you mean ", "?"));
    return "unknown " + kind + " '" + name + "'; " + advice;
  }

  /** Names the help of a command. */
  private static String pointer(CommandSpec command) {
    String[] names = command.qualifiedName(" ").split(" ");
    return "see threegate help" + (names.length > 1 ? " " + names[1] : "");
  }
}
