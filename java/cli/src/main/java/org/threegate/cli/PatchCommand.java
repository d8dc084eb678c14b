package org.threegate.cli;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Locale;
import java.util.Optional;
import java.util.concurrent.Callable;
import java.util.stream.Collectors;
import org.threegate.analysis.measure.Comparison;
import org.threegate.checkpoint.AtomicFiles;
import org.threegate.checkpoint.Checkpoint;
import org.threegate.checkpoint.InvalidInputException;
import org.threegate.checkpoint.PrintableText;
import org.threegate.kernel.Context;
import org.threegate.kernel.Control;
import org.threegate.patch.ChecksumFormat;
import org.threegate.patch.PatchFormat;
import org.threegate.patch.PatchInPlace;
import org.threegate.patch.WeightPatch;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** {@code threegate patch}. */
@Command(
    name = "patch",
    mixinStandardHelpOptions = true,
    sortOptions = false,
    description = {
      "Makes, applies, verifies, shows and converts weight patches: what a step changes of stored weights, bit for bit.",
      "",
      "Formats: planar (the smallest), disk-delta-xor and disk-delta-overwrite (directories of versions that inference engines"
          + " read), sparse (plain tensors). docs/patches.md has each, byte by byte."
    },
    subcommands = {
      PatchCommand.Create.class,
      PatchCommand.Apply.class,
      PatchCommand.Verify.class,
      PatchCommand.Inspect.class,
      PatchCommand.Convert.class
    },
    footer = {
      "",
      "Examples:",
      "  threegate patch create base/ tuned/ --out step-1.safetensors",
      "  threegate patch apply base/ step-1.safetensors --out tuned-again/",
      "  threegate patch apply served/ weight_v000002/ --in-place",
      "  threegate patch verify base/ weight_v000002/",
      "  threegate patch convert base/ step-1.safetensors --format disk-delta-xor --out weight_v000001/"
    })
final class PatchCommand implements Callable<Integer> {
  @Spec private CommandSpec spec;

  @Override
  public Integer call() {
    throw new InvalidInputException(
        "patch: say what to do: create, apply, verify, inspect or convert");
  }

  /** How a patch is to be written. */
  static final class Written {
    @Option(
        names = "--out",
        paramLabel = "PATCH",
        required = true,
        description = "a new file, or directory of a disk delta")
    private Path out;

    @Option(
        names = "--format",
        paramLabel = "FORMAT",
        defaultValue = "planar",
        description =
            "planar, disk-delta-xor, disk-delta-overwrite or sparse (default: ${DEFAULT-VALUE})")
    private String format;

    @Option(
        names = "--checksum",
        paramLabel = "NAME",
        defaultValue = "xxh3-128",
        description = "of each tensor: xxh3-128, blake3 or adler32 (default: ${DEFAULT-VALUE})")
    private String checksum;

    @Option(
        names = "--raw-positions",
        description = "of sparse: positions as they are, not the gaps between them")
    private boolean raw;

    @Option(
        names = "--version-number",
        paramLabel = "N",
        defaultValue = "1",
        description = "that the patch leads to (default: ${DEFAULT-VALUE})")
    private long version;

    @Option(
        names = "--base-version",
        paramLabel = "N",
        defaultValue = "0",
        description = "that it begins with (default: ${DEFAULT-VALUE})")
    private long baseVersion;

    Path out() {
      return out;
    }

    WeightPatch.Options options() {
      ChecksumFormat sum =
          Arrays.stream(ChecksumFormat.values())
              .filter(own -> own.label().equals(checksum))
              .findFirst()
              .orElseThrow(
                  () ->
                      new InvalidInputException(
                          "--checksum \""
                              + checksum
                              + "\"; there are "
                              + Arrays.stream(ChecksumFormat.values())
                                  .map(ChecksumFormat::label)
                                  .collect(Collectors.joining(", "))));
      try {
        return new WeightPatch.Options(PatchFormat.of(format), sum, !raw, version, baseVersion);
      } catch (IllegalArgumentException e) {
        throw new InvalidInputException(
            "--format, --version-number or --base-version: " + e.getMessage(), e);
      }
    }
  }

  /** What is done with a context, while a bar is drawn. */
  @FunctionalInterface
  private interface Work {
    void run(Context context, WeightPatch.Progress progress) throws IOException;
  }

  private static void work(CommandSpec spec, int threads, Work work) throws IOException {
    Interruption.measure(
        () -> Context.open(Context.Device.CPU, threads),
        spec.commandLine().getErr(),
        "nothing was written",
        (context, control) -> {
          try (ProgressBar bar = new ProgressBar(control, true)) {
            work.run(context, progress(control, bar));
          }
        });
  }

  private static WeightPatch.Progress progress(Control control, ProgressBar bar) {
    return (tensor, done, total) -> {
      if (control.isCancelled()) {
        throw new Comparison.CancelledException();
      }
      bar.at(tensor, done, total);
    };
  }

  private static void requireNew(Path out) {
    if (Files.exists(out)) {
      throw new InvalidInputException(out + ": exists already; name a new place with --out");
    }
  }

  private static long bytes(Path patch) throws IOException {
    if (!Files.isDirectory(patch)) {
      return Files.size(patch);
    }
    long sum = 0;
    for (Path file : AtomicFiles.list(patch)) {
      sum += Files.size(file);
    }
    return sum;
  }

  private static void create(
      Context context,
      Path base,
      Path tuned,
      Path out,
      WeightPatch.Options options,
      WeightPatch.Progress progress)
      throws IOException {
    boolean done = false;
    try (Checkpoint before = Checkpoint.open(context, base);
        Checkpoint after = Checkpoint.open(context, tuned)) {
      WeightPatch.create(context, before, after, out, options, progress);
      done = true;
    } finally {
      // A directory without its index is no version.
      if (!done && Files.isDirectory(out)) {
        AtomicFiles.deleteDirectory(out);
      }
    }
  }

  private static String made(Path out, Path tuned) throws IOException {
    long patch = bytes(out);
    long whole = bytes(tuned);
    return String.format(
        Locale.ROOT,
        "patch: %s, %,d bytes, %.2f %% of %s%n",
        out,
        patch,
        100.0 * patch / Math.max(1, whole),
        tuned);
  }

  /** {@code threegate patch create}. */
  @Command(
      name = "create",
      mixinStandardHelpOptions = true,
      sortOptions = false,
      description = "Writes what turns BASE into TUNED.")
  static final class Create implements Callable<Integer> {
    @Spec private CommandSpec spec;

    @Parameters(index = "0", paramLabel = "BASE", description = "the checkpoint before")
    private Path base;

    @Parameters(index = "1", paramLabel = "TUNED", description = "and after")
    private Path tuned;

    @Mixin private Written written;

    @Option(
        names = "--threads",
        paramLabel = "N",
        defaultValue = "0",
        description = "0 (default): all")
    private int threads;

    @Override
    public Integer call() {
      WeightPatch.Options options = written.options();
      Path out = written.out();
      requireNew(out);
      OutputPath.writing(
          out,
          () -> {
            work(
                spec,
                threads,
                (context, progress) -> create(context, base, tuned, out, options, progress));
            spec.commandLine().getOut().print(made(out, tuned));
            spec.commandLine().getOut().flush();
          });
      return 0;
    }
  }

  /** {@code threegate patch apply}. */
  @Command(
      name = "apply",
      mixinStandardHelpOptions = true,
      sortOptions = false,
      description =
          "Writes the model that a patch leads to; every tensor has the digest that the patch carries, or nothing is written.")
  static final class Apply implements Callable<Integer> {
    @Spec private CommandSpec spec;

    @Parameters(index = "0", paramLabel = "BASE", description = "what the patch was made of")
    private Path base;

    @Parameters(index = "1", paramLabel = "PATCH", description = "a file or directory")
    private Path patch;

    @Option(names = "--out", paramLabel = "DIR", description = "a new directory")
    private Optional<Path> out = Optional.empty();

    @Option(
        names = "--in-place",
        description =
            "change the files of BASE; whenever it is killed, the next command that patches them in place has the old version or the new one")
    private boolean inPlace;

    @Override
    public Integer call() {
      if (out.isPresent() == inPlace) {
        throw new InvalidInputException("--out or --in-place: say where the patched model goes");
      }
      if (inPlace) {
        inPlace();
      } else {
        apply(out.orElseThrow());
      }
      return 0;
    }

    private void inPlace() {
      OutputPath.writing(
          base,
          () -> {
            work(
                spec,
                0,
                (context, progress) -> {
                  if (PatchInPlace.recover(context, base)) {
                    spec.commandLine()
                        .getErr()
                        .println(
                            "threegate: " + base + ": an interrupted patch was completed first");
                  }
                  PatchInPlace.apply(context, base, patch, progress);
                });
            spec.commandLine().getOut().printf("model: %s%n", base);
            spec.commandLine().getOut().flush();
          });
    }

    private void apply(Path out) {
      requireNew(out);
      OutputPath.writing(
          out,
          () -> {
            OutputPath.prepareDirectory(out);
            work(
                spec,
                0,
                (context, progress) -> {
                  try (Checkpoint before = Checkpoint.open(context, base);
                      WeightPatch opened = WeightPatch.open(context, patch)) {
                    opened.apply(before, out, progress);
                  }
                });
            spec.commandLine().getOut().printf("model: %s%n", out);
            spec.commandLine().getOut().flush();
          });
    }
  }

  /** {@code threegate patch verify}. */
  @Command(
      name = "verify",
      mixinStandardHelpOptions = true,
      sortOptions = false,
      description = "Applies a patch in memory and compares all digests; writes nothing.")
  static final class Verify implements Callable<Integer> {
    @Spec private CommandSpec spec;

    @Parameters(index = "0", paramLabel = "BASE", description = "what the patch was made of")
    private Path base;

    @Parameters(index = "1", paramLabel = "PATCH", description = "a file or directory")
    private Path patch;

    @Override
    public Integer call() throws IOException {
      work(
          spec,
          0,
          (context, progress) -> {
            try (Checkpoint before = Checkpoint.open(context, base);
                WeightPatch opened = WeightPatch.open(context, patch)) {
              opened.verify(before, progress);
              spec.commandLine()
                  .getOut()
                  .printf(
                      "%s: version %d from %d, %d tensors, all digests right%n",
                      patch,
                      opened.options().version(),
                      opened.options().baseVersion(),
                      opened.entries().size());
            }
          });
      spec.commandLine().getOut().flush();
      return 0;
    }
  }

  /** {@code threegate patch inspect}. */
  @Command(
      name = "inspect",
      mixinStandardHelpOptions = true,
      sortOptions = false,
      description = "Says what a patch has, from its headers alone.")
  static final class Inspect implements Callable<Integer> {
    @Spec private CommandSpec spec;

    @Parameters(index = "0", paramLabel = "PATCH", description = "a file or directory")
    private Path patch;

    @Override
    public Integer call() {
      try (Context context = Context.open(Context.Device.CPU, 1);
          WeightPatch opened = WeightPatch.open(context, patch)) {
        long sum = 0;
        for (WeightPatch.Entry entry : opened.entries()) {
          sum += entry.storedBytes();
          spec.commandLine()
              .getOut()
              .printf(
                  "%,14d bytes  %s  %s%n",
                  entry.storedBytes(),
                  entry.digest().orElse("without a digest"),
                  PrintableText.of(entry.name()));
        }
        spec.commandLine()
            .getOut()
            .printf(
                "%,14d bytes  %s, version %d from %d, %s, %d tensors%n",
                sum,
                opened.options().format().label(),
                opened.options().version(),
                opened.options().baseVersion(),
                opened.options().checksum().label(),
                opened.entries().size());
      }
      spec.commandLine().getOut().flush();
      return 0;
    }
  }

  /** {@code threegate patch convert}. */
  @Command(
      name = "convert",
      mixinStandardHelpOptions = true,
      sortOptions = false,
      description =
          "Writes a patch in another format; the base is needed, and room for a patched model beside --out.")
  static final class Convert implements Callable<Integer> {
    @Spec private CommandSpec spec;

    @Parameters(index = "0", paramLabel = "BASE", description = "what the patch was made of")
    private Path base;

    @Parameters(index = "1", paramLabel = "PATCH", description = "a file or directory")
    private Path patch;

    @Mixin private Written written;

    @Override
    public Integer call() {
      WeightPatch.Options options = written.options();
      Path out = written.out();
      requireNew(out);
      OutputPath.writing(
          out,
          () -> {
            work(spec, 0, (context, progress) -> convert(context, out, options, progress));
            spec.commandLine().getOut().print(made(out, base));
            spec.commandLine().getOut().flush();
          });
      return 0;
    }

    private void convert(
        Context context, Path out, WeightPatch.Options options, WeightPatch.Progress progress)
        throws IOException {
      Path model =
          out.toAbsolutePath()
              .normalize()
              .resolveSibling(
                  ".partial-model-" + out.getFileName() + "-" + ProcessHandle.current().pid());
      try {
        try (Checkpoint before = Checkpoint.open(context, base);
            WeightPatch opened = WeightPatch.open(context, patch)) {
          opened.apply(before, model, progress);
        }
        create(context, base, model, out, options, progress);
      } finally {
        AtomicFiles.deleteDirectory(model);
      }
    }
  }
}
