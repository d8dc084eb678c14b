package org.threegate.patch;

import java.io.IOException;
import java.util.List;
import org.threegate.kernel.ChangedElements;

/**
 * Encodes the changes of one tensor in one pass, chunk by chunk. A {@link TensorDecoder} reads the
 * result.
 */
interface TensorEncoder extends AutoCloseable {
  /** Returns the bytes of the units that are compared: those of an element, or 1. */
  int width();

  /** Returns the form in which the encoder needs changed values. */
  ChangedElements.Form form();

  /**
   * Adds the changes of the next chunk.
   *
   * @param begin number of the first element of the chunk
   * @param bytes length of the chunk
   * @param found the changes, which the encoder may alter; positions count from the chunk's start
   */
  void add(long begin, int bytes, ChangedElements found) throws IOException;

  /**
   * Ends the tensor. Called after the last chunk, if anything changed.
   *
   * @return the tensors of the patch that hold the changes
   */
  List<StoredTensor> end() throws IOException;

  @Override
  void close();
}
