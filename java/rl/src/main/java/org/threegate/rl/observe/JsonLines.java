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
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.threegate.file.AtomicFiles;
import org.threegate.file.InputLines;
import org.threegate.rl.event.TrainingEvent;
import org.threegate.rl.event.TrainingObserver;

/**
 * One object of JSON a line for each event: its step, what it was, its metrics. Nothing in it
 * depends on the clock, so that a run that was resumed has the same file as one that was not.
 *
 * <pre>{@code
 * try (JsonLines lines = JsonLines.open(Path.of("metrics.jsonl"), 0)) {
 *   trainer.run(lines);
 * }
 * }</pre>
 */
public final class JsonLines implements TrainingObserver, AutoCloseable {
  private static final int LONGEST = 1 << 24; // of lines, in bytes
  private static final ObjectMapper MAPPER = new ObjectMapper();

  private final FileChannel out;

  private JsonLines(FileChannel out) {
    this.out = out;
  }

  /**
   * Goes on with a file, of which lines of later steps, and one that was torn, are dropped.
   *
   * @param step after which the run goes on; 0: a new file
   */
  public static JsonLines open(Path path, long step) throws IOException {
    List<String> kept = new ArrayList<>();
    if (step > 0 && Files.exists(path)) {
      try (InputLines lines = InputLines.ofRun(path, LONGEST)) {
        for (Optional<String> line = lines.next(); line.isPresent(); line = lines.next()) {
          if (isUpTo(line.get(), step)) {
            kept.add(line.get());
          }
        }
      }
    }
    AtomicFiles.write(
        path,
        file -> {
          for (String line : kept) {
            write(file, line);
          }
        });
    return new JsonLines(
        FileChannel.open(path, StandardOpenOption.WRITE, StandardOpenOption.APPEND));
  }

  private static boolean isUpTo(String line, long step) {
    try {
      JsonNode row = MAPPER.readTree(line);
      return row.path("step").isNumber() && row.path("step").asLong() <= step;
    } catch (JsonProcessingException e) {
      return false; // the last one of a run that was killed
    }
  }

  private static void write(FileChannel file, String line) throws IOException {
    ByteBuffer bytes = ByteBuffer.wrap((line + "\n").getBytes(StandardCharsets.UTF_8));
    while (bytes.hasRemaining()) {
      file.write(bytes);
    }
  }

  @Override
  public void on(TrainingEvent event) {
    try {
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
