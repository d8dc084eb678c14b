package org.threegate.cli;

import java.nio.file.Path;
import java.time.Clock;
import java.util.List;
import org.threegate.rl.task.ChatTemplate;
import org.threegate.rl.task.Problem;
import org.threegate.rl.task.ProblemFile;
import org.threegate.run.InvalidInputException;

/** Problems with prompts: those that are conversations go through the model's chat template. */
final class PlainProblems {
  private PlainProblems() {}

  static List<Problem> read(Path path, Path model, ChatTemplate.Options options) {
    return read(path, model, options, Clock.systemDefaultZone());
  }

  /**
   * @param model directory whose template it is
   * @param options of the template
   * @param clock for templates that print the date
   */
  static List<Problem> read(Path path, Path model, ChatTemplate.Options options, Clock clock) {
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
                            + " no chat template; write prompts, or take a model that was tuned on conversations"))
            .with(options)
            .at(clock);
    return problems.stream().map(template::plain).toList();
  }
}
