package org.threegate.patch;

/** Names of files and metadata keys of patches. {@code docs/patches.md} specifies them. */
final class PatchMetadata {
  static final String SHARD = "model-00001-of-00001.safetensors";
  static final String INDEX = "model.safetensors.index.json";

  static final String FORMAT = "format";
  static final String VERSION = "version";
  static final String BASE_VERSION = "base_version";
  static final String CHECKSUM_FORMAT = "checksum_format";
  static final String DELTA_ENCODING = "delta_encoding";
  static final String COMPRESSION_FORMAT = "compression_format";
  static final String ZSTD = "zstd";

  /** Target version of a sparse patch. Other writers use {@link #VERSION} for their format. */
  static final String MODEL_VERSION = "model_version";

  static final String ENCODING = "encoding";

  /** Endings of the two tensors that a sparse patch stores of each tensor. */
  static final String POSITIONS = ".idx";

  static final String VALUES = ".val";

  private PatchMetadata() {}

  /** Returns the key of a tensor's digest after the patch. */
  static String digest(String tensor) {
    return "digest." + tensor;
  }

  /** Returns the key of a tensor's digest before the patch. */
  static String baseDigest(String tensor) {
    return "base_digest." + tensor;
  }

  /** Returns the key of a tensor's dtype and shape. */
  static String description(String tensor) {
    return "tensor." + tensor;
  }
}
