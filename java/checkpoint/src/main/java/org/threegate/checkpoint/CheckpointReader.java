package org.threegate.checkpoint;

import com.fasterxml.jackson.databind.JsonNode;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.regex.Matcher;
import org.threegate.checkpoint.torch.TorchTensor;
import org.threegate.file.FileNames;
import org.threegate.kernel.Context;
import org.threegate.run.InvalidInputException;
import org.threegate.run.PrintableText;

/** Opens the files of a checkpoint, and collects what they hold. */
final class CheckpointReader {
  private static final int MOST_RANKS = 1 << 14;

  private final Context context;
  private final List<TensorFile> files = new ArrayList<>();
  private final Map<String, Tensor> tensors = new LinkedHashMap<>();
  private final Map<String, String> others = new LinkedHashMap<>();
  private final Map<String, TensorParts> parts = new LinkedHashMap<>();

  CheckpointReader(Context context) {
    this.context = context;
  }

  List<TensorFile> files() {
    return files;
  }

  Map<String, Tensor> tensors() {
    return tensors;
  }

  Map<String, String> others() {
    return others;
  }

  Map<String, TensorParts> parts() {
    return parts;
  }

  /** Reads a file, or all files of which it is the index or one of the ranks. */
  void read(Path weights) {
    Matcher rank = ModelDirectory.RANK.matcher(weights.getFileName().toString());
    if (weights.toString().endsWith(".json")) {
      readShards(weights);
    } else if (rank.matches()) {
      readRanks(weights, rank.group(1));
    } else {
      open(weights).tensors().forEach(tensor -> tensors.put(tensor.name(), tensor));
    }
  }

  /** Opens a file by the ending of its name. */
  private TensorFile open(Path path) {
    if (!TorchFile.isNamed(path.getFileName().toString())) {
      TensorFile file = SafetensorsFile.open(context, path);
      files.add(file);
      return file;
    }
    TorchFile file = openTorch(path);
    if (file.descriptions().stream().anyMatch(tensor -> tensor.whole().isPresent())) {
      throw new InvalidInputException(
          path
              + ": holds only its part of each tensor; name the directory with the files"
              + " model_world_size_N_rank_R.pt of all ranks");
    }
    return file;
  }

  private TorchFile openTorch(Path path) {
    TorchFile file = TorchFile.open(context, path);
    files.add(file);
    others.putAll(file.others());
    return file;
  }

  private void readShards(Path index) {
    JsonNode map = Json.readObject(index).path("weight_map");
    if (!map.isObject() || map.isEmpty()) {
      throw new InvalidInputException(
          index + ": has no \"weight_map\" with tensors; it is not an index of shards");
    }
    Path directory = Optional.ofNullable(index.toAbsolutePath().getParent()).orElseThrow();
    Map<String, Map<String, Tensor>> shards = new TreeMap<>();
    map.properties()
        .forEach(
            entry -> {
              String where = index + ": tensor \"" + entry.getKey() + "\"";
              if (!entry.getValue().isTextual()) {
                throw new InvalidInputException(where + ": its file is not a text");
              }
              String shard = FileNames.plain(entry.getValue().asText(), where);
              shards.put(shard, Map.of());
            });
    for (String shard : List.copyOf(shards.keySet())) {
      if (!Files.exists(directory.resolve(shard))) {
        throw new InvalidInputException(
            directory.resolve(shard)
                + ": no such file, though "
                + index.getFileName()
                + " names it");
      }
      Map<String, Tensor> own = new LinkedHashMap<>();
      open(directory.resolve(shard)).tensors().forEach(tensor -> own.put(tensor.name(), tensor));
      shards.put(shard, own);
    }
    // In the order of the files, so that they are read from front to back.
    shards.forEach(
        (shard, own) ->
            own.forEach(
                (name, tensor) -> {
                  if (shard.equals(map.path(name).asText())) {
                    tensors.put(name, tensor);
                  }
                }));
    map.fieldNames()
        .forEachRemaining(
            name -> {
              if (!tensors.containsKey(name)) {
                throw new InvalidInputException(
                    index
                        + ": tensor \""
                        + name
                        + "\" is not in "
                        + map.path(name).asText()
                        + ", where it should be");
              }
            });
  }

  /** Reads the files of all ranks, each with some rows of each tensor. */
  private void readRanks(Path one, String size) {
    int ranks = size.length() > 5 ? MOST_RANKS + 1 : Integer.parseInt(size);
    if (ranks > MOST_RANKS || ranks == 0) {
      throw new InvalidInputException(one + ": names " + size + " ranks; at most " + MOST_RANKS);
    }
    Map<String, List<Tensor>> found = new LinkedHashMap<>();
    Map<String, List<Long>> whole = new LinkedHashMap<>();
    for (int rank = 0; rank < ranks; rank++) {
      Path path = one.resolveSibling("model_world_size_" + ranks + "_rank_" + rank + ".pt");
      if (!Files.exists(path)) {
        throw new InvalidInputException(path + ": no such file, though there are other ranks");
      }
      TorchFile file = openTorch(path);
      for (TorchTensor described : file.descriptions()) {
        Tensor tensor = file.tensor(described);
        String stored = described.name() + " [rank " + rank + " of " + ranks + "]";
        if (described.whole().isPresent()) {
          Tensor part =
              new Tensor(stored, tensor.type(), tensor.shape(), tensor.file(), tensor.offset());
          found.computeIfAbsent(described.name(), name -> new ArrayList<>()).add(part);
          if (!whole
              .computeIfAbsent(described.name(), name -> described.whole().get())
              .equals(described.whole().get())) {
            throw differs(path, described.name());
          }
          tensors.put(stored, part);
        } else if (rank == 0) {
          tensors.put(described.name(), tensor);
        } else if (tensors.containsKey(described.name())) {
          others.put(stored, "stored whole by rank 0, too");
        } else {
          throw differs(path, described.name());
        }
      }
    }
    found.forEach((name, own) -> join(one, new TensorParts(name, whole.get(name), own), ranks));
  }

  private void join(Path one, TensorParts joined, int ranks) {
    long rows = joined.parts().stream().mapToLong(part -> part.shape().get(0)).sum();
    boolean sameType = joined.parts().stream().map(Tensor::type).distinct().count() == 1;
    boolean fits =
        joined.parts().size() == ranks
            && rows == joined.shape().get(0)
            && rows <= Integer.MAX_VALUE
            && sameType;
    if (!fits || tensors.containsKey(joined.name())) {
      throw differs(one, joined.name());
    }
    parts.put(joined.name(), joined);
  }

  private static InvalidInputException differs(Path path, String tensor) {
    return new InvalidInputException(
        path
            + ": the parts of tensor \""
            + PrintableText.name(tensor)
            + "\" in the files of all ranks do not make a whole; are they of one step?");
  }
}
