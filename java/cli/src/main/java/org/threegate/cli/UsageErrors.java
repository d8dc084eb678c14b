package org.threegate.cli;

import java.util.List;
import java.util.Locale;
import java.util.stream.Collectors;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.UnmatchedArgumentException;

/** Words errors of a command line in one line, with picocli's suggestions for mistyped names. */
final class UsageErrors {
  private static final int MOST_SUGGESTIONS = 3;
  private static final String PREFIX = "Error: "; // of picocli

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
    return plain(e.getMessage()) + "; " + pointer(command);
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

  /** Returns a message of picocli as the second half of a line. */
  private static String plain(String message) {
    String text = message.startsWith(PREFIX) ? message.substring(PREFIX.length()) : message;
    return text.isEmpty()
        ? text
        : text.substring(0, 1).toLowerCase(Locale.ROOT) + text.substring(1);
  }

  /** Returns a pointer to the help of a command. */
  private static String pointer(CommandSpec command) {
    String[] names = command.qualifiedName(" ").split(" ");
    return "see threegate help" + (names.length > 1 ? " " + names[1] : "");
  }
}
