package org.threegate.spark;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.threegate.analysis.pairing.Pairing;
import org.threegate.analysis.pairing.SharedMatrices;
import org.threegate.analysis.pairing.TensorPair;
import org.threegate.analysis.pairing.WeightPair;
import org.threegate.checkpoint.Checkpoint;
import org.threegate.checkpoint.SafetensorsWriter;
import org.threegate.checkpoint.adapter.Adapter;
import org.threegate.file.AtomicFiles;
import org.threegate.kernel.Context;
import org.threegate.run.InvalidInputException;

/**
 * Local excerpts of checkpoints, which hold the stored tensors of one matrix. They are opened and
 * paired like whole checkpoints, so that entries are computed as on one machine.
 */
final class Excerpts implements AutoCloseable {
  private final Context context;
  private final Fetch fetch;
  private Optional<Path> directory = Optional.empty();
  private final List<Runnable> opened = new ArrayList<>();

  /**
   * Prepares excerpts.
   *
   * @param fetch reads the stored tensors
   */
  Excerpts(Context context, Fetch fetch) {
    this.context = context;
    this.fetch = fetch;
  }

  /**
   * Opens the pairs of a matrix. They are valid until this is closed.
   *
   * @param name name of the matrix
   * @return one pair per run; for a mask, one pair
   */
  List<TensorPair> pairs(String name, Descriptions.Computed computed) throws IOException {
    directory = Optional.of(Files.createTempDirectory("threegate-excerpt"));
    Checkpoint base = checkpoint("base", computed.base());
    List<TensorPair> pairs = new ArrayList<>();
    try {
      for (WeightPair pair : pairs(name, computed, base)) {
        TensorPair own = pair.open(context);
        pairs.add(
            new TensorPair(
                name,
                own.layer(),
                own.kind(),
                own.stored(),
                own.base(),
                own.tuned(),
                own.heads(),
                own.computed()));
      }
      return pairs;
    } catch (RuntimeException e) {
      pairs.forEach(TensorPair::close);
      throw e;
    }
  }

  private List<WeightPair> pairs(String name, Descriptions.Computed computed, Checkpoint base)
      throws IOException {
    if (computed.tuned().isEmpty()) {
      return List.of(named(name, computed, Pairing.matrices(base, any -> true)));
    }
    if (computed.adapter()) {
      Path adapter = write("tuned", computed.tuned().get(0), Checkpoint.ADAPTER_WEIGHTS);
      Adapter open =
          computed.initial().isPresent()
              ? Adapter.open(
                  context,
                  adapter,
                  write("initial", computed.initial().get(), Checkpoint.ADAPTER_WEIGHTS))
              : Adapter.open(context, adapter);
      opened.add(0, open::close);
      return List.of(named(name, computed, Pairing.of(base, open, any -> true)));
    }
    List<Checkpoint> runs = new ArrayList<>();
    for (Descriptions.Excerpt excerpt : computed.tuned()) {
      runs.add(checkpoint("run-" + runs.size(), excerpt));
    }
    if (runs.size() == 1) {
      return List.of(
          named(name, computed, Pairing.of(base, runs.get(0), any -> true, computed.renames())));
    }
    Map<String, List<WeightPair>> shared = SharedMatrices.of(base, runs, any -> true).byName();
    if (!shared.containsKey(computed.pair())) {
      throw new InvalidInputException(name + ": cannot be read from its stored tensors");
    }
    return shared.get(computed.pair());
  }

  private static WeightPair named(String name, Descriptions.Computed computed, Pairing pairing) {
    return pairing.pairs().stream()
        .filter(pair -> pair.name().equals(computed.pair()))
        .findFirst()
        .orElseThrow(() -> new InvalidInputException(name + ": " + why(pairing)));
  }

  /** Returns why a matrix cannot be read. Headers on the driver do not tell all of it. */
  private static String why(Pairing pairing) {
    return pairing.names().notCompared().isEmpty()
        ? "cannot be read from its stored tensors"
        : "refused are " + String.join("; ", pairing.names().notCompared());
  }

  private Checkpoint checkpoint(String name, Descriptions.Excerpt excerpt) throws IOException {
    Checkpoint checkpoint = Checkpoint.open(context, write(name, excerpt, "model.safetensors"));
    opened.add(0, checkpoint::close);
    return checkpoint;
  }

  private Path write(String name, Descriptions.Excerpt excerpt, String weights) throws IOException {
    Path own = Files.createDirectory(directory.orElseThrow().resolve(name));
    for (Map.Entry<String, String> text : excerpt.texts().entrySet()) {
      Files.writeString(own.resolve(text.getKey()), text.getValue(), StandardCharsets.UTF_8);
    }
    SafetensorsWriter writer = new SafetensorsWriter();
    for (Descriptions.Part part : excerpt.parts()) {
      writer.tensor(
          part.name(),
          part.dtype(),
          part.shape(),
          out -> fetch.copy(part.file(), part.offset(), part.bytes(), out));
    }
    writer.write(own.resolve(weights));
    return own;
  }

  @Override
  public void close() throws IOException {
    opened.forEach(Runnable::run);
    if (directory.isPresent()) {
      AtomicFiles.deleteDirectory(directory.get());
    }
  }
}
