package org.threegate.cli;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.function.Predicate;
import org.threegate.checkpoint.NamePattern;
import picocli.CommandLine.Option;

/** Options that select tensors by name. */
final class Selection {
  @Option(
      names = "--include",
      paramLabel = "REGEX",
      description = "Select only tensors whose name contains a match (RE2 syntax).")
  private Optional<String> include = Optional.empty();

  @Option(
      names = "--exclude",
      paramLabel = "REGEX",
      description = "Leave out tensors whose name contains a match (RE2 syntax).")
  private Optional<String> exclude = Optional.empty();

  Predicate<String> predicate() {
    Predicate<String> included = finder("--include", include).orElse(name -> true);
    Predicate<String> excluded = finder("--exclude", exclude).orElse(name -> false);
    return name -> included.test(name) && !excluded.test(name);
  }

  boolean isPresent() {
    return include.isPresent() || exclude.isPresent();
  }

  /** Returns these options as arguments of a command line. */
  List<String> command() {
    List<String> command = new ArrayList<>();
    include.ifPresent(regex -> command.addAll(List.of("--include", regex)));
    exclude.ifPresent(regex -> command.addAll(List.of("--exclude", regex)));
    return command;
  }

  private static Optional<Predicate<String>> finder(String option, Optional<String> regex) {
    return regex.map(text -> NamePattern.of(text, option)::isIn);
  }
}
