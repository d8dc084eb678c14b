package org.threegate.cli;

import java.io.PrintWriter;
import java.util.concurrent.Callable;
import org.threegate.kernel.Doctor;
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
  @Spec private CommandSpec spec;

  @Override
  public Integer call() {
    Doctor.Report report = Doctor.report();
    PrintWriter out = spec.commandLine().getOut();
    out.print(report.text());
    out.flush();
    return report.usable() ? 0 : Execution.INVALID_INPUT;
  }
}
