package org.threegate.rl.task;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.TreeMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.threegate.checkpoint.Json;
import org.threegate.file.InputLines;
import org.threegate.run.InvalidInputException;

/**
 * Reads problems from JSON Lines or Parquet files, or from directories of either. Three forms of
 * rows are supported:
 *
 * <ul>
 *   <li>{@code {"prompt": "2+2=", "answer": "4"}};
 *   <li>a conversation as {@code messages}, or as {@code prompt}, with its {@code answer};
 *   <li>rows of verl, whose answer is {@code reward_model.ground_truth} and whose kind is {@code
 *       data_source}.
 * </ul>
 *
 * All other columns stay with the problem, for reward functions. A directory may have the shards of
 * several splits, as data sets of the Hub do: {@code data/train} then reads {@code
 * data/train-00000-of-00002.parquet} and the other one.
 *
 * <pre>{@code
 * List<Problem> problems = ProblemFile.read(Path.of("train.jsonl"));
 * }</pre>
 */
public final class ProblemFile {
  private static final int LONGEST_LINE = 1 << 24; // bytes
  private static final int MOST = 10_000_000;
  private static final long MOST_CHARACTERS = 1L << 31; // of all rows
  private static final int MOST_FILES = 100_000;
  private static final Pattern SHARD =
      Pattern.compile("(.+)-(\\d{5})-of-(\\d{5})\\.(jsonl|parquet)");
  private static final Pattern DATA = Pattern.compile("[^.].*\\.(jsonl|parquet)");

  private ProblemFile() {}

  /** Whether each problem must have an answer. */
  public enum Answers {
    /** A row without an answer is refused. */
    REQUIRED,
    /** The answer of a row without one is empty. Rewards use other columns. */
    OPTIONAL
  }

  /**
   * Reads problems with their answers.
   *
   * @param path a JSON Lines file, a Parquet file, a directory of either, or a directory and the
   *     name of a split in it
   * @return the problems, in the order of the rows
   * @throws InvalidInputException when a row is not a problem; the message has its number
   */
  public static List<Problem> read(Path path) {
    return read(path, Answers.REQUIRED);
  }

  /**
   * Reads problems.
   *
   * @param path as for {@link #read(Path)}
   * @param answers whether each problem must have an answer
   * @return the problems, in the order of the rows
   * @throws InvalidInputException when a row is not a problem; the message has its number
   */
  public static List<Problem> read(Path path, Answers answers) {
    Found found = new Found(path, answers, new ArrayList<>());
    for (Path file : files(path)) {
      if (file.getFileName().toString().endsWith(".parquet")) {
        found.parquet(file);
      } else {
        found.lines(file);
      }
    }
    if (found.problems.isEmpty()) {
      throw new InvalidInputException(path + ": the file has no problems");
    }
    return List.copyOf(found.problems);
  }

  /**
   * {@return the files that {@link #read} reads, in their order}
   *
   * @param path as for {@link #read(Path)}
   * @throws InvalidInputException when a directory has no data, or only a part of its shards
   */
  public static List<Path> files(Path path) {
    Path parent = path.toAbsolutePath().getParent();
    if (Files.isDirectory(path)) {
      List<Path> data = matching(path, DATA);
      TreeMap<String, List<Path>> splits = splits(data);
      if (splits.size() > 1) {
        throw new InvalidInputException(
            path
                + ": has the splits "
                + String.join(", ", splits.keySet())
                + "; name one, such as "
                + path.resolve(splits.firstKey()));
      }
      if (data.isEmpty()) {
        throw new InvalidInputException(path + ": has no file named *.jsonl or *.parquet");
      }
      return data;
    }
    if (!Files.exists(path) && path.getFileName() != null && Files.isDirectory(parent)) {
      List<Path> shards =
          splits(matching(parent, SHARD)).getOrDefault(path.getFileName().toString(), List.of());
      if (!shards.isEmpty()) {
        return shards;
      }
    }
    return List.of(path);
  }

  private static List<Path> matching(Path directory, Pattern names) {
    try (Stream<Path> all = Files.list(directory)) {
      List<Path> found =
          all.filter(file -> names.matcher(file.getFileName().toString()).matches())
              .limit(MOST_FILES + 1)
              .sorted()
              .toList();
      if (found.size() > MOST_FILES) {
        throw new InvalidInputException(directory + ": more than " + MOST_FILES + " files");
      }
      return found;
    } catch (IOException e) {
      throw new InvalidInputException(directory + ": cannot be listed: " + e.getMessage(), e);
    }
  }

  /** Returns the shards of each split, and refuses splits with missing ones. */
  private static TreeMap<String, List<Path>> splits(List<Path> files) {
    TreeMap<String, List<Path>> splits = new TreeMap<>();
    for (Path file : files) {
      Matcher shard = SHARD.matcher(file.getFileName().toString());
      if (shard.matches()) {
        List<Path> own = splits.computeIfAbsent(shard.group(1), name -> new ArrayList<>());
        if (Integer.parseInt(shard.group(2)) != own.size()) {
          throw missing(file, shard, own.size());
        }
        own.add(file);
      }
    }
    splits
        .values()
        .forEach(
            own -> {
              Path last = own.get(own.size() - 1);
              Matcher shard = SHARD.matcher(last.getFileName().toString());
              if (shard.matches() && Integer.parseInt(shard.group(3)) != own.size()) {
                throw missing(last, shard, own.size());
              }
            });
    return splits;
  }

  private static InvalidInputException missing(Path beside, Matcher shard, int number) {
    return new InvalidInputException(
        beside.resolveSibling(
                String.format(
                    "%s-%05d-of-%s.%s", shard.group(1), number, shard.group(3), shard.group(4)))
            + ": this shard is missing; fetch it, too");
  }

  /** Collects problems, and bounds how many there are. */
  private static final class Found {
    private final Path path;
    private final Answers answers;
    private final List<Problem> problems;
    private long characters;

    Found(Path path, Answers answers, List<Problem> problems) {
      this.path = path;
      this.answers = answers;
      this.problems = problems;
    }

    void lines(Path file) {
      try (InputLines lines = InputLines.open(file, LONGEST_LINE)) {
        for (Optional<String> line = lines.next(); line.isPresent(); line = lines.next()) {
          if (!line.get().isBlank()) {
            add(Json.parseObject(line.get(), lines.where()), line.get(), lines.where());
          }
        }
      }
    }

    void parquet(Path file) {
      try (ParquetRows rows = ParquetRows.open(file)) {
        for (Optional<ObjectNode> row = rows.next(); row.isPresent(); row = rows.next()) {
          add(row.get(), row.get().toString(), rows.where());
        }
      }
    }

    private void add(JsonNode row, String text, String where) {
      problems.add(problem(row, text, where, answers));
      characters += text.length();
      if (problems.size() > MOST || characters > MOST_CHARACTERS) {
        throw new InvalidInputException(
            path
                + ": more than "
                + MOST
                + " problems or "
                + MOST_CHARACTERS
                + " characters; split it");
      }
    }
  }

  private static Problem problem(JsonNode row, String text, String where, Answers answers) {
    JsonNode asked = row.path(row.path("messages").isArray() ? "messages" : "prompt");
    JsonNode truth = row.path("reward_model").path("ground_truth");
    JsonNode answer = row.hasNonNull("answer") ? row.path("answer") : truth;
    boolean isAnswered = answer.isTextual() || answer.isNumber();
    if (!isAnswered && answers == Answers.REQUIRED) {
      throw new InvalidInputException(
          where + ": \"answer\" or \"reward_model.ground_truth\" must be a string or a number");
    }
    String kind = row.path("kind").asText(row.path("data_source").asText(""));
    if (asked.isTextual()) {
      return Problem.of(asked.asText(), isAnswered ? answer.asText() : "", kind).withRow(text);
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
    return new Problem(messages, isAnswered ? answer.asText() : "", kind, false, text);
  }
}
