package org.threegate.rl.policy;

import ai.djl.huggingface.tokenizers.HuggingFaceTokenizer;
import java.io.IOException;
import org.threegate.loading.NativeCache;
import org.threegate.loading.NativeLibraries;

/**
 * Unpacks native libraries to a directory that only this user can write to. Their loaders trust
 * their caches: that of tokenizers compares only the name of a file, and that of libtorch only
 * name, size and time. The tokenizers library (14 MB) is unpacked here and compared with its jar at
 * each start. libtorch (about 1 GB) is too large for that, and is protected by the permissions.
 *
 * <p>Directories that the user configured with the variables and properties of those libraries are
 * kept.
 */
final class UnpackedLibraries {
  private static final String TORCH_CACHE = "org.bytedeco.javacpp.cachedir";
  private static final String TOKENIZERS = "RUST_LIBRARY_PATH";
  private static final String TOKENIZERS_RESOURCE = "/native/lib/linux-x86_64/cpu/libtokenizers.so";

  private UnpackedLibraries() {}

  /** Prepares the cache of JavaCPP. Call it before the first class of JavaCPP is used. */
  static void prepareTorch() {
    if (System.getProperty(TORCH_CACHE, "").isEmpty()) {
      try {
        System.setProperty(TORCH_CACHE, NativeCache.directory("javacpp").toString());
      } catch (IOException e) {
        throw failed("libtorch", e);
      }
    }
  }

  /** Prepares the cache of tokenizers. Call it before the first tokenizer is created. */
  static void prepareTokenizers() {
    if (System.getenv(TOKENIZERS) == null && System.getProperty(TOKENIZERS, "").isEmpty()) {
      try {
        System.setProperty(
            TOKENIZERS,
            NativeLibraries.unpacked("tokenizers", HuggingFaceTokenizer.class, TOKENIZERS_RESOURCE)
                .toString());
      } catch (IOException e) {
        throw failed("the tokenizers' library", e);
      }
    }
  }

  private static UnsatisfiedLinkError failed(String what, IOException e) {
    return new UnsatisfiedLinkError("cannot unpack " + what + ": " + e.getMessage());
  }
}
