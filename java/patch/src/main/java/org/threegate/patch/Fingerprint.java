package org.threegate.patch;

import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.util.List;
import org.threegate.checkpoint.Checkpoint;
import org.threegate.checkpoint.Digests;
import org.threegate.checkpoint.SafetensorsFile;
import org.threegate.checkpoint.Tensor;
import org.threegate.kernel.Context;
import org.threegate.kernel.Control;

/**
 * SHA-256 of what headers say: which files a checkpoint has, and where in them its tensors lie,
 * which patching them in place does not change; and what a patch leads to.
 */
final class Fingerprint {
  static final int BYTES = 32;

  private final MessageDigest digest = Digests.sha256();

  private Fingerprint() {}

  static byte[] of(Checkpoint model) {
    Fingerprint all = new Fingerprint();
    for (SafetensorsFile file : model.files()) {
      all.put(file.path().getFileName().toString());
      all.put(file);
    }
    model.tensors().values().forEach(all::put);
    return all.digest.digest();
  }

  /**
   * @param unsigned what a patch stores of tensors whose digests it does not carry: it counts
   */
  static byte[] of(
      Context context,
      WeightPatch.Options options,
      List<SafetensorsFile> files,
      List<Tensor> unsigned) {
    Fingerprint all = new Fingerprint();
    all.put(options.toString());
    files.forEach(all::put);
    try (Control control = Control.open(context)) {
      Digests.of(context, unsigned, control).forEach(all::put);
    }
    return all.digest.digest();
  }

  private void put(SafetensorsFile file) {
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
