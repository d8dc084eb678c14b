package org.threegate.checkpoint;

import com.fasterxml.jackson.databind.JsonNode;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.regex.Matcher;
import org.threegate.checkpoint.torch.TorchTensor;
import org.threegate.file.FileNames;
import org.threegate.run.InvalidInputException;
import org.threegate.run.PrintableText;

/** Opens the files of a checkpoint. */
final class CheckpointReader {
  private final CheckpointContents contents;

  CheckpointReader(CheckpointContents contents) {
    this.contents = contents;
  }

  /** Reads a file, or all files that it describes or belongs to. */
  void read(Path weights) {
    String name = weights.getFileName().toString();
    Matcher rank = ModelDirectory.RANK.matcher(name);
    if (name.equals(DistributedReader.METADATA)) {
      DistributedReader.read(contents, weights);
    } else if (ZeroReader.isNamed(name)) {
      ZeroReader.read(contents, weights);
    } else if (name.endsWith(".json")) {
      readShards(weights);
    } else if (name.endsWith(".distcp")) {
      throw new InvalidInputException(
          weights + ": holds chunks that another file describes; name its directory");
    } else if (rank.matches()) {
      RankReader.read(contents, weights, rank.group(1));
    } else {
      Map<String, Runnable> found = open(weights);
      found.values().forEach(Runnable::run);
    }
  }

  /** Opens a file by the ending of its name. Returns what adds each of its tensors, by name. */
  private Map<String, Runnable> open(Path path) {
    Map<String, Runnable> found = new LinkedHashMap<>();
    if (!TorchFile.isNamed(path.getFileName().toString())) {
      for (Tensor tensor :
          contents.opened(SafetensorsFile.open(contents.context(), path)).tensors()) {
        found.put(tensor.name(), () -> contents.tensors().put(tensor.name(), tensor));
      }
      return found;
    }
    TorchFile file = contents.openTorch(path);
    for (TorchTensor tensor : file.descriptions()) {
      if (tensor.share().isPresent() && !tensor.shape().equals(tensor.share().get().whole())) {
        throw new InvalidInputException(
            path
                + ": holds only its part of each tensor; name the directory with the files"
                + " model_world_size_N_rank_R.pt of all ranks");
      }
      found.put(tensor.name(), () -> contents.add(file.mapped(), tensor));
    }
    return found;
  }

  private void readShards(Path index) {
    JsonNode map = Json.readObject(index).path("weight_map");
    if (!map.isObject() || map.isEmpty()) {
      throw new InvalidInputException(
          index + ": has no \"weight_map\" with tensors; it is not an index of shards");
    }
    Path directory = Optional.ofNullable(index.toAbsolutePath().getParent()).orElseThrow();
    Map<String, Map<String, Runnable>> shards = new TreeMap<>();
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
      shards.put(shard, open(directory.resolve(shard)));
    }
    // In the order of the files, so that they are read from front to back. Libraries load all
    // tensors of a shard, also those that the index does not name.
    Map<String, String> shardOf = new HashMap<>();
    shards.forEach(
        (shard, own) ->
            own.forEach(
                (name, adding) -> {
                  String other = shardOf.putIfAbsent(name, shard);
                  if (other != null) {
                    throw new InvalidInputException(
                        index
                            + ": tensor \""
                            + PrintableText.name(name)
                            + "\" is stored in "
                            + other
                            + " and in "
                            + shard
                            + ", and libraries differ in which one they load; save the model again");
                  }
                  if (shard.equals(map.path(name).asText(shard))) {
                    adding.run();
                  }
                }));
    map.fieldNames()
        .forEachRemaining(
            name -> {
              if (!contents.tensors().containsKey(name) && !contents.parts().containsKey(name)) {
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
}
