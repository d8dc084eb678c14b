package org.threegate.loading;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.List;
import java.util.ServiceConfigurationError;
import java.util.ServiceLoader;
import org.threegate.spi.CudaLibraryProvider;
import org.threegate.spi.KernelBinding;

/**
 * Where cuBLAS and cuSOLVER are, which contexts of a CUDA device need for whole spectra. It is the
 * first of these:
 *
 * <ol>
 *   <li>The directories of the environment variable {@code THREEGATE_CUDA_LIBRARIES}.
 *   <li>Those of the first {@link CudaLibraryProvider} that finds the libraries, such as {@code
 *       org.threegate:threegate-cuda}.
 *   <li>Those of the system.
 * </ol>
 *
 * <p>Without the libraries the CPU computes whole spectra.
 */
public final class CudaLibraries {
  private static final String VARIABLE = "THREEGATE_CUDA_LIBRARIES";
  private static final String OF_THE_SYSTEM = "that of the system, if it has one";

  private CudaLibraries() {}

  private static final class Holder {
    static final String STATE = choose();
  }

  /** {@return where the libraries are looked for and why, which is decided at the first call} */
  public static String state() {
    return Holder.STATE;
  }

  private static String choose() {
    String given = System.getenv(VARIABLE);
    if (given != null) {
      return given + ", given by " + VARIABLE;
    }
    String reason = "; add org.threegate:threegate-cuda to use that of JavaCPP";
    var providers =
        ServiceLoader.load(CudaLibraryProvider.class, CudaLibraries.class.getClassLoader())
            .iterator();
    try {
      while (providers.hasNext()) {
        try {
          return use(providers.next().directories());
        } catch (IOException e) {
          reason = "; " + e.getMessage();
        }
      }
    } catch (ServiceConfigurationError | LinkageError | RuntimeException e) {
      reason = "; " + e;
    }
    return OF_THE_SYSTEM + reason;
  }

  private static String use(List<Path> directories) throws IOException {
    StringBuilder path = new StringBuilder();
    for (Path directory : directories) {
      if (directory.toString().indexOf(':') >= 0) {
        throw new IOException(directory + " has a colon in its name");
      }
      path.append(path.length() == 0 ? "" : ":").append(directory);
    }
    byte[] text = path.toString().getBytes(StandardCharsets.UTF_8);
    ByteBuffer block = ByteBuffer.allocateDirect(text.length + 1).put(text);
    KernelBinding binding = Bindings.get();
    if (binding.setCudaLibraryPath(binding.addressOf(block)) != 0) {
      throw new IOException("it was loaded before " + path + " was found");
    }
    return path.toString();
  }
}
