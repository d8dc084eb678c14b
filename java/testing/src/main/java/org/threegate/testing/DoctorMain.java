package org.threegate.testing;

import org.threegate.kernel.Doctor;

/** Prints the report of {@link Doctor}. It exits with 3 if Threegate cannot be used. */
public final class DoctorMain {
  private DoctorMain() {}

  /** Runs the program; it takes no arguments. */
  public static void main(String[] arguments) {
    Doctor.Report report = Doctor.report();
    System.out.print(report.text());
    System.exit(report.usable() ? 0 : 3);
  }
}
