package org.threegate.analysis.measure;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.MapperFeature;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.datatype.jdk8.Jdk8Module;
import java.io.BufferedWriter;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.threegate.checkpoint.InvalidInputException;

/**
 * What an interrupted comparison has finished: a line of JSON a tensor, behind a first line that
 * says of what. A line that was cut off by the interruption is dropped.
 *
 * <pre>{@code
 * try (Journal journal = Journal.open(Path.of("journal"), "what is compared", true)) {
 *   System.out.println(journal.finished().size() + " tensors were finished before");
 * }
 * }</pre>
 */
public final class Journal implements AutoCloseable {
  // Only the components of records are data, not what they say of themselves.
  private static final ObjectMapper MAPPER =
      JsonMapper.builder()
          .addModule(new Jdk8Module())
          .disable(MapperFeature.AUTO_DETECT_IS_GETTERS)
          .build();

  private final Path path;
  private final BufferedWriter out;
  private final List<Finished> finished;

  /**
   * A tensor that is done.
   *
   * @param geometry of its update, where that was measured
   * @param digests SHA-256 of the tensors that were read for it, by {@code base:NAME} and {@code
   *     tuned:NAME}
   */
  public record Finished(
      TensorDiff diff, Optional<TensorGeometry> geometry, Map<String, String> digests) {}

  private Journal(Path path, BufferedWriter out, List<Finished> finished) {
    this.path = path;
    this.out = out;
    this.finished = finished;
  }

  /**
   * Opens a journal.
   *
   * @param fingerprint of inputs and options
   * @param resume go on with what is there, if it has the same fingerprint; else begin anew
   */
  public static Journal open(Path path, String fingerprint, boolean resume) throws IOException {
    List<Finished> finished = new ArrayList<>();
    if (resume && Files.exists(path)) {
      List<String> lines = Files.readString(path).lines().toList();
      if (lines.isEmpty() || !lines.get(0).equals(fingerprint)) {
        throw new InvalidInputException(
            path
                + ": the interrupted comparison was of other files or with other options; leave out --resume to begin anew");
      }
      for (String line : lines.subList(1, lines.size())) {
        try {
          finished.add(MAPPER.readValue(line, Finished.class));
        } catch (JsonProcessingException e) {
          break; // cut off when it was written
        }
      }
    }
    BufferedWriter out =
        Files.newBufferedWriter(
            path,
            StandardCharsets.UTF_8,
            StandardOpenOption.CREATE,
            StandardOpenOption.TRUNCATE_EXISTING,
            StandardOpenOption.WRITE);
    Journal journal = new Journal(path, out, List.copyOf(finished));
    out.write(fingerprint);
    out.newLine();
    for (Finished tensor : finished) {
      journal.write(tensor);
    }
    out.flush();
    return journal;
  }

  /** What an earlier run finished. */
  public List<Finished> finished() {
    return finished;
  }

  void add(Finished tensor) throws IOException {
    write(tensor);
    out.flush();
  }

  private void write(Finished tensor) throws IOException {
    out.write(MAPPER.writeValueAsString(tensor));
    out.newLine();
  }

  /** Removes the journal: its comparison is complete, or failed for good. */
  public void delete() throws IOException {
    try {
      close();
    } catch (IOException e) {
      // A full disk: what could not be written is not needed any more.
      Files.deleteIfExists(path);
      return;
    }
    Files.deleteIfExists(path);
  }

  @Override
  public void close() throws IOException {
    out.close();
  }
}
