package org.threegate.cli;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import picocli.CommandLine;
import picocli.CommandLine.Help;
import picocli.CommandLine.Help.Column;
import picocli.CommandLine.Help.Column.Overflow;
import picocli.CommandLine.Help.TextTable;
import picocli.CommandLine.Model.UsageMessageSpec;

/** Lists commands in the groups and the order of the README's table. */
final class CommandGroups {
  private static final String OTHER = "Other";

  private static final Map<String, List<String>> GROUPS = groups();

  private CommandGroups() {}

  private static Map<String, List<String>> groups() {
    Map<String, List<String>> groups = new LinkedHashMap<>();
    groups.put("Compare checkpoints", List.of("compare", "calibrate", "consensus"));
    groups.put("Use the geometry of a model", List.of("mask", "intervene"));
    groups.put("Measure curvature", List.of("curvature", "capture"));
    groups.put("Train decoders", List.of("train", "eval", "generate"));
    groups.put("Exchange weights", List.of("patch"));
    groups.put("Reproduce the paper", List.of("study", "pretrain"));
    groups.put("Get started", List.of("inspect", "doctor", "demo", "help"));
    return groups;
  }

  /** Returns the list of the commands of a program, for its help. */
  static String render(Help help) {
    Map<String, CommandLine> left = new LinkedHashMap<>(help.commandSpec().subcommands());
    int width = 2 + left.keySet().stream().mapToInt(String::length).max().orElse(0);
    StringBuilder text = new StringBuilder();
    GROUPS.forEach(
        (title, names) -> {
          List<CommandLine> commands = new ArrayList<>();
          for (String name : names) {
            CommandLine command = left.remove(name);
            if (command != null) {
              commands.add(command);
            }
          }
          append(text, help, title, commands, width);
        });
    append(text, help, OTHER, List.copyOf(left.values()), width);
    return text.toString();
  }

  private static void append(
      StringBuilder text, Help help, String title, List<CommandLine> commands, int width) {
    if (commands.isEmpty()) {
      return;
    }
    TextTable table =
        TextTable.forColumns(
            help.colorScheme(),
            new Column(2 + width, 2, Overflow.TRUNCATE),
            new Column(help.commandSpec().usageMessage().width() - 2 - width, 0, Overflow.WRAP));
    for (CommandLine command : commands) {
      table.addRowValues(
          help.colorScheme().commandText(command.getCommandName()),
          help.colorScheme().text(summary(command.getCommandSpec().usageMessage())));
    }
    text.append(String.format("%n%s:%n", title)).append(table);
  }

  /** Returns the first paragraph of a command's help. */
  private static String summary(UsageMessageSpec usage) {
    return Stream.concat(Arrays.stream(usage.header()), Arrays.stream(usage.description()))
        .findFirst()
        .orElse("");
  }
}
