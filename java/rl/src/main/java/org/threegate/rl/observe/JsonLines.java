package org.threegate.rl.observe;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Optional;
import org.threegate.file.AtomicFiles;
import org.threegate.file.InputLines;
import org.threegate.rl.event.TrainingEvent;
import org.threegate.rl.event.TrainingObserver;

/**
 * Writes each event as a line of JSON: step, kind of the event, and metrics. A step with several
 * updates has a line for each of them before its own, which has their means. No value depends on
 * the clock, so that the file of a resumed run equals that of an uninterrupted one.
 *
 * <pre>{@code
 * try (JsonLines lines = JsonLines.open(Path.of("metrics.jsonl"), 0)) {
 *   trainer.run(lines);
 * }
 * }</pre>
 */
public final class JsonLines implements TrainingObserver, AutoCloseable {
  private static final int LONGEST = 1 << 24; // bytes of a line
  private static final ObjectMapper MAPPER = new ObjectMapper();

  private final FileChannel out;

  private JsonLines(FileChannel out) {
    this.out = out;
  }

  /**
   * Opens a file to append to. Lines of later steps and an incomplete last line are removed.
   *
   * @param path the file
   * @param step the step that the run resumes from; 0 starts a new file
   * @return the observer
   * @throws IOException when the file cannot be read or written
   */
  public static JsonLines open(Path path, long step) throws IOException {
    truncate(path, step);
    return new JsonLines(
        FileChannel.open(path, StandardOpenOption.WRITE, StandardOpenOption.APPEND));
  }

  /** Removes lines of later steps. */
  static void truncate(Path path, long step) throws IOException {
    boolean isGoingOn = step > 0 && Files.exists(path);
    AtomicFiles.write(
        path,
        file -> {
          if (isGoingOn) {
            try (InputLines lines = InputLines.ofRun(path, LONGEST)) {
              for (Optional<String> line = lines.next(); line.isPresent(); line = lines.next()) {
                if (isUpTo(line.get(), step)) {
                  write(file, line.get());
                }
              }
            }
          }
        });
  }

  private static boolean isUpTo(String line, long step) {
    try {
      JsonNode row = MAPPER.readTree(line);
      return row.path("step").isNumber() && row.path("step").asLong() <= step;
    } catch (JsonProcessingException e) {
      return false; // an incomplete line, left by a killed run
    }
  }

  static void write(FileChannel file, String line) throws IOException {
    ByteBuffer bytes = ByteBuffer.wrap((line + "\n").getBytes(StandardCharsets.UTF_8));
    while (bytes.hasRemaining()) {
      file.write(bytes);
    }
  }

  @Override
  public void on(TrainingEvent event) {
    try {
      for (String update : EventRow.updates(event)) {
        write(out, update);
      }
      write(out, EventRow.of(event));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  @Override
  public void close() throws IOException {
    try (out) {
      out.force(true);
    }
  }
}
