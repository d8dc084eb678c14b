package org.threegate.cli;

import java.io.PrintWriter;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import org.threegate.analysis.patch.PatchGeometry;
import org.threegate.run.PrintableText;

/** Prints what a patch does to each tensor as a table. */
final class PatchText {
  private PatchText() {}

  /**
   * Prints the table.
   *
   * @param title line above the table
   * @param all one row for each tensor
   */
  static void print(PrintWriter out, String title, List<PatchGeometry> all) {
    out.println(title);
    out.println();
    out.printf(
        "%14s %8s  %7s %7s  %10s  %21s  %21s  %6s  %s%n",
        "changed",
        "share",
        "rows z",
        "cols z",
        "|dW|",
        "|dW|2 +- error",
        "random signs +- sd",
        "rank",
        "tensor");
    long changed = 0;
    long elements = 0;
    for (PatchGeometry own : all) {
      changed += own.changed();
      elements += own.elements();
      print(out, own);
    }
    out.printf(
        Locale.ROOT,
        "%,14d %7.3f%%  of the elements of these %d tensors%n%n",
        changed,
        percent(changed, elements),
        all.size());
    out.println(
        """
        rows z, cols z: how strongly changed elements gather in some rows or columns. If changes fell on random
          elements, the value would be standard normal. Small weights change more easily, so rows of small weights
          alone make it large.
        |dW|, |dW|2: Frobenius norm and spectral norm of the change.
        random signs: the spectral norm of the same changes with random signs, as a change without direction has it.
        rank: the stable rank, |dW|^2 / |dW|2^2.
        -: not measured; the dtype is not numeric, the tensor is not a matrix, or too many elements change.\
        """);
  }

  private static void print(PrintWriter out, PatchGeometry own) {
    Optional<PatchGeometry.Spectrum> spectrum = own.size().flatMap(PatchGeometry.Size::spectrum);
    out.printf(
        Locale.ROOT,
        "%,14d %7.3f%%  %7.1f %7.1f  %10s  %21s  %21s  %6s  %s%n",
        own.changed(),
        percent(own.changed(), own.elements()),
        own.rowDispersion(),
        own.columnDispersion(),
        own.size().map(size -> String.format(Locale.ROOT, "%.3e", size.frobenius())).orElse("-"),
        spectrum.map(found -> withError(found.norm(), found.normError())).orElse("-"),
        spectrum
            .map(found -> withError(found.randomSigns().mean(), found.randomSigns().sd()))
            .orElse("-"),
        spectrum.map(found -> String.format(Locale.ROOT, "%.1f", found.stableRank())).orElse("-"),
        PrintableText.of(own.tensor()));
  }

  private static double percent(long changed, long elements) {
    return 100.0 * changed / Math.max(1, elements);
  }

  private static String withError(double value, double error) {
    return String.format(Locale.ROOT, "%.3e +- %.0e", value, error);
  }
}
