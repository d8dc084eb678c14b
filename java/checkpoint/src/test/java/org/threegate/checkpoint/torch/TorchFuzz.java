package org.threegate.checkpoint.torch;

import org.threegate.run.InvalidInputException;

/**
 * Fuzz target for Jazzer. Any bytes are read as an archive, and as the pickle of one. The reader
 * either returns tensors that lie in the file or reports the error in one line.
 */
public final class TorchFuzz {
  private TorchFuzz() {}

  public static void fuzzerTestOneInput(byte[] data) {
    read(data);
    byte[] four = {1, 2, 3, 4};
    read(new Archives().with("x/data.pkl", data).with("x/data/0", four).end());
  }

  private static void read(byte[] file) {
    try {
      for (TorchTensor tensor : TorchArchive.read(Archives.source(file)).tensors()) {
        long elements = tensor.shape().stream().reduce(1L, Math::multiplyExact);
        long end = Math.addExact(tensor.offset(), elements * tensor.type().bytes());
        if (tensor.offset() < 0 || elements < 0 || end > file.length) {
          throw new AssertionError("a tensor beyond the file was accepted: " + tensor);
        }
      }
    } catch (InvalidInputException e) {
      if (e.getMessage().indexOf('\n') >= 0) {
        throw new AssertionError("the message has several lines", e);
      }
    }
  }
}
