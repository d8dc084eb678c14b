package org.threegate.patch;

import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.threegate.checkpoint.SafetensorsFile;
import org.threegate.checkpoint.Tensor;
import org.threegate.kernel.Context;
import org.threegate.run.InvalidInputException;
import org.threegate.run.Remedy;

/** Reads the header of a patch that is one file: planar or sparse. */
final class PatchFileHeaderReader {
  private PatchFileHeaderReader() {}

  /**
   * Opens a patch file.
   *
   * @throws InvalidInputException if the file is not a patch, is damaged, or lacks a digest that
   *     the policy requires
   */
  static PatchHeaders read(Context context, Path path, DigestPolicy policy) {
    SafetensorsFile file = SafetensorsFile.open(context, path);
    try {
      String named = file.metadata().getOrDefault(PatchMetadata.FORMAT, "");
      PatchFormat format =
          PatchFormat.byMetadataName(named, false)
              .orElseThrow(
                  () ->
                      new InvalidInputException(
                          path + ": is not a weight patch; its format is \"" + named + '"'));
      return format == PatchFormat.SPARSE ? sparse(path, file, policy) : planar(path, file);
    } catch (RuntimeException e) {
      file.close();
      throw e;
    }
  }

  private static PatchHeaders planar(Path path, SafetensorsFile file) {
    Map<String, String> metadata = file.metadata();
    PatchOptions options =
        PatchHeaders.options(
            path,
            PatchFormat.PLANAR,
            metadata.getOrDefault(PatchMetadata.CHECKSUM_FORMAT, ""),
            metadata.getOrDefault(PatchMetadata.VERSION, ""),
            metadata.getOrDefault(PatchMetadata.BASE_VERSION, ""));
    Map<String, TensorPatch> tensors = new LinkedHashMap<>();
    for (Tensor tensor : file.tensors()) {
      String name = tensor.name();
      String base = PatchHeaders.requireMetadata(file, PatchMetadata.baseDigest(name));
      Tensor stored = PatchHeaders.requireFrame(file, name);
      String digest = PatchHeaders.requireMetadata(file, PatchMetadata.digest(name));
      tensors.put(
          name, new TensorPatch(stored, Optional.empty(), Optional.of(digest), Optional.of(base)));
    }
    return new PatchHeaders(path, options, List.of(file), tensors);
  }

  private static PatchHeaders sparse(Path path, SafetensorsFile file, DigestPolicy policy) {
    Map<String, String> metadata = file.metadata();
    String encoding = metadata.getOrDefault(PatchMetadata.ENCODING, PositionEncoding.RAW.label());
    PositionEncoding positions =
        PositionEncoding.byLabel(encoding)
            .orElseThrow(
                () ->
                    new InvalidInputException(
                        path + ": encoding \"" + encoding + "\" is unknown; expected raw or gaps"));
    String version = metadata.getOrDefault(PatchMetadata.MODEL_VERSION, "");
    PatchOptions options =
        PatchHeaders.options(
                path,
                PatchFormat.SPARSE,
                metadata.getOrDefault(
                    PatchMetadata.CHECKSUM_FORMAT, ChecksumFormat.XXH3_128.label()),
                version,
                metadata.getOrDefault(PatchMetadata.BASE_VERSION, previous(version)))
            .withPositions(positions);
    Map<String, TensorPatch> tensors = new LinkedHashMap<>();
    for (Tensor tensor : file.tensors()) {
      if (tensor.name().endsWith(PatchMetadata.VALUES)) {
        int end = tensor.name().length() - PatchMetadata.VALUES.length();
        String name = tensor.name().substring(0, end);
        tensors.put(
            name,
            new TensorPatch(
                tensor,
                Optional.of(PatchHeaders.require(file, name + PatchMetadata.POSITIONS)),
                digest(file, PatchMetadata.digest(name), policy),
                digest(file, PatchMetadata.baseDigest(name), policy)));
      }
    }
    return new PatchHeaders(path, options, List.of(file), tensors);
  }

  /**
   * Returns the version before a version. Other writers of sparse patches store the target version
   * alone.
   */
  private static String previous(String version) {
    return version.matches("[1-9][0-9]{0,17}") ? Long.toString(Long.parseLong(version) - 1) : "";
  }

  private static Optional<String> digest(SafetensorsFile file, String key, DigestPolicy policy) {
    Optional<String> digest = Optional.ofNullable(file.metadata().get(key));
    if (policy == DigestPolicy.REQUIRED && digest.isEmpty()) {
      throw new InvalidInputException(
          file.path()
              + ": metadata \""
              + key
              + "\" is missing, so that neither the base nor the result can be checked",
          Remedy.ACCEPT_WITHOUT_DIGESTS);
    }
    return digest;
  }
}
