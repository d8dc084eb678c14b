package org.threegate.binding.jni;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.threegate.spi.BindingProvider;
import org.threegate.spi.KernelBinding;

/** The binding for every JDK from 17 on. */
public final class JniProvider implements BindingProvider {
  private static final String SHIM = "libjnithreegate.so";
  private static final String JAVACPP = "org.bytedeco.javacpp.Loader";

  /** Creates a provider. {@link java.util.ServiceLoader} calls this. */
  public JniProvider() {}

  @Override
  public String name() {
    return "jni";
  }

  @Override
  public int preference() {
    return 1;
  }

  @Override
  public String shimResource() {
    return "/org/threegate/binding/jni/" + SHIM;
  }

  @Override
  public KernelBinding load(Path directory) {
    requireJavaCpp();
    Path shim = directory.resolve(SHIM);
    try {
      System.load(shim.toString());
    } catch (UnsatisfiedLinkError e) {
      if (!String.valueOf(e.getMessage()).contains("already loaded in another classloader")) {
        throw e;
      }
      loadCopy(shim);
    }
    return new JniBinding();
  }

  /** Checks for the classes that the shim looks up when it is loaded. */
  private static void requireJavaCpp() {
    try {
      Class.forName(JAVACPP, false, JniProvider.class.getClassLoader());
    } catch (ClassNotFoundException e) {
      throw new UnsatisfiedLinkError(
          "JavaCPP is not on the class path; add org.bytedeco:javacpp to it");
    }
  }

  /**
   * Loads a copy of the shim. A JVM lets only one class loader load a native file, so other class
   * loaders need a copy, which finds the same library.
   */
  private static void loadCopy(Path shim) {
    try {
      Path copy = Files.createTempFile(shim.getParent(), "loader-", ".so");
      try {
        Files.copy(shim, copy, java.nio.file.StandardCopyOption.REPLACE_EXISTING);
        System.load(copy.toString());
      } finally {
        Files.delete(copy);
      }
    } catch (IOException e) {
      throw new UnsatisfiedLinkError("cannot copy " + shim + " for a second class loader: " + e);
    }
  }
}
