package org.threegate.cli;

import java.nio.file.Path;
import java.util.List;
import org.threegate.checkpoint.InvalidInputException;
import org.threegate.rl.task.ChatTemplate;
import org.threegate.rl.task.Problem;
import org.threegate.rl.task.ProblemFile;

/** Problems with prompts: those that are conversations go through the model's chat template. */
final class PlainProblems {
  private PlainProblems() {}

  /**
   * @param model directory whose template it is
   */
  static List<Problem> read(Path path, Path model) {
    List<Problem> problems = ProblemFile.read(path);
    if (problems.stream().noneMatch(Problem::isChat)) {
      return problems;
    }
    ChatTemplate template =
        ChatTemplate.load(model)
            .orElseThrow(
                () ->
                    new InvalidInputException(
                        path
                            + ": has conversations, and "
                            + model
                            + " no chat template; write prompts, or take a model that was tuned on conversations"));
    return problems.stream().map(template::plain).toList();
  }
}
