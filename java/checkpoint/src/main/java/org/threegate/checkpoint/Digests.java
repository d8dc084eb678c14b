package org.threegate.checkpoint;

import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.BooleanSupplier;

/**
 * SHA-256 of tensors, and of a checkpoint: over the names in order, each with dtype, shape and the
 * digest of its bytes, so that tensors can be read in any order and by several threads, and the
 * same tensors in other files have the same digest.
 */
public final class Digests {
  private static final int CHUNK = 1 << 20;

  private Digests() {}

  /**
   * Digest of a tensor's bytes in hexadecimal; stops early, with a useless result, when {@code
   * cancelled}.
   */
  public static String of(Tensor tensor, BooleanSupplier cancelled) {
    MessageDigest digest = sha256();
    long end = tensor.offset() + tensor.bytes();
    for (long at = tensor.offset(); at < end && !cancelled.getAsBoolean(); at += CHUNK) {
      digest.update(tensor.file().buffer().slice(at, (int) Math.min(CHUNK, end - at)));
    }
    return HexFormat.of().formatHex(digest.digest());
  }

  /** Digest of a checkpoint from those of its tensors. */
  public static String combine(Map<String, Tensor> tensors, Map<String, String> digests) {
    MessageDigest digest = sha256();
    new TreeMap<>(tensors)
        .forEach(
            (name, tensor) -> {
              byte[] line =
                  (name
                          + "\0"
                          + tensor.type()
                          + "\0"
                          + tensor.shape()
                          + "\0"
                          + digests.get(name)
                          + "\n")
                      .getBytes(StandardCharsets.UTF_8);
              digest.update(ByteBuffer.wrap(line));
            });
    return HexFormat.of().formatHex(digest.digest());
  }

  private static MessageDigest sha256() {
    try {
      return MessageDigest.getInstance("SHA-256");
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException("every JDK has SHA-256", e);
    }
  }
}
