package org.threegate.checkpoint;

import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.threegate.checkpoint.torch.ByteSource;
import org.threegate.kernel.Context;
import org.threegate.kernel.MappedFile;

/** An open file whose contents another file describes. */
final class ChunkFile extends TensorFile {
  private ChunkFile(MappedFile file) {
    super(file);
  }

  static ChunkFile open(Context context, Path path) {
    return open(context, path, ChunkFile::new);
  }

  ByteSource source() {
    return TorchFile.source(mapped());
  }

  @Override
  public Map<String, String> metadata() {
    return Map.of();
  }

  /** {@return no tensors: the file does not say where they lie} */
  @Override
  public List<Tensor> tensors() {
    return List.of();
  }
}
