package org.threegate.cli;

import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.Callable;
import org.threegate.analysis.engine.Engine;
import org.threegate.analysis.engine.MaskOutcome;
import org.threegate.analysis.engine.MaskRequest;
import org.threegate.analysis.geometry.GeometryOptions;
import org.threegate.analysis.mask.MaskFile;
import org.threegate.analysis.mask.MaskKind;
import org.threegate.analysis.mask.MaskOptions;
import org.threegate.analysis.pairing.Pairing;
import org.threegate.analysis.statistics.Accounting;
import org.threegate.kernel.Context;
import org.threegate.report.Account;
import org.threegate.run.InvalidInputException;
import org.threegate.run.PrintableText;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** {@code threegate mask}. */
@Command(
    name = "mask",
    mixinStandardHelpOptions = true,
    sortOptions = false,
    description = {
      "Write a mask of the weights that a trainer may change.",
      "",
      "The mask has one bit for each entry of each matrix of the checkpoint. --inspect lists the"
          + " contents of a mask file instead. docs/masks.md describes the kinds of mask."
    },
    footer = {
      "",
      "Examples:",
      "  threegate mask base/ --kind safe --out safe.safetensors",
      "  threegate mask base/ --kind principal --rank 64 --alpha 0.25 \\",
      "      --include self_attn --out principal.safetensors",
      "  threegate mask --inspect safe.safetensors"
    })
final class MaskCommand implements Callable<Integer> {
  @Spec private CommandSpec spec;

  @Input
  @Parameters(
      index = "0",
      paramLabel = "BASE",
      description = "The checkpoint, or with --inspect a mask file.")
  private String base;

  @Option(
      names = "--kind",
      paramLabel = "KIND",
      description =
          "The entries to select: principal, complement, low, safe, random or geora. Required without"
              + " --inspect.")
  private Optional<String> kind = Optional.empty();

  @Output(Output.Kind.MASK)
  @Option(
      names = "--out",
      paramLabel = "FILE",
      description = "Write the mask to this file. Required without --inspect.")
  private Optional<Path> out = Optional.empty();

  @Option(names = "--inspect", description = "List the contents of a mask file.")
  private boolean inspect;

  @Mixin private Selection selection;

  @Option(
      names = "--strict",
      description = "Refuse a checkpoint with tensors in a layout that is not understood.")
  private boolean strict;

  @Mixin private RankMixin principal;
  @Mixin private DeviceMixin device;
  @Mixin private SparkMixin spark;

  @Option(
      names = "--threads",
      paramLabel = "N",
      defaultValue = "0",
      description = "Number of threads; 0 for one on each processor (default: ${DEFAULT-VALUE}).")
  private int threads;

  @Option(
      names = "--seed",
      paramLabel = "N",
      defaultValue = "0",
      description = "Seed of the random mask (default: ${DEFAULT-VALUE}).")
  private long seed;

  @Override
  public Integer call() {
    if (inspect) {
      inspect();
      return 0;
    }
    Path file =
        out.orElseThrow(
            () -> new InvalidInputException("--out is missing; it gives the file of the mask"));
    OutputPath.writing(file, () -> write(file));
    return 0;
  }

  private MaskKind kind() {
    try {
      return MaskKind.of(
          kind.orElseThrow(
              () ->
                  new InvalidInputException(
                      "--kind is missing; it gives the entries that the mask selects")));
    } catch (IllegalArgumentException e) {
      throw new InvalidInputException("--kind: " + e.getMessage(), e);
    }
  }

  private void write(Path file) throws IOException {
    MaskOptions options = new MaskOptions(kind(), options());
    List<MaskOutcome> outcome = new ArrayList<>();
    Interruption.measure(
        () -> device.open(threads, spec.commandLine().getErr()),
        spec.commandLine().getErr(),
        "nothing was written",
        (context, control) -> {
          try (Engine engine = spark.engine(context);
              ProgressBar progress = new ProgressBar(control, true)) {
            MaskRequest request =
                MaskRequest.builder(base, options, file)
                    .selected(selection.predicate())
                    .provenance(provenance(engine))
                    .check(this::requireAll)
                    .build();
            outcome.add(engine.mask(request, progress, control));
          }
        });
    outcome.forEach(
        written ->
            spec.commandLine()
                .getOut()
                .print(described(written.unmatched().accounting().base(), written.excluded())));
    spec.commandLine().getOut().printf("mask: %s%n", file);
  }

  /** Refuses tensors that get no mask because they are not understood, if that was asked for. */
  private void requireAll(Pairing matrices) {
    if (strict) {
      Strictness.require(
          base,
          "get no mask",
          "mask the rest",
          List.of(matrices.accounting().base()),
          selection.predicate());
    }
  }

  private String described(Accounting.Side side, List<Accounting.Note> excluded) {
    return Account.text(side, excluded, "have a mask", "no mask", TerminalWidth.of(spec));
  }

  private List<Double> alphas() {
    return principal.alphas(List.of(0.5));
  }

  private GeometryOptions options() {
    if (principal.ranks().size() + principal.fractions().size() > 1 || alphas().size() > 1) {
      throw new InvalidInputException(
          "--rank, --rank-fraction or --alpha: a mask has one rank and one alpha");
    }
    try {
      return new GeometryOptions(
          principal.ranks(),
          principal.fractions(),
          alphas(),
          List.of(),
          0,
          principal.tolerance(),
          seed);
    } catch (IllegalArgumentException e) {
      throw new InvalidInputException(
          "--rank, --rank-fraction, --alpha or --tolerance: " + e.getMessage(), e);
    }
  }

  private Map<String, String> provenance(Engine engine) {
    Map<String, String> provenance = new LinkedHashMap<>();
    provenance.put("threegate", Version.current());
    provenance.put("base", engine.named(base));
    provenance.put("selection", String.join(" ", selection.command()));
    return provenance;
  }

  private void inspect() {
    PrintWriter print = spec.commandLine().getOut();
    try (Context context = Context.open(Context.Device.CPU, 1)) {
      MaskFile file = MaskFile.read(context, Path.of(base));
      long selected = 0;
      long total = 0;
      for (MaskFile.Entry entry : file.entries()) {
        long entries = entry.mask().rows() * entry.mask().columns();
        long count = entry.mask().count();
        print.printf(
            "%,14d of %,14d  %.4f  %-16s %s%n",
            count,
            entries,
            count / (double) entries,
            entry.mask().rows() + " x " + entry.mask().columns(),
            PrintableText.of(entry.name()));
        selected += count;
        total += entries;
      }
      print.printf(
          "%,14d of %,14d  %.4f  in %d matrices%n",
          selected, total, selected / (double) total, file.entries().size());
      if (file.accounting().tensors() > 0) {
        print.print(described(file.accounting(), file.excluded()));
      }
      file.provenance().entrySet().stream()
          .sorted(Map.Entry.comparingByKey())
          .forEach(
              entry ->
                  print.printf(
                      "  %s: %s%n",
                      PrintableText.of(entry.getKey()), PrintableText.of(entry.getValue())));
    }
  }
}
