package org.threegate.kernel;

import java.util.List;
import java.util.Locale;
import org.threegate.loading.Bindings;
import org.threegate.loading.CudaLibraries;

/**
 * Reports what Threegate can use on this machine, and why it does not use more.
 *
 * <pre>{@code
 * Doctor.Report report = Doctor.report();
 * System.out.print(report.text());
 * if (!report.usable()) {
 *   throw new IllegalStateException("Threegate cannot be used here");
 * }
 * }</pre>
 */
public final class Doctor {
  private static final double GIB = 1L << 30;

  private Doctor() {}

  /**
   * A report for people.
   *
   * @param usable whether a binding was loaded and a context could be opened
   * @param text lines with a name and a value; reasons are on indented lines of their own
   */
  public record Report(boolean usable, String text) {}

  /**
   * Loads the binding, opens a context, and reports the result. It does not throw.
   *
   * @return the report
   */
  public static Report report() {
    StringBuilder text = new StringBuilder();
    line(
        text,
        "JDK",
        System.getProperty("java.runtime.version") + " (" + System.getProperty("java.home") + ")");
    boolean usable;
    try {
      String binding = Bindings.get().name();
      Capabilities machine = Capabilities.query();
      line(text, "threegate", machine.version());
      line(text, "binding", binding);
      Bindings.reasons().forEach(reason -> line(text, "", reason));
      line(text, "libraries", Bindings.libraries());
      machine(text, machine);
      usable = check(text, machine.cudaDevices() > 0 ? Context.Device.CUDA : Context.Device.CPU);
    } catch (LinkageError e) {
      line(text, "binding", "none");
      List<String> reasons = Bindings.reasons();
      (reasons.isEmpty() ? List.of(String.valueOf(e.getMessage())) : reasons)
          .forEach(reason -> line(text, "", reason));
      usable = false;
    } catch (KernelException e) {
      line(text, "check", e.getMessage());
      usable = false;
    }
    return new Report(usable, text.toString());
  }

  private static void machine(StringBuilder text, Capabilities machine) {
    line(text, "device", machine.cudaDevices() > 0 ? "cuda" : "cpu");
    line(text, "", machine.cuda());
    line(text, "", machine.cudaReason());
    if (machine.cudaDevices() > 0) {
      line(text, "cuSOLVER", CudaLibraries.state());
    }
    line(text, "CPU", machine.cpu() + ", " + machine.hardwareThreads() + " threads");
    line(text, "SIMD", machine.simd());
    line(text, "", machine.simdReason());
    line(text, "BLAS", machine.blas());
    line(
        text,
        "memory",
        String.format(
            Locale.ROOT,
            "%.1f GiB, heap up to %.1f GiB",
            machine.memoryBytes() / GIB,
            Runtime.getRuntime().maxMemory() / GIB));
  }

  private static boolean check(StringBuilder text, Context.Device device) {
    try (Context context = Context.open(device, 0)) {
      line(
          text,
          "check",
          String.format(
              Locale.ROOT,
              "opened and closed a context on the %s with %d threads",
              device == Context.Device.CUDA ? "GPU" : "CPU",
              context.threads()));
    }
    return true;
  }

  /** Appends a line. Reasons have no name; empty ones are left out. */
  private static void line(StringBuilder text, String name, String value) {
    if (!name.isEmpty() || !value.isEmpty()) {
      text.append(String.format(Locale.ROOT, "%-9s %s\n", name, value));
    }
  }
}
