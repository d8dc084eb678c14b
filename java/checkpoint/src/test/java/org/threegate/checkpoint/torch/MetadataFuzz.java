package org.threegate.checkpoint.torch;

import org.threegate.run.InvalidInputException;

/**
 * Fuzz target for Jazzer. Any bytes are read as the {@code .metadata} of a distributed checkpoint.
 * The reader either returns chunks that lie in their tensors and files without overlap, or reports
 * the error in one line.
 */
public final class MetadataFuzz {
  private MetadataFuzz() {}

  public static void fuzzerTestOneInput(byte[] data) {
    try {
      DistributedMetadata read = DistributedMetadata.read(ByteSource.of("fuzz", data));
      for (DistributedMetadata.Chunked tensor : read.tensors()) {
        for (DistributedMetadata.Chunk chunk : tensor.chunks()) {
          check(tensor, chunk);
        }
      }
    } catch (InvalidInputException e) {
      if (e.getMessage().indexOf('\n') >= 0) {
        throw new AssertionError("the message has several lines", e);
      }
    }
  }

  private static void check(DistributedMetadata.Chunked tensor, DistributedMetadata.Chunk chunk) {
    DistributedMetadata.Place place = chunk.place();
    boolean valid =
        place.offset() >= 0
            && place.bytes() >= 0
            && place.offset() + place.bytes() >= 0
            && chunk.begin().size() == tensor.shape().size();
    for (int i = 0; valid && i < tensor.shape().size(); i++) {
      long end = chunk.begin().get(i) + chunk.size().get(i);
      valid = chunk.begin().get(i) >= 0 && end >= 0 && end <= tensor.shape().get(i);
    }
    if (!valid) {
      throw new AssertionError("a chunk beyond its tensor was accepted: " + chunk);
    }
  }
}
