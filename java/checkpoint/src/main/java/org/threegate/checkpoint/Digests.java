package org.threegate.checkpoint;

import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import org.threegate.buffer.NativeBuffer;
import org.threegate.kernel.Blake3;
import org.threegate.kernel.ByteRange;
import org.threegate.kernel.Context;
import org.threegate.kernel.Control;
import org.threegate.kernel.Sha256;

/**
 * Digests of tensors, checkpoints and files. The digest of a checkpoint covers, in the order of
 * names, the name, dtype, shape and digest of each tensor. Tensors can therefore be read in any
 * order by several threads, and the same tensors in other files have the same digest. Methods that
 * take no {@link DigestKind} compute SHA-256.
 *
 * <pre>{@code
 * try (Checkpoint checkpoint = Checkpoint.open(context, base)) {
 *   System.out.println(Digests.of(context, checkpoint, control));
 * }
 * }</pre>
 */
public final class Digests {
  /** The most ranges of which one thread computes SHA-256 at the same time. */
  private static final int RANGES_IN_STEP = 4;

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
    return of(context, DigestKind.TENSORS, tensors, control);
  }

  /**
   * {@return the digests of tensors' bytes, in hexadecimal digits}
   *
   * @param context context whose threads compute the digests
   * @param kind a kind for which tensors have digests
   * @param tensors tensors of open checkpoints
   * @param control cancels the computation
   */
  public static List<String> of(
      Context context, DigestKind kind, List<Tensor> tensors, Control control) {
    List<ByteRange> ranges =
        tensors.stream()
            .map(tensor -> new ByteRange(tensor.file().buffer(), tensor.offset(), tensor.bytes()))
            .toList();
    List<byte[]> digests =
        switch (kind) {
          case TENSORS -> Sha256.of(context, ranges, control);
          case BLAKE3 -> Blake3.of(context, ranges, control);
          case NONE, SHA256 ->
              throw new IllegalArgumentException(kind + " has no digests of tensors");
        };
    return digests.stream().map(HexFormat.of()::formatHex).toList();
  }

  /**
   * {@return the SHA-256 of each file of a checkpoint that has tensors, in the checkpoint's order}
   * The threads process several files at a time; one file is the work of one thread.
   *
   * @param context context whose threads compute the digests
   * @param checkpoint an open checkpoint
   * @param control cancels the computation
   */
  public static List<Identity.FileDigest> ofFiles(
      Context context, Checkpoint checkpoint, Control control) {
    List<TensorFile> files = checkpoint.files();
    List<ByteRange> ranges =
        files.stream().map(file -> new ByteRange(file.mapped().buffer(), 0, file.bytes())).toList();
    List<byte[]> digests = Sha256.of(context, ranges, control);
    List<Identity.FileDigest> named = new ArrayList<>();
    for (int i = 0; i < digests.size(); i++) {
      named.add(
          new Identity.FileDigest(
              files.get(i).path().getFileName().toString(),
              files.get(i).bytes(),
              HexFormat.of().formatHex(digests.get(i))));
    }
    return named;
  }

  /**
   * {@return the digest of a checkpoint, in hexadecimal digits}
   *
   * @param context context whose threads compute the digests
   * @param checkpoint an open checkpoint
   * @param control cancels the computation
   */
  public static String of(Context context, Checkpoint checkpoint, Control control) {
    return ofTensors(context, DigestKind.TENSORS, checkpoint, control);
  }

  /**
   * {@return what identifies a checkpoint}
   *
   * @param context context whose threads compute the digests
   * @param kind what to compute
   * @param checkpoint an open checkpoint
   * @param control cancels the computation
   */
  public static Identity identity(
      Context context, DigestKind kind, Checkpoint checkpoint, Control control) {
    return switch (kind) {
      case NONE -> Identity.NONE;
      case TENSORS, BLAKE3 -> Identity.of(kind, ofTensors(context, kind, checkpoint, control));
      case SHA256 ->
          new Identity(Optional.empty(), Optional.empty(), ofFiles(context, checkpoint, control));
    };
  }

  private static String ofTensors(
      Context context, DigestKind kind, Checkpoint checkpoint, Control control) {
    Map<String, Tensor> tensors = checkpoint.tensors();
    return combine(
        context, kind, tensors, byName(context, kind, List.copyOf(tensors.values()), control));
  }

  /**
   * {@return the digests of tensors' bytes by name, in hexadecimal digits} Files that are not
   * cached are read ahead.
   *
   * @param context context whose threads compute the digests
   * @param kind a kind for which tensors have digests
   * @param tensors tensors of an open checkpoint
   * @param control cancels the computation
   */
  public static Map<String, String> byName(
      Context context, DigestKind kind, List<Tensor> tensors, Control control) {
    // These tensors are read at the same time.
    int together = kind == DigestKind.TENSORS ? RANGES_IN_STEP * context.threads() : 1;
    List<List<Tensor>> steps = new ArrayList<>();
    for (int i = 0; i < tensors.size(); i += together) {
      steps.add(tensors.subList(i, Math.min(tensors.size(), i + together)));
    }
    Map<String, String> byName = new HashMap<>();
    try (ReadAhead ahead = new ReadAhead(steps, control::done)) {
      ahead.start();
      List<String> values = of(context, kind, tensors, control);
      for (int i = 0; i < values.size(); i++) {
        byName.put(tensors.get(i).name(), values.get(i));
      }
    }
    return byName;
  }

  /**
   * {@return the digest of a checkpoint, or of some of its tensors, in hexadecimal digits}
   *
   * @param tensors the tensors, by name
   * @param digests digests of at least these tensors, by name
   */
  public static String combine(Map<String, Tensor> tensors, Map<String, String> digests) {
    return HexFormat.of().formatHex(sha256().digest(lines(tensors, digests)));
  }

  /**
   * {@return the digest of a checkpoint, in hexadecimal digits}
   *
   * @param context context of the calling thread
   * @param kind kind of the tensors' digests
   * @param tensors all tensors of the checkpoint, by name
   * @param digests digests of all tensors, by name
   */
  public static String combine(
      Context context, DigestKind kind, Map<String, Tensor> tensors, Map<String, String> digests) {
    if (kind != DigestKind.BLAKE3) {
      return combine(tensors, digests);
    }
    byte[] lines = lines(tensors, digests);
    try (NativeBuffer buffer = context.allocate(Math.max(1, lines.length));
        Control control = Control.open(context)) {
      buffer.put(0, ByteBuffer.wrap(lines));
      ByteRange range = new ByteRange(buffer, 0, lines.length);
      return HexFormat.of().formatHex(Blake3.of(context, List.of(range), control).get(0));
    }
  }

  private static byte[] lines(Map<String, Tensor> tensors, Map<String, String> digests) {
    StringBuilder lines = new StringBuilder();
    new TreeMap<>(tensors)
        .forEach(
            (name, tensor) ->
                lines
                    .append(name)
                    .append('\0')
                    .append(tensor.type())
                    .append('\0')
                    .append(tensor.shape())
                    .append('\0')
                    .append(digests.get(name))
                    .append('\n'));
    return lines.toString().getBytes(StandardCharsets.UTF_8);
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
