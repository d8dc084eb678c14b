package org.threegate.cli;

import java.util.List;
import java.util.function.Predicate;
import java.util.stream.Stream;
import org.threegate.analysis.statistics.Accounting;
import org.threegate.run.InvalidInputException;

/** What {@code --strict} refuses. */
final class Strictness {
  private Strictness() {}

  /**
   * Refuses checkpoints with selected tensors that are unmatched or refused.
   *
   * @param subject begin of the message
   * @param problem what is wrong with the tensors, such as "do not match"
   * @param remedy end of the message
   */
  static void require(
      String subject,
      String problem,
      String remedy,
      List<Accounting.Side> sides,
      Predicate<String> selected) {
    List<Accounting.Note> problems =
        sides.stream()
            .flatMap(side -> Stream.concat(side.unmatched().stream(), side.refused().stream()))
            .filter(note -> selected.test(note.tensor()))
            .toList();
    if (!problems.isEmpty()) {
      throw new InvalidInputException(
          subject
              + ": "
              + problems.size()
              + " tensors "
              + problem
              + ", the first is "
              + problems.get(0).tensor()
              + " ("
              + problems.get(0).reason()
              + "); leave out --strict to "
              + remedy);
    }
  }
}
