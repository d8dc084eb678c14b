package org.threegate.spi;

import java.nio.file.Path;

/** A way to call the native library. {@link java.util.ServiceLoader} finds the providers. */
public interface BindingProvider {
  /** {@return {@code "jni"} or {@code "ffm"}} */
  String name();

  /** {@return the preference} Providers are tried in descending order. */
  int preference();

  /**
   * {@return the resource of the library that only this binding needs; "" if it needs none} The
   * resource is in the jar of the binding.
   */
  String shimResource();

  /**
   * Loads the library from a directory that holds all files.
   *
   * @param directory directory with all files
   * @return the binding
   * @throws UnsatisfiedLinkError if it cannot be loaded; the message is that of the operating
   *     system
   */
  KernelBinding load(Path directory);
}
