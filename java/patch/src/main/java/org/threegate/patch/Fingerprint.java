package org.threegate.patch;

import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.util.List;
import org.threegate.checkpoint.Checkpoint;
import org.threegate.checkpoint.Digests;
import org.threegate.checkpoint.Tensor;
import org.threegate.checkpoint.TensorFile;
import org.threegate.kernel.Context;
import org.threegate.kernel.Control;

/**
 * SHA-256 digests by which a journal recognizes a checkpoint and a patch. They cover headers: file
 * names and sizes, metadata, and the tensors' names, dtypes, shapes and offsets. Patching in place
 * changes none of these.
 */
final class Fingerprint {
  /** Length of a fingerprint. */
  static final int BYTES = 32;

  private final MessageDigest digest = Digests.sha256();

  private Fingerprint() {}

  /** Returns the fingerprint of a checkpoint. */
  static byte[] of(Checkpoint model) {
    Fingerprint all = new Fingerprint();
    for (TensorFile file : model.files()) {
      all.put(file.path().getFileName().toString());
      all.put(file);
    }
    model.tensors().values().forEach(all::put);
    return all.digest.digest();
  }

  /**
   * Returns the fingerprint of a patch.
   *
   * @param unsigned stored tensors without a digest in the headers, whose contents are digested
   */
  static byte[] of(
      Context context,
      PatchOptions options,
      List<? extends TensorFile> files,
      List<Tensor> unsigned) {
    Fingerprint all = new Fingerprint();
    all.put(text(options));
    files.forEach(all::put);
    try (Control control = Control.open(context)) {
      Digests.of(context, unsigned, control).forEach(all::put);
    }
    return all.digest.digest();
  }

  /** Returns the text of options in the fingerprint; journals of other versions have the same. */
  private static String text(PatchOptions options) {
    boolean gaps =
        options.format() == PatchFormat.SPARSE && options.positions() == PositionEncoding.GAPS;
    return "Options[format="
        + options.format()
        + ", checksum="
        + options.checksum()
        + ", gaps="
        + gaps
        + ", version="
        + options.versions().target()
        + ", baseVersion="
        + options.versions().base()
        + ']';
  }

  private void put(TensorFile file) {
    put(file.bytes());
    put(file.metadata().size());
    file.metadata()
        .forEach(
            (key, value) -> {
              put(key);
              put(value);
            });
    put(file.tensors().size());
    file.tensors().forEach(this::put);
  }

  private void put(Tensor tensor) {
    put(tensor.name());
    put(tensor.type().toString());
    put(tensor.shape().size());
    tensor.shape().forEach(this::put);
    put(tensor.offset());
  }

  private void put(String text) {
    byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
    put(bytes.length);
    digest.update(bytes);
  }

  private void put(long number) {
    digest.update(ByteBuffer.allocate(Long.BYTES).putLong(number).flip());
  }
}
