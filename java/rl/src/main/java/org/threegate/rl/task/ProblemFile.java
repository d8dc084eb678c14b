package org.threegate.rl.task;

import com.fasterxml.jackson.databind.JsonNode;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.threegate.checkpoint.Json;
import org.threegate.file.InputLines;
import org.threegate.run.InvalidInputException;

/**
 * Reads problems from JSON Lines files. Three forms of lines are supported:
 *
 * <ul>
 *   <li>{@code {"prompt": "2+2=", "answer": "4"}};
 *   <li>a conversation as {@code messages}, or as {@code prompt}, with its {@code answer};
 *   <li>rows of verl, whose answer is {@code reward_model.ground_truth} and whose kind is {@code
 *       data_source}.
 * </ul>
 *
 * <pre>{@code
 * List<Problem> problems = ProblemFile.read(Path.of("train.jsonl"));
 * }</pre>
 */
public final class ProblemFile {
  private static final int LONGEST_LINE = 1 << 24; // bytes
  private static final int MOST = 10_000_000;

  private ProblemFile() {}

  /**
   * Reads a file.
   *
   * @param path the JSON Lines file
   * @return the problems, in the order of the lines
   * @throws InvalidInputException when a line is not a problem; the message has the line number
   */
  public static List<Problem> read(Path path) {
    List<Problem> problems = new ArrayList<>();
    try (InputLines lines = InputLines.open(path, LONGEST_LINE)) {
      for (Optional<String> line = lines.next(); line.isPresent(); line = lines.next()) {
        if (!line.get().isBlank()) {
          problems.add(parse(line.get(), lines.where()));
        }
        if (problems.size() > MOST) {
          throw new InvalidInputException(path + ": more than " + MOST + " problems; split it");
        }
      }
    }
    if (problems.isEmpty()) {
      throw new InvalidInputException(path + ": the file has no problems");
    }
    return List.copyOf(problems);
  }

  private static Problem parse(String line, String where) {
    JsonNode row = Json.parseObject(line, where);
    JsonNode asked = row.has("messages") ? row.path("messages") : row.path("prompt");
    JsonNode truth = row.path("reward_model").path("ground_truth");
    JsonNode answer = row.has("answer") ? row.path("answer") : truth;
    if (!answer.isTextual() && !answer.isNumber()) {
      throw new InvalidInputException(
          where + ": \"answer\" or \"reward_model.ground_truth\" must be a string or a number");
    }
    String kind = row.path("kind").asText(row.path("data_source").asText(""));
    if (asked.isTextual()) {
      return Problem.of(asked.asText(), answer.asText(), kind);
    }
    if (!asked.isArray() || asked.isEmpty()) {
      throw new InvalidInputException(
          where + ": \"prompt\" must be a string, or \"messages\" a list");
    }
    List<Message> messages = new ArrayList<>();
    for (JsonNode message : asked) {
      if (!message.path("role").isTextual()
          || message.path("role").asText().isEmpty()
          || !message.path("content").isTextual()) {
        throw new InvalidInputException(
            where
                + ": message "
                + (messages.size() + 1)
                + " must have a string for \"role\" and for \"content\"");
      }
      messages.add(new Message(message.path("role").asText(), message.path("content").asText()));
    }
    return new Problem(messages, answer.asText(), kind, false);
  }
}
