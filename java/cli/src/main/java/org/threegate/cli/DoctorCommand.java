package org.threegate.cli;

import java.io.PrintWriter;
import java.util.concurrent.Callable;
import org.threegate.kernel.Capabilities;
import org.threegate.kernel.Context;
import org.threegate.loading.Bindings;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Spec;

/** {@code threegate doctor}. */
@Command(
    name = "doctor",
    mixinStandardHelpOptions = true,
    description = {
      "Report what this machine supports.",
      "",
      "Prints the JDK, the binding, the device, the instruction set and the BLAS library in use. Where a"
          + " faster variant is unavailable, it prints the reason."
    },
    footer = {"", "Examples:", "  threegate doctor", "  THREEGATE_SIMD=avx2 threegate doctor"})
final class DoctorCommand implements Callable<Integer> {
  private static final double GIB = 1L << 30;

  @Spec private CommandSpec spec;

  @Override
  public Integer call() {
    PrintWriter out = spec.commandLine().getOut();
    out.printf(
        "JDK       %s (%s)%n",
        System.getProperty("java.runtime.version"), System.getProperty("java.home"));
    Capabilities machine = Capabilities.query();
    out.printf("threegate %s%n", machine.version());
    out.printf("binding   %s%n", Bindings.get().name());
    Bindings.reasons().forEach(reason -> out.printf("          %s%n", reason));
    out.printf("libraries %s%n", Bindings.libraries());
    out.printf("device    %s%n", machine.cudaDevices() > 0 ? "cuda" : "cpu");
    reason(out, machine.cuda());
    reason(out, machine.cudaReason());
    out.printf("CPU       %s, %d threads%n", machine.cpu(), machine.hardwareThreads());
    out.printf("SIMD      %s%n", machine.simd());
    reason(out, machine.simdReason());
    out.printf("BLAS      %s%n", machine.blas());
    out.printf(
        "memory    %.1f GiB, heap up to %.1f GiB%n",
        machine.memoryBytes() / GIB, Runtime.getRuntime().maxMemory() / GIB);
    Context.Device best = machine.cudaDevices() > 0 ? Context.Device.CUDA : Context.Device.CPU;
    try (Context context = Context.open(best, 0)) {
      out.printf(
          "check     opened and closed a context on the %s with %d threads%n",
          best == Context.Device.CUDA ? "GPU" : "CPU", context.threads());
    }
    return 0;
  }

  private static void reason(PrintWriter out, String reason) {
    if (!reason.isEmpty()) {
      out.printf("          %s%n", reason);
    }
  }
}
