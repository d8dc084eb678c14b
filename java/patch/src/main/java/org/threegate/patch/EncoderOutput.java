package org.threegate.patch;

import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import org.threegate.checkpoint.Tensor;
import org.threegate.checkpoint.TensorType;

/**
 * Where the encoders of one thread write.
 *
 * @param spool encoded tensors, which stay until the patch is written
 * @param frames writes zstd frames into the spool
 * @param scratch intermediate data of one tensor
 */
record EncoderOutput(Spool spool, FrameWriter frames, Spool scratch) implements AutoCloseable {
  /**
   * Creates the temporary files.
   *
   * @param patch path of the patch, whose lock this process holds
   */
  static EncoderOutput open(Path patch) throws IOException {
    Spool spool = new Spool(patch);
    try {
      return new EncoderOutput(spool, new FrameWriter(spool.file()), new Spool(patch));
    } catch (IOException | RuntimeException e) {
      spool.close();
      throw e;
    }
  }

  /**
   * Ends a zstd frame.
   *
   * @param begin position in the spool at which the frame begins
   * @return the frame as a U8 vector with the tensor's name
   */
  List<StoredTensor> endFrame(Tensor tensor, long begin) throws IOException {
    frames.end();
    long bytes = spool.position() - begin;
    return List.of(
        new StoredTensor(
            tensor.name(), TensorType.U8, List.of(bytes), to -> spool.copy(begin, bytes, to)));
  }

  @Override
  public void close() throws IOException {
    frames.close();
    scratch.close();
    spool.close();
  }
}
