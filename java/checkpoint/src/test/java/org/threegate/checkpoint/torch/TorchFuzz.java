package org.threegate.checkpoint.torch;

import java.util.ArrayList;
import java.util.List;
import java.util.function.Supplier;
import org.threegate.run.InvalidInputException;

/**
 * Fuzz target for Jazzer. Any bytes are read as an archive, and as the pickle of one: a state
 * dictionary, a chunk, and files of DeepSpeed. The reader either returns tensors that lie in the
 * file or reports the error in one line.
 */
public final class TorchFuzz {
  private TorchFuzz() {}

  public static void fuzzerTestOneInput(byte[] data) {
    read(data);
    byte[] four = {1, 2, 3, 4};
    read(new Archives().with("x/data.pkl", data).with("x/data/0", four).end());
  }

  private static void read(byte[] file) {
    ByteSource source = Archives.source(file);
    check(file, () -> TorchArchive.read(source).tensors());
    check(file, () -> List.of(TorchArchive.one(source, "chunk")));
    check(file, () -> ZeroOptimizerState.read(source).groups());
    check(
        file,
        () -> {
          ZeroModelState state = ZeroModelState.read(source);
          List<TorchTensor> tensors = new ArrayList<>(state.module().values());
          tensors.addAll(state.frozen().values());
          return tensors;
        });
  }

  private static void check(byte[] file, Supplier<List<TorchTensor>> reading) {
    try {
      for (TorchTensor tensor : reading.get()) {
        long elements = tensor.shape().stream().reduce(1L, Math::multiplyExact);
        long end = Math.addExact(tensor.offset(), tensor.span() * tensor.type().bytes());
        if (tensor.offset() < 0 || elements < 0 || elements > tensor.span() || end > file.length) {
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
