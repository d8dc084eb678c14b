package org.threegate.spi;

import java.nio.file.Path;

/** One way of calling the native library; found by {@link java.util.ServiceLoader}. */
public interface BindingProvider {
  /** {@code "jni"} or {@code "ffm"}. */
  String name();

  /** Providers are tried from the highest preference down. */
  int preference();

  /**
   * The library that this binding adds to the common ones, a resource of its own jar; empty when it
   * needs none.
   */
  String shimResource();

  /**
   * Loads the library from a directory that holds all files.
   *
   * @throws UnsatisfiedLinkError when that fails; the message is the reason that the operating
   *     system gives
   */
  KernelBinding load(Path directory);
}
