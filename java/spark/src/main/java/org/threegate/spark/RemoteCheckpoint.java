package org.threegate.spark;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.apache.hadoop.conf.Configuration;
import org.threegate.analysis.engine.Failure;
import org.threegate.checkpoint.Architecture;
import org.threegate.checkpoint.Checkpoint;
import org.threegate.checkpoint.ModelConfig;
import org.threegate.checkpoint.SafetensorsFile;
import org.threegate.checkpoint.Tensor;
import org.threegate.checkpoint.TensorKind;
import org.threegate.checkpoint.weight.Weights;
import org.threegate.file.AtomicFiles;
import org.threegate.file.FileNames;
import org.threegate.kernel.Context;
import org.threegate.run.InvalidInputException;

/**
 * A remote checkpoint with open headers. Damaged or missing shards are left out if an index lists
 * their tensors.
 */
final class RemoteCheckpoint implements AutoCloseable {
  private static final ObjectMapper MAPPER = new ObjectMapper();
  private static final String INDEX = ".safetensors.index.json";

  /** Files may name many tensors like embeddings; a model has few. */
  private static final int MOST_EMBEDDINGS = 4;

  private static final String WEIGHT_MAP = "weight_map";

  private final RemoteModel model;
  private final Checkpoint checkpoint;
  private final List<Failure> failures;

  private RemoteCheckpoint(RemoteModel model, Checkpoint checkpoint, List<Failure> failures) {
    this.model = model;
    this.checkpoint = checkpoint;
    this.failures = List.copyOf(failures);
  }

  static RemoteCheckpoint open(Context context, RemoteModel model, Configuration configuration)
      throws IOException {
    try {
      return new RemoteCheckpoint(model, filled(context, model, configuration), List.of());
    } catch (InvalidInputException e) {
      List<Failure> failures = new ArrayList<>();
      if (!leaveOutDamaged(context, model, failures)) {
        throw model.translate(e);
      }
      return new RemoteCheckpoint(model, filled(context, model, configuration), failures);
    }
  }

  /**
   * Opens the local files, after tensors that describe others have been copied into them: plans
   * need the shapes and block sizes that they state.
   */
  private static Checkpoint filled(Context context, RemoteModel model, Configuration configuration)
      throws IOException {
    Checkpoint checkpoint = Checkpoint.open(context, model.mirror());
    Map<String, List<Tensor>> byFile = new LinkedHashMap<>();
    for (Tensor tensor : checkpoint.tensors().values()) {
      if (Weights.isDescription(tensor)) {
        String file = tensor.file().path().getFileName().toString();
        byFile.computeIfAbsent(file, name -> new ArrayList<>()).add(tensor);
      }
    }
    List<Map.Entry<Tensor, Tensor>> tied = maybeTied(checkpoint);
    if (byFile.isEmpty() && tied.isEmpty()) {
      return checkpoint;
    }
    checkpoint.close();
    Path directory =
        Files.isDirectory(model.mirror()) ? model.mirror() : model.mirror().getParent();
    for (Map.Entry<String, List<Tensor>> file : byFile.entrySet()) {
      model.fill(configuration, file.getKey(), directory.resolve(file.getKey()), file.getValue());
    }
    for (Map.Entry<Tensor, Tensor> pair : tied) {
      model.fillDifference(configuration, directory, pair.getKey(), pair.getValue());
    }
    return Checkpoint.open(context, model.mirror());
  }

  /** Returns output heads that may be copies of an embedding, each with the embedding. */
  private static List<Map.Entry<Tensor, Tensor>> maybeTied(Checkpoint checkpoint) {
    ModelConfig config = checkpoint.config().orElse(ModelConfig.UNKNOWN);
    List<Map.Entry<Tensor, Tensor>> pairs = new ArrayList<>();
    if (config.embeddings() == ModelConfig.Embeddings.SEPARATE) {
      return pairs;
    }
    for (Tensor head : matrices(checkpoint, config, TensorKind.LM_HEAD)) {
      for (Tensor embedding : matrices(checkpoint, config, TensorKind.EMBED)) {
        if (head.shape().equals(embedding.shape()) && head.type() == embedding.type()) {
          pairs.add(Map.entry(head, embedding));
        }
      }
    }
    return pairs;
  }

  private static List<Tensor> matrices(Checkpoint checkpoint, ModelConfig config, TensorKind kind) {
    Architecture architecture = new Architecture(config);
    return checkpoint.tensors().values().stream()
        .filter(tensor -> tensor.shape().size() == 2)
        .filter(tensor -> architecture.kind(tensor.name(), 2) == kind)
        .limit(MOST_EMBEDDINGS)
        .toList();
  }

  /**
   * Rewrites the index without shards that cannot be opened. Returns false if all shards can be
   * opened, so the error has another cause.
   */
  private static boolean leaveOutDamaged(Context context, RemoteModel model, List<Failure> failures)
      throws IOException {
    Optional<Path> index = index(model.mirror());
    if (index.isEmpty()) {
      return false;
    }
    try {
      if (!(MAPPER.readTree(index.get().toFile()) instanceof ObjectNode contents)
          || !(contents.path(WEIGHT_MAP) instanceof ObjectNode map)) {
        return false;
      }
      Map<String, String> reasons = new LinkedHashMap<>();
      List<String> left = new ArrayList<>();
      for (Map.Entry<String, JsonNode> entry : map.properties()) {
        String shard = entry.getValue().asText();
        String reason =
            reasons.computeIfAbsent(shard, name -> reason(context, model, index.get(), name));
        if (!reason.isEmpty()) {
          failures.add(new Failure(entry.getKey(), reason));
          left.add(entry.getKey());
        }
      }
      map.remove(left);
      if (failures.isEmpty() || map.isEmpty()) {
        return false;
      }
      byte[] reduced = MAPPER.writeValueAsBytes(contents);
      AtomicFiles.write(index.get(), out -> out.write(java.nio.ByteBuffer.wrap(reduced)));
      return true;
    } catch (JsonProcessingException e) {
      return false;
    }
  }

  private static Optional<Path> index(Path mirror) throws IOException {
    if (!Files.isDirectory(mirror)) {
      return Optional.of(mirror).filter(path -> path.toString().endsWith(INDEX));
    }
    Path usual = mirror.resolve("model" + INDEX);
    if (Files.exists(usual)) {
      return Optional.of(usual);
    }
    List<Path> all =
        AtomicFiles.list(mirror).stream().filter(file -> file.toString().endsWith(INDEX)).toList();
    return all.size() == 1 ? Optional.of(all.get(0)) : Optional.empty();
  }

  /** Returns the reason why a shard cannot be opened; empty if it can. */
  private static String reason(Context context, RemoteModel model, Path index, String shard) {
    try (SafetensorsFile file =
        SafetensorsFile.open(
            context,
            index
                .toAbsolutePath()
                .resolveSibling(FileNames.plain(shard, index.getFileName().toString())))) {
      return file.bytes() < 0 ? "it is empty" : "";
    } catch (InvalidInputException e) {
      return model.translate(e).getMessage();
    }
  }

  RemoteModel model() {
    return model;
  }

  Checkpoint checkpoint() {
    return checkpoint;
  }

  /** Returns the tensors in damaged shards. */
  List<Failure> failures() {
    return failures;
  }

  @Override
  public void close() {
    checkpoint.close();
  }
}
