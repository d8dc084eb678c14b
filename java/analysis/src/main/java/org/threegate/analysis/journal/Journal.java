package org.threegate.analysis.journal;

import com.fasterxml.jackson.databind.MapperFeature;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.datatype.jdk8.Jdk8Module;
import java.io.BufferedWriter;
import java.io.IOException;
import java.io.Writer;
import java.nio.channels.Channels;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.threegate.file.AtomicFiles;
import org.threegate.file.InputLines;
import org.threegate.file.OutputLock;
import org.threegate.kernel.KernelException;
import org.threegate.kernel.Status;
import org.threegate.run.CancelledException;
import org.threegate.run.InvalidInputException;
import org.threegate.run.Remedy;

/**
 * What an interrupted run has finished: a line of JSON an item, behind a first line that says of
 * what. A line that was cut off by the interruption, or that no run has written, is dropped, and
 * what comes behind it.
 *
 * <pre>{@code
 * try (Journal<Comparison.Finished> journal =
 *     Journal.open(Path.of("journal"), Comparison.Finished.class, "what is compared", true)) {
 *   System.out.println(journal.finished().size() + " tensors were finished before");
 * }
 * }</pre>
 *
 * @param <T> a record of what is known of an item once it is finished
 */
public final class Journal<T> implements AutoCloseable {
  private static final int LONGEST_LINE = 1 << 28; // bytes, of an item

  // Only the components of records are data, not what they say of themselves.
  private static final ObjectMapper MAPPER =
      JsonMapper.builder()
          .addModule(new Jdk8Module())
          .disable(MapperFeature.AUTO_DETECT_IS_GETTERS)
          .build();

  private final OutputLock held;
  private final BufferedWriter out;
  private final List<T> finished;

  private Journal(OutputLock held, BufferedWriter out, List<T> finished) {
    this.held = held;
    this.out = out;
    this.finished = finished;
  }

  /**
   * Opens a journal, which nobody else writes until it is closed.
   *
   * @param fingerprint of inputs and options
   * @param resume go on with what is there, if it has the same fingerprint; else begin anew
   */
  public static <T> Journal<T> open(Path path, Class<T> type, String fingerprint, boolean resume)
      throws IOException {
    OutputLock held = OutputLock.of(path);
    boolean opened = false;
    try {
      List<T> finished = resume && Files.exists(path) ? read(path, type, fingerprint) : List.of();
      // At once: killed here, a run has finished no less than before.
      AtomicFiles.write(
          path,
          file -> {
            Writer lines = Channels.newWriter(file, StandardCharsets.UTF_8);
            lines.append(fingerprint).append('\n');
            for (T item : finished) {
              lines.append(encode(item)).append('\n');
            }
            lines.flush();
          });
      Journal<T> journal =
          new Journal<>(
              held,
              Files.newBufferedWriter(path, StandardCharsets.UTF_8, StandardOpenOption.APPEND),
              finished);
      opened = true;
      return journal;
    } finally {
      if (!opened) {
        held.close();
      }
    }
  }

  private static <T> List<T> read(Path path, Class<T> type, String fingerprint) throws IOException {
    List<T> finished = new ArrayList<>();
    try (InputLines lines = InputLines.ofRun(path, LONGEST_LINE)) {
      if (!lines.next().equals(Optional.of(fingerprint))) {
        throw new InvalidInputException(
            path + ": the interrupted run was of other files or with other options",
            Remedy.START_AGAIN);
      }
      Optional<T> item = lines.next().flatMap(line -> item(type, line));
      while (item.isPresent()) {
        finished.add(item.get());
        item = lines.next().flatMap(line -> item(type, line));
      }
    }
    return List.copyOf(finished);
  }

  /** An item; nothing of a line that was cut off, or is not what a run has written. */
  private static <T> Optional<T> item(Class<T> type, String line) {
    try {
      T item = decode(type, line);
      return RecordCheck.isSound(item) && encode(item).equals(line)
          ? Optional.of(item)
          : Optional.empty();
    } catch (IOException e) {
      return Optional.empty();
    }
  }

  /** What an earlier run finished. */
  public List<T> finished() {
    return finished;
  }

  public void add(T item) throws IOException {
    out.write(encode(item));
    out.newLine();
    out.flush();
  }

  /** An item as a line, which holds every bit of it. */
  public static String encode(Object item) throws IOException {
    return MAPPER.writeValueAsString(item);
  }

  /** And back. */
  public static <T> T decode(Class<T> type, String line) throws IOException {
    return MAPPER.readValue(line, type);
  }

  /** What fills a journal. */
  @FunctionalInterface
  public interface Run<R> {
    R run() throws IOException;
  }

  /** Runs what fills it: it stays if that is cancelled, and goes if it is complete or failed. */
  public <R> R during(Run<R> run) throws IOException {
    R result;
    try {
      result = run.run();
    } catch (RuntimeException | IOException e) {
      if (isCancelled(e)) {
        close();
      } else {
        delete();
      }
      throw e;
    }
    delete();
    return result;
  }

  private static boolean isCancelled(Exception e) {
    return e instanceof CancelledException
        || e instanceof KernelException failure && failure.status() == Status.CANCELLED;
  }

  /** Closes and removes it. */
  public void delete() throws IOException {
    try {
      out.close();
    } catch (IOException e) {
      // A full disk: what could not be written is not needed any more.
      remove();
      return;
    }
    remove();
  }

  private void remove() throws IOException {
    try {
      Files.deleteIfExists(held.output());
    } finally {
      held.close();
    }
  }

  @Override
  public void close() throws IOException {
    try {
      out.close();
    } finally {
      held.close();
    }
  }
}
