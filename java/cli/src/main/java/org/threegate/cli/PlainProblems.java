package org.threegate.cli;

import java.nio.file.Path;
import java.util.List;
import org.threegate.checkpoint.InvalidInputException;
import org.threegate.rl.task.Problem;
import org.threegate.rl.task.ProblemFile;

/** Problems whose prompts are texts: a model's chat template is not applied. */
final class PlainProblems {
  private PlainProblems() {}

  static List<Problem> read(Path path) {
    List<Problem> problems = ProblemFile.read(path);
    for (Problem problem : problems) {
      if (problem.isChat()) {
        throw new InvalidInputException(
            path
                + ": has conversations, and chat templates are not applied yet; write prompts as the template would");
      }
    }
    return problems;
  }
}
