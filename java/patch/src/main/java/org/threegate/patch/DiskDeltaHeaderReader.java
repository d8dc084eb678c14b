package org.threegate.patch;

import com.fasterxml.jackson.databind.JsonNode;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.threegate.checkpoint.Json;
import org.threegate.checkpoint.SafetensorsFile;
import org.threegate.checkpoint.Tensor;
import org.threegate.file.FileNames;
import org.threegate.kernel.Context;
import org.threegate.run.InvalidInputException;

/** Reads the headers of a patch that is a directory: an index and shards. */
final class DiskDeltaHeaderReader {
  private DiskDeltaHeaderReader() {}

  /**
   * Opens the shards of a disk delta.
   *
   * @throws InvalidInputException if the directory is not a disk delta, or is damaged
   */
  static PatchHeaders read(Context context, Path path) {
    JsonNode index = Json.readObject(path.resolve(PatchMetadata.INDEX));
    JsonNode metadata = index.path("metadata");
    PatchFormat format = format(path, text(metadata, PatchMetadata.DELTA_ENCODING));
    JsonNode compression = metadata.path(PatchMetadata.COMPRESSION_FORMAT);
    if (!compression.asText(PatchMetadata.ZSTD).equals(PatchMetadata.ZSTD)) {
      throw new InvalidInputException(
          path + ": compression_format " + compression + " is not supported; expected zstd");
    }
    PatchOptions options =
        PatchHeaders.options(
            path,
            format,
            text(metadata, PatchMetadata.CHECKSUM_FORMAT),
            text(metadata, PatchMetadata.VERSION),
            text(metadata, PatchMetadata.BASE_VERSION));
    Map<String, TensorPatch> tensors = new LinkedHashMap<>();
    Map<String, SafetensorsFile> shards = new LinkedHashMap<>();
    try {
      for (Map.Entry<String, JsonNode> entry : index.path("weight_map").properties()) {
        String tensor = entry.getKey();
        String shard =
            FileNames.plain(entry.getValue().asText(""), path + ": tensor \"" + tensor + '"');
        SafetensorsFile file =
            shards.computeIfAbsent(
                shard, name -> SafetensorsFile.open(context, path.resolve(name)));
        tensors.put(tensor, tensor(file, tensor));
      }
      return new PatchHeaders(path, options, List.copyOf(shards.values()), tensors);
    } catch (RuntimeException e) {
      shards.values().forEach(SafetensorsFile::close);
      throw e;
    }
  }

  private static PatchFormat format(Path path, String encoding) {
    if (encoding.isEmpty()) {
      throw new InvalidInputException(
          path + ": is a full checkpoint, not a patch: its index has no delta_encoding");
    }
    return PatchFormat.byMetadataName(encoding, true)
        .orElseThrow(
            () ->
                new InvalidInputException(
                    path
                        + ": delta_encoding \""
                        + encoding
                        + "\" is unknown; expected xor or overwrite"));
  }

  private static TensorPatch tensor(SafetensorsFile file, String name) {
    Tensor stored = PatchHeaders.requireFrame(file, name);
    String digest = PatchHeaders.requireMetadata(file, name);
    return new TensorPatch(stored, Optional.empty(), Optional.of(digest), Optional.empty());
  }

  private static String text(JsonNode metadata, String key) {
    return metadata.path(key).asText("");
  }
}
