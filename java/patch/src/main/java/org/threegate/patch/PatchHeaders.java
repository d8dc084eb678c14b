package org.threegate.patch;

import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.threegate.checkpoint.SafetensorsFile;
import org.threegate.checkpoint.Tensor;
import org.threegate.checkpoint.TensorType;
import org.threegate.run.InvalidInputException;

/**
 * What the headers of a patch say.
 *
 * @param path file or directory of the patch
 * @param files the open files, to be closed by the owner
 * @param tensors the changed tensors by their names in the model
 */
record PatchHeaders(
    Path path, PatchOptions options, List<SafetensorsFile> files, Map<String, TensorPatch> tensors)
    implements AutoCloseable {

  /**
   * Makes options of metadata.
   *
   * @param path named in errors
   * @param checksum label of a checksum
   * @param target target version, as a decimal number
   * @param base base version, as a decimal number
   * @throws InvalidInputException if a value is missing or invalid
   */
  static PatchOptions options(
      Path path, PatchFormat format, String checksum, String target, String base) {
    ChecksumFormat known =
        ChecksumFormat.byLabel(checksum)
            .orElseThrow(
                () ->
                    new InvalidInputException(
                        path
                            + ": checksum_format \""
                            + checksum
                            + "\" is unknown; expected xxh3-128, blake3 or adler32"));
    try {
      return PatchOptions.of(format)
          .withChecksum(known)
          .withVersions(new PatchVersions(Long.parseLong(base), Long.parseLong(target)));
    } catch (IllegalArgumentException e) {
      throw new InvalidInputException(
          path
              + ": its metadata has the version \""
              + target
              + "\" and the base version \""
              + base
              + "\"; both must be numbers, and the version the larger one",
          e);
    }
  }

  /** Returns a tensor that holds a zstd frame. */
  static Tensor requireFrame(SafetensorsFile file, String name) {
    Tensor stored = require(file, name);
    if (stored.type() != TensorType.U8 || stored.shape().size() != 1) {
      throw new InvalidInputException(
          file.path() + ": tensor \"" + name + "\" must be a vector of U8");
    }
    return stored;
  }

  /** Returns a tensor of a file. */
  static Tensor require(SafetensorsFile file, String name) {
    return file.tensor(name)
        .orElseThrow(
            () -> new InvalidInputException(file.path() + ": tensor \"" + name + "\" is missing"));
  }

  /** Returns a value of a file's metadata. */
  static String requireMetadata(SafetensorsFile file, String key) {
    String value = file.metadata().get(key);
    if (value == null) {
      throw new InvalidInputException(file.path() + ": metadata \"" + key + "\" is missing");
    }
    return value;
  }

  @Override
  public void close() {
    files.forEach(SafetensorsFile::close);
  }
}
