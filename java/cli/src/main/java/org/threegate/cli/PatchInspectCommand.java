package org.threegate.cli;

import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.concurrent.Callable;
import org.threegate.analysis.patch.PatchGeometry;
import org.threegate.checkpoint.Checkpoint;
import org.threegate.checkpoint.Tensor;
import org.threegate.kernel.Context;
import org.threegate.patch.DigestPolicy;
import org.threegate.patch.PatchOptions;
import org.threegate.patch.WeightPatch;
import org.threegate.run.InvalidInputException;
import org.threegate.run.PrintableText;
import org.threegate.run.Progress;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** {@code threegate patch inspect}. */
@Command(
    name = "inspect",
    mixinStandardHelpOptions = true,
    sortOptions = false,
    description = {
      "Show what a patch contains. Without --base only its headers are read. With --base the command"
          + " measures what the patch does to each tensor; it reads only elements that change.",
      "Digests are not compared. Use threegate patch verify for that."
    },
    footer = {
      "",
      "Examples:",
      "  threegate patch inspect step-1.safetensors",
      "  threegate patch inspect step-1.safetensors --base base/ --json geometry.json"
    })
final class PatchInspectCommand implements Callable<Integer> {
  @Spec private CommandSpec spec;

  @Input
  @Parameters(index = "0", paramLabel = "PATCH", description = "The patch: a file or a directory.")
  private Path patch;

  @Input
  @Option(
      names = "--base",
      paramLabel = "BASE",
      description = "The checkpoint that the patch was made from.")
  private Optional<Path> base = Optional.empty();

  @Output(Output.Kind.NEW)
  @Option(
      names = "--json",
      paramLabel = "FILE",
      description = "Also write the measurements as JSON to this new file. Needs --base.")
  private Optional<Path> json = Optional.empty();

  @Option(
      names = "--seed",
      paramLabel = "N",
      defaultValue = "1",
      description = "Seed of the null model with random signs (default: ${DEFAULT-VALUE}).")
  private long seed;

  @Override
  public Integer call() throws IOException {
    if (json.isPresent() && base.isEmpty()) {
      throw new InvalidInputException("--json: needs --base");
    }
    PatchWork.run(
        spec,
        (context, progress) -> {
          try (WeightPatch opened = WeightPatch.open(context, patch, DigestPolicy.IF_PRESENT)) {
            if (base.isPresent()) {
              printGeometry(context, opened, progress);
            } else {
              printHeaders(opened);
            }
          }
        });
    spec.commandLine().getOut().flush();
    return 0;
  }

  private void printHeaders(WeightPatch opened) {
    PrintWriter out = spec.commandLine().getOut();
    long sum = 0;
    for (WeightPatch.Entry entry : opened.entries()) {
      sum += entry.storedBytes();
      out.printf(
          "%,14d bytes  %s  %s%n",
          entry.storedBytes(), entry.digest().orElse("no digest"), PrintableText.of(entry.name()));
    }
    out.printf("%,14d bytes  %s%n", sum, title(opened));
  }

  private static String title(WeightPatch opened) {
    PatchOptions options = opened.options();
    return String.format(
        Locale.ROOT,
        "%s, version %d from %d, %s, %d tensors",
        options.format().label(),
        options.versions().target(),
        options.versions().base(),
        options.checksum().label(),
        opened.entries().size());
  }

  private void printGeometry(Context context, WeightPatch opened, Progress progress)
      throws IOException {
    List<PatchGeometry> all = new ArrayList<>();
    try (Checkpoint model = Checkpoint.open(context, base.orElseThrow())) {
      long total = opened.entries().stream().mapToLong(WeightPatch.Entry::storedBytes).sum();
      long done = 0;
      for (WeightPatch.Entry entry : opened.entries()) {
        progress.at(entry.name(), done, total);
        Tensor tensor = opened.target(model, entry.name());
        all.add(PatchGeometry.of(opened, tensor, seed));
        done += entry.storedBytes();
      }
      model.check();
      progress.at("", total, total);
    }
    PatchText.print(spec.commandLine().getOut(), title(opened), all);
    if (json.isPresent()) {
      PatchJson.write(json.get(), opened.options(), all, seed);
    }
  }
}
