package org.threegate.checkpoint;

import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.threegate.kernel.ByteRange;
import org.threegate.kernel.Context;
import org.threegate.kernel.Control;
import org.threegate.kernel.Sha256;

/**
 * SHA-256 digests of tensors and checkpoints. The digest of a checkpoint covers, in the order of
 * names, the name, dtype, shape and digest of each tensor. Tensors can therefore be read in any
 * order by several threads, and the same tensors in other files have the same digest.
 *
 * <pre>{@code
 * try (Checkpoint checkpoint = Checkpoint.open(context, base)) {
 *   System.out.println(Digests.of(context, checkpoint, control));
 * }
 * }</pre>
 */
public final class Digests {
  private Digests() {}

  /**
   * {@return the digests of tensors' bytes, in hexadecimal digits} Many tensors in one call are
   * fastest.
   *
   * @param context context whose threads compute the digests
   * @param tensors tensors of open checkpoints
   * @param control cancels the computation
   */
  public static List<String> of(Context context, List<Tensor> tensors, Control control) {
    List<ByteRange> ranges =
        tensors.stream()
            .map(tensor -> new ByteRange(tensor.file().buffer(), tensor.offset(), tensor.bytes()))
            .toList();
    return Sha256.of(context, ranges, control).stream().map(HexFormat.of()::formatHex).toList();
  }

  /**
   * {@return the digest of a checkpoint, in hexadecimal digits}
   *
   * @param context context whose threads compute the digests
   * @param checkpoint an open checkpoint
   * @param control cancels the computation
   */
  public static String of(Context context, Checkpoint checkpoint, Control control) {
    List<Tensor> tensors = List.copyOf(checkpoint.tensors().values());
    List<String> values = of(context, tensors, control);
    Map<String, String> byName = new HashMap<>();
    for (int i = 0; i < values.size(); i++) {
      byName.put(tensors.get(i).name(), values.get(i));
    }
    return combine(checkpoint.tensors(), byName);
  }

  /**
   * {@return the digest of a checkpoint, in hexadecimal digits}
   *
   * @param tensors all tensors of the checkpoint, by name
   * @param digests digests of all tensors, by name
   */
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

  /**
   * Begins a digest.
   *
   * @return a new digest, of SHA-256
   */
  public static MessageDigest sha256() {
    try {
      return MessageDigest.getInstance("SHA-256");
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException("every JDK has SHA-256", e);
    }
  }
}
