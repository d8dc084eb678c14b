package org.threegate.spi;

import java.io.IOException;
import java.nio.file.Path;
import java.util.List;

/**
 * Finds cuBLAS and cuSOLVER of CUDA 13 for contexts of a CUDA device. {@link
 * java.util.ServiceLoader} finds the providers.
 */
public interface CudaLibraryProvider {
  /**
   * {@return the directories with both libraries, in the order in which they are searched}
   *
   * @throws IOException if a library is not found; the message says where it was looked for
   */
  List<Path> directories() throws IOException;
}
