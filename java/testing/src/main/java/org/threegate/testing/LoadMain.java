package org.threegate.testing;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.threegate.kernel.Capabilities;
import org.threegate.kernel.Context;
import org.threegate.loading.Bindings;
import org.threegate.loading.NativeLibraries;

/**
 * Loads the native libraries and prints their directory. With an argument, it unpacks a resource
 * into a directory of that name in the cache instead. It exits with 3 and the reason if it fails.
 */
public final class LoadMain {
  private LoadMain() {}

  /** Runs the program; the argument is the name of a directory, or missing. */
  public static void main(String[] arguments) throws IOException {
    if (arguments.length > 0) {
      unpack(arguments[0]);
      return;
    }
    try (Context context = Context.open(Context.Device.CPU, 1)) {
      System.out.println(Capabilities.query().blas() + ", " + context.threads() + " thread");
      System.out.println(Bindings.libraries());
      Files.readAllLines(Path.of("/proc/self/maps")).stream()
          .filter(line -> line.contains("threegate") || line.contains("openblas"))
          .map(line -> line.substring(line.indexOf('/')))
          .distinct()
          .forEach(System.out::println);
    } catch (UnsatisfiedLinkError e) {
      System.out.println(e.getMessage());
      System.exit(3);
    }
  }

  private static void unpack(String directory) {
    try {
      System.out.println(
          NativeLibraries.unpacked(
              directory, LoadMain.class, "/org/threegate/testing/LoadMain.class"));
    } catch (IOException e) {
      System.out.println(e.getMessage());
      System.exit(3);
    }
  }
}
