package org.threegate.rl.observe;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import org.threegate.rl.event.SampledCompletion;
import org.threegate.rl.event.TrainingEvent;
import org.threegate.rl.event.TrainingObserver;

/**
 * Writes each completion of some steps as a line of JSON: step, prompt, completion, rewards and
 * advantage. A completion of several turns has them as {@code turns}, which tell what an
 * environment wrote. Texts end after 65,536 characters. No value depends on the clock, so that the
 * file of a resumed run equals that of an uninterrupted one.
 *
 * <pre>{@code
 * try (CompletionLines lines = CompletionLines.open(Path.of("completions.jsonl"), 0, 10)) {
 *   trainer.run(lines);
 * }
 * }</pre>
 */
public final class CompletionLines implements TrainingObserver, AutoCloseable {
  private static final int LONGEST_TEXT = 1 << 16;
  private static final int LONGEST_NAME = 1000;

  private final FileChannel out;
  private final long every;

  private CompletionLines(FileChannel out, long every) {
    this.out = out;
    this.every = every;
  }

  /**
   * Opens a file to append to. Lines of later steps and an incomplete last line are removed.
   *
   * @param path the file
   * @param step the step that the run resumes from; 0 starts a new file
   * @param every the number of steps between two that are written, 1 or more
   * @return the observer
   * @throws IOException when the file cannot be read or written
   */
  public static CompletionLines open(Path path, long step, long every) throws IOException {
    JsonLines.truncate(path, step);
    return new CompletionLines(
        FileChannel.open(path, StandardOpenOption.WRITE, StandardOpenOption.APPEND), every);
  }

  @Override
  public void on(TrainingEvent event) {
    if (event.step() % every != 0) {
      return;
    }
    try {
      for (SampledCompletion own : event.details().completions()) {
        ObjectNode row = new ObjectMapper().createObjectNode().put("step", event.step());
        row.setAll(
            SampledText.row(
                own,
                LONGEST_TEXT,
                text -> SampledText.bounded(text, LONGEST_TEXT),
                name -> SampledText.bounded(name, LONGEST_NAME)));
        JsonLines.write(out, row.toString());
      }
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
