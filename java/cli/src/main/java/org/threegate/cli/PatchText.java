package org.threegate.cli;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import org.threegate.analysis.patch.PatchGeometry;
import org.threegate.file.AtomicFiles;
import org.threegate.patch.WeightPatch;
import org.threegate.run.PrintableText;

/** The geometry of a patch as a table and as JSON. */
final class PatchText {
  private PatchText() {}

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
      out.printf(
          Locale.ROOT,
          "%,14d %7.3f%%  %7.1f %7.1f  %10s  %21s  %21s  %6s  %s%n",
          own.changed(),
          share(own.changed(), own.elements()),
          own.rowDispersion(),
          own.columnDispersion(),
          own.size().map(size -> String.format(Locale.ROOT, "%.3e", size.frobenius())).orElse("-"),
          spectrum(own).map(found -> withError(found.norm(), found.normError())).orElse("-"),
          spectrum(own)
              .map(found -> withError(found.randomSigns().mean(), found.randomSigns().sd()))
              .orElse("-"),
          spectrum(own)
              .map(found -> String.format(Locale.ROOT, "%.1f", found.stableRank()))
              .orElse("-"),
          PrintableText.of(own.tensor()));
    }
    out.printf(
        Locale.ROOT,
        "%,14d %7.3f%%  of the elements of these %d tensors%n%n",
        changed,
        share(changed, elements),
        all.size());
    out.println(
        """
        rows z, cols z: how far their counts of changed elements spread beyond those of so many at places that are all equally
          likely, which is standard normal. Small weights change more easily: rows of small weights alone make it large.
        random signs: the norm of the same changes at the same places with random signs; a step without a direction has it.
        rank: |dW|^2 / |dW|2^2.\
        """);
  }

  private static Optional<PatchGeometry.Spectrum> spectrum(PatchGeometry own) {
    return own.size().flatMap(PatchGeometry.Size::spectrum);
  }

  private static double share(long changed, long elements) {
    return 100.0 * changed / Math.max(1, elements);
  }

  private static String withError(double value, double error) {
    return String.format(Locale.ROOT, "%.3e +- %.0e", value, error);
  }

  static void write(Path file, WeightPatch.Options options, List<PatchGeometry> all, long seed)
      throws IOException {
    ObjectMapper mapper = new ObjectMapper();
    ObjectNode root = mapper.createObjectNode();
    root.put("schema", "threegate-patch-geometry-1")
        .put("format", options.format().label())
        .put("version", options.version())
        .put("base_version", options.baseVersion())
        .put("seed", seed);
    var tensors = root.putArray("tensors");
    for (PatchGeometry own : all) {
      ObjectNode tensor =
          tensors
              .addObject()
              .put("name", own.tensor())
              .put("dtype", own.type().toString())
              .put("rows", own.rows())
              .put("columns", own.columns())
              .put("elements", own.elements())
              .put("changed", own.changed())
              .put("not_finite", own.notFinite())
              .put("row_dispersion_z", own.rowDispersion())
              .put("column_dispersion_z", own.columnDispersion());
      own.size().ifPresent(size -> tensor.put("frobenius", size.frobenius()));
      spectrum(own)
          .ifPresent(
              found ->
                  tensor
                      .put("spectral_norm", found.norm())
                      .put("spectral_norm_error", found.normError())
                      .put("stable_rank", found.stableRank())
                      .putObject("random_signs")
                      .put("draws", found.randomSigns().draws())
                      .put("mean", found.randomSigns().mean())
                      .put("sd", found.randomSigns().sd())
                      .put("z", found.randomSigns().z(found.norm()))
                      .put("p", found.randomSigns().pValue(found.norm())));
    }
    ByteBuffer text =
        ByteBuffer.wrap((root.toPrettyString() + "\n").getBytes(StandardCharsets.UTF_8));
    AtomicFiles.write(
        file,
        to -> {
          while (text.hasRemaining()) {
            to.write(text);
          }
        });
  }
}
