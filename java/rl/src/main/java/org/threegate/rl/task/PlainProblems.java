package org.threegate.rl.task;

import java.nio.file.Path;
import java.time.Clock;
import java.util.List;
import org.threegate.run.InvalidInputException;

/**
 * Reads problems whose prompts are plain texts. Conversations are rendered by the chat template of
 * the model.
 *
 * <pre>{@code
 * List<Problem> problems =
 *     PlainProblems.read(
 *         Path.of("test.jsonl"), base, ChatTemplate.Options.NONE, java.time.Clock.systemDefaultZone());
 * }</pre>
 */
public final class PlainProblems {
  private PlainProblems() {}

  /**
   * Reads a file of problems.
   *
   * @param path a file or directory, as {@link ProblemFile#read(Path)} reads it
   * @param model directory of the model whose template renders conversations
   * @param options of the template
   * @param clock for templates that print the date
   * @return the problems, in the order of the rows
   * @throws InvalidInputException for a row that is no problem, or for conversations where the
   *     model has no template
   */
  public static List<Problem> read(
      Path path, Path model, ChatTemplate.Options options, Clock clock) {
    return rendered(ProblemFile.read(path), model, options, clock);
  }

  /**
   * Renders the conversations among problems.
   *
   * @param problems problems of any kind
   * @param model directory of the model whose template renders conversations
   * @param options of the template
   * @param clock for templates that print the date
   * @return the problems in their order, all with plain prompts
   * @throws InvalidInputException for conversations where the model has no template
   */
  public static List<Problem> rendered(
      List<Problem> problems, Path model, ChatTemplate.Options options, Clock clock) {
    if (problems.stream().noneMatch(Problem::isChat)) {
      return problems;
    }
    ChatTemplate template =
        ChatTemplate.load(model)
            .orElseThrow(
                () ->
                    new InvalidInputException(
                        model
                            + ": the problems are conversations, and the model has no chat template; write prompts, or take a model that was tuned on conversations"))
            .with(options)
            .at(clock);
    return problems.stream().map(template::plain).toList();
  }
}
