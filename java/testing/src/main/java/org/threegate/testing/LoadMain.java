package org.threegate.testing;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.threegate.kernel.Capabilities;
import org.threegate.kernel.Context;

/** Loads the native libraries and prints where from; exits with 3 and the reason when it cannot. */
public final class LoadMain {
  private LoadMain() {}

  /** No arguments. */
  public static void main(String[] arguments) throws IOException {
    try (Context context = Context.open(Context.Device.CPU, 1)) {
      System.out.println(Capabilities.query().blas() + ", " + context.threads() + " thread");
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
}
