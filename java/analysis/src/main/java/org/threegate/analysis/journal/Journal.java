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
 * A file of finished items, from which an interrupted run continues. The first line is the
 * fingerprint of the run. Each further line is one item as JSON. Reading stops at the first
 * incomplete or invalid line; that line and all lines after it are dropped.
 *
 * <pre>{@code
 * try (Journal<Comparison.Finished> journal =
 *     Journal.open(Path.of("journal"), Comparison.Finished.class, "what is compared", true)) {
 *   System.out.println(journal.finished().size() + " tensors were finished before");
 * }
 * }</pre>
 *
 * @param <T> record type of a finished item
 */
public final class Journal<T> implements AutoCloseable {
  private static final int LONGEST_LINE = 1 << 28; // bytes per item

  // Serialize record components only; derived getters are not data.
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
   * Opens a journal and locks it for writing until it is closed.
   *
   * @param <T> record type of a finished item
   * @param path the file of the journal
   * @param type record type of the items
   * @param fingerprint fingerprint of inputs and options
   * @param resume whether to continue from an existing journal with the same fingerprint; if false,
   *     start over
   * @return the journal, which the caller closes
   * @throws IOException if the file cannot be read or written
   */
  public static <T> Journal<T> open(Path path, Class<T> type, String fingerprint, boolean resume)
      throws IOException {
    OutputLock held = OutputLock.of(path);
    boolean opened = false;
    try {
      List<T> finished = resume && Files.exists(path) ? read(path, type, fingerprint) : List.of();
      // Replace the file atomically, so that a run killed here loses no finished item.
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

  /** Parses a line. Returns empty if the line is truncated or not a sound item. */
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

  /** {@return the items that an earlier run finished, in the order of the file} */
  public List<T> finished() {
    return finished;
  }

  /**
   * Appends an item, which survives if the process is killed afterwards.
   *
   * @param item finished item
   * @throws IOException if the file cannot be written
   */
  public void add(T item) throws IOException {
    out.write(encode(item));
    out.newLine();
    out.flush();
  }

  /**
   * Encodes an item as one line of JSON without loss of precision.
   *
   * @param item record to encode
   * @return the line, without its line end
   * @throws IOException if the item cannot be encoded
   */
  public static String encode(Object item) throws IOException {
    return MAPPER.writeValueAsString(item);
  }

  /**
   * Decodes a line that {@link #encode} wrote.
   *
   * @param <T> record type of the item
   * @param type record type of the item
   * @param line line without its line end
   * @return the item
   * @throws IOException if the line is not an item of this type
   */
  public static <T> T decode(Class<T> type, String line) throws IOException {
    return MAPPER.readValue(line, type);
  }

  /**
   * A computation that writes to a journal.
   *
   * @param <R> type of the result
   */
  @FunctionalInterface
  public interface Run<R> {
    /**
     * Runs the computation.
     *
     * @return the result
     * @throws IOException if a file cannot be read or written
     */
    R run() throws IOException;
  }

  /**
   * Runs a computation that writes to this journal. The file is kept if the computation is
   * cancelled. It is deleted if the computation completes or fails.
   *
   * @param <R> type of the result
   * @param run computation that adds items to this journal
   * @return the result of the computation
   * @throws IOException if the computation throws it, or the journal cannot be deleted
   */
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

  /**
   * Closes the journal and deletes its file.
   *
   * @throws IOException if the file cannot be deleted
   */
  public void delete() throws IOException {
    try {
      out.close();
    } catch (IOException e) {
      // Closing can fail on a full disk; the unwritten data is no longer needed.
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
