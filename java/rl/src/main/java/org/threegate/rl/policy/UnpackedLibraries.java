package org.threegate.rl.policy;

import ai.djl.huggingface.tokenizers.HuggingFaceTokenizer;
import java.io.IOException;
import org.threegate.loading.NativeCache;
import org.threegate.loading.NativeLibraries;

/**
 * Has the libraries of others unpacked where only this user can write. They load what they find in
 * their caches, whoever put it there: the tokenizers' by its name alone, libtorch's by name, size
 * and time. So the first, of 14 MB, is unpacked here and compared with its jar at each start. The
 * others, of a gigabyte, are too large for that; nobody else can reach them.
 *
 * <p>Where somebody has named other directories, by the variables and properties of those
 * libraries, they stay.
 */
final class UnpackedLibraries {
  private static final String TORCH_CACHE = "org.bytedeco.javacpp.cachedir";
  private static final String TOKENIZERS = "RUST_LIBRARY_PATH";
  private static final String TOKENIZERS_RESOURCE = "/native/lib/linux-x86_64/cpu/libtokenizers.so";

  private UnpackedLibraries() {}

  /** Before the first class of JavaCPP is used. */
  static void prepareTorch() {
    if (System.getProperty(TORCH_CACHE, "").isEmpty()) {
      try {
        System.setProperty(TORCH_CACHE, NativeCache.directory("javacpp").toString());
      } catch (IOException e) {
        throw failed("libtorch", e);
      }
    }
  }

  /** Before the first tokenizer is made. */
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
