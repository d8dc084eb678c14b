package org.threegate.cli;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.concurrent.Callable;
import java.util.stream.Collectors;
import org.threegate.analysis.patch.PatchGeometry;
import org.threegate.checkpoint.Checkpoint;
import org.threegate.checkpoint.Tensor;
import org.threegate.file.AtomicFiles;
import org.threegate.kernel.Context;
import org.threegate.kernel.Control;
import org.threegate.patch.ChecksumFormat;
import org.threegate.patch.PatchFormat;
import org.threegate.patch.PatchInPlace;
import org.threegate.patch.PatchSubscriber;
import org.threegate.patch.VersionChain;
import org.threegate.patch.WeightPatch;
import org.threegate.run.CancelledException;
import org.threegate.run.InvalidInputException;
import org.threegate.run.PrintableText;
import org.threegate.run.Progress;
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
      "Makes, applies, verifies, shows, joins, follows and converts weight patches: what a step changes of stored weights, bit for bit.",
      "",
      "Formats: planar (the smallest), disk-delta-xor and disk-delta-overwrite (directories of versions that inference engines"
          + " read), sparse (plain tensors). docs/patches.md has each, byte by byte."
    },
    subcommands = {
      PatchCommand.Create.class,
      PatchCommand.Apply.class,
      PatchCommand.Verify.class,
      PatchCommand.Inspect.class,
      PatchCommand.Chain.class,
      PatchCommand.Follow.class,
      PatchCommand.Convert.class
    },
    footer = {
      "",
      "Examples:",
      "  threegate patch create base/ tuned/ --out step-1.safetensors",
      "  threegate patch apply base/ step-1.safetensors --out tuned-again/",
      "  threegate patch apply served/ weight_v000002/ --in-place",
      "  threegate patch verify base/ weight_v000002/",
      "  threegate patch inspect step-1.safetensors --base base/",
      "  threegate patch follow run/versions/ served/",
      "  threegate patch chain base/ run/versions/ --out all-steps.safetensors",
      "  threegate patch convert base/ step-1.safetensors --format disk-delta-xor --out weight_v000001/"
    })
final class PatchCommand implements Callable<Integer> {
  @Spec private CommandSpec spec;

  @Override
  public Integer call() {
    throw new InvalidInputException(
        "patch: say what to do: create, apply, verify, inspect, chain, follow or convert");
  }

  /** How a patch is to be written. */
  static final class Written {
    @Output(Output.Kind.NEW)
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

    Path out() {
      return out;
    }

    /**
     * @param version that it leads to
     * @param baseVersion that it begins with
     */
    WeightPatch.Options options(long version, long baseVersion) {
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
    void run(Context context, Progress progress) throws IOException;
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

  private static Progress progress(Control control, ProgressBar bar) {
    return (tensor, done, total) -> {
      if (control.isCancelled()) {
        throw new CancelledException();
      }
      bar.at(tensor, done, total);
    };
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
      Progress progress)
      throws IOException {
    try (Checkpoint before = Checkpoint.open(context, base);
        Checkpoint after = Checkpoint.open(context, tuned)) {
      WeightPatch.create(context, before, after, out, options, progress);
    }
  }

  /** Makes one patch of several, or another format of one. */
  private static void combine(
      CommandSpec spec, Path base, List<Path> paths, Written written, Trust trust) {
    Path out = written.out();
    OutputPath.writing(
        out,
        () -> {
          work(
              spec,
              0,
              (context, progress) -> {
                List<WeightPatch> patches = new ArrayList<>();
                try (Checkpoint before = Checkpoint.open(context, base)) {
                  for (Path path : paths) {
                    patches.add(WeightPatch.open(context, path, trust.digests()));
                  }
                  // Its versions are those of the patches.
                  WeightPatch.Options options = written.options(1, 0);
                  WeightPatch.combine(context, before, patches, out, options, progress);
                } finally {
                  patches.forEach(WeightPatch::close);
                }
              });
          spec.commandLine().getOut().print(made(out, base));
          spec.commandLine().getOut().flush();
        });
  }

  /** Whether a patch may be without digests. */
  static final class Trust {
    @Option(
        names = "--without-digests",
        description =
            "take a sparse patch that has none, as other writers make them: nothing then says that it is whole and of this base")
    private boolean without;

    WeightPatch.Digests digests() {
      return without ? WeightPatch.Digests.IF_PRESENT : WeightPatch.Digests.REQUIRED;
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

    @Input
    @Parameters(index = "0", paramLabel = "BASE", description = "the checkpoint before")
    private Path base;

    @Input
    @Parameters(index = "1", paramLabel = "TUNED", description = "and after")
    private Path tuned;

    @Mixin private Written written;

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

    @Option(
        names = "--threads",
        paramLabel = "N",
        defaultValue = "0",
        description = "0 (default): all")
    private int threads;

    @Override
    public Integer call() {
      WeightPatch.Options options = written.options(version, baseVersion);
      Path out = written.out();
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

    @Input
    @Parameters(index = "0", paramLabel = "BASE", description = "what the patch was made of")
    private Path base;

    @Input
    @Parameters(index = "1", paramLabel = "PATCH", description = "a file or directory")
    private Path patch;

    @Output(Output.Kind.NEW)
    @Option(names = "--out", paramLabel = "DIR", description = "a new directory")
    private Optional<Path> out = Optional.empty();

    @Option(
        names = "--in-place",
        description =
            "change the files of BASE; whenever it is killed, the next command that patches them in place has the old version or the new one")
    private boolean inPlace;

    @Mixin private Trust trust;

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
      OutputGuard.check(base, Output.Kind.IN_PLACE, List.of(patch));
      OutputPath.writing(
          base,
          () -> {
            work(
                spec,
                0,
                (context, progress) -> {
                  if (PatchInPlace.recoverAndApply(
                      context, base, patch, trust.digests(), progress)) {
                    spec.commandLine()
                        .getErr()
                        .println(
                            "threegate: " + base + ": an interrupted patch was completed first");
                  }
                });
            spec.commandLine().getOut().printf("model: %s%n", base);
            spec.commandLine().getOut().flush();
          });
    }

    private void apply(Path out) {
      OutputPath.writingDirectory(
          out,
          () -> {
            work(
                spec,
                0,
                (context, progress) -> {
                  try (Checkpoint before = Checkpoint.open(context, base);
                      WeightPatch opened = WeightPatch.open(context, patch, trust.digests())) {
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

    @Input
    @Parameters(index = "0", paramLabel = "BASE", description = "what the patch was made of")
    private Path base;

    @Input
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
      description = {
        "Says what a patch has, from its headers alone; with --base what it does to each tensor, from the elements that it"
            + " changes alone. Digests are not compared: verify does that."
      })
  static final class Inspect implements Callable<Integer> {
    @Spec private CommandSpec spec;

    @Input
    @Parameters(index = "0", paramLabel = "PATCH", description = "a file or directory")
    private Path patch;

    @Input
    @Option(names = "--base", paramLabel = "BASE", description = "what the patch was made of")
    private Optional<Path> base = Optional.empty();

    @Output(Output.Kind.NEW)
    @Option(
        names = "--json",
        paramLabel = "FILE",
        description = "with --base: the same as JSON, to a new file")
    private Optional<Path> json = Optional.empty();

    @Option(
        names = "--seed",
        paramLabel = "N",
        defaultValue = "1",
        description = "of the null model (default: ${DEFAULT-VALUE})")
    private long seed;

    @Override
    public Integer call() throws IOException {
      if (json.isPresent() && base.isEmpty()) {
        throw new InvalidInputException("--json: needs --base");
      }
      work(
          spec,
          0,
          (context, progress) -> {
            try (WeightPatch opened =
                WeightPatch.open(context, patch, WeightPatch.Digests.IF_PRESENT)) {
              if (base.isPresent()) {
                geometry(context, opened, progress);
              } else {
                headers(opened);
              }
            }
          });
      spec.commandLine().getOut().flush();
      return 0;
    }

    private void headers(WeightPatch opened) {
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
      spec.commandLine().getOut().printf("%,14d bytes  %s%n", sum, described(opened));
    }

    private static String described(WeightPatch opened) {
      return String.format(
          Locale.ROOT,
          "%s, version %d from %d, %s, %d tensors",
          opened.options().format().label(),
          opened.options().version(),
          opened.options().baseVersion(),
          opened.options().checksum().label(),
          opened.entries().size());
    }

    private void geometry(Context context, WeightPatch opened, Progress progress)
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
      PatchText.print(spec.commandLine().getOut(), described(opened), all);
      if (json.isPresent()) {
        PatchText.write(json.get(), opened.options(), all, seed);
      }
    }
  }

  /** {@code threegate patch chain}. */
  @Command(
      name = "chain",
      mixinStandardHelpOptions = true,
      sortOptions = false,
      description = {
        "Makes one patch of several that follow one another; each is checked on the way.",
        "A PATCH that is a directory of versions (weight_v000001/ and so on, as a publisher writes them) stands for all of its"
            + " patches from the version of BASE on, which a subscriber wrote down, or which is one of the whole versions."
      })
  static final class Chain implements Callable<Integer> {
    @Spec private CommandSpec spec;

    @Input
    @Parameters(index = "0", paramLabel = "BASE", description = "what the first patch was made of")
    private Path base;

    @Input
    @Parameters(
        index = "1..*",
        arity = "1..*",
        paramLabel = "PATCH",
        description = "files or directories, in order")
    private List<Path> patches;

    @Mixin private Written written;

    @Mixin private Trust trust;

    @Override
    public Integer call() throws IOException {
      List<Path> chain = new ArrayList<>();
      for (Path patch : patches) {
        chain.addAll(VersionChain.of(patch, base));
      }
      combine(spec, base, chain, written, trust);
      return 0;
    }
  }

  /** {@code threegate patch follow}. */
  @Command(
      name = "follow",
      mixinStandardHelpOptions = true,
      sortOptions = false,
      description = {
        "Makes MODEL every version that a publisher puts into VERSIONS, as it appears, in place; killed, it goes on where it was.",
        "Ends at --until, or with Ctrl-C."
      })
  static final class Follow implements Callable<Integer> {
    private static final long LOOK_MILLIS = 100;

    @Spec private CommandSpec spec;

    @Input
    @Parameters(index = "0", paramLabel = "VERSIONS", description = "directory of versions")
    private Path versions;

    @Output(Output.Kind.IN_PLACE)
    @Parameters(
        index = "1",
        paramLabel = "MODEL",
        description = "directory that has one of them, or will")
    private Path model;

    @Option(names = "--once", description = "catch up with the last version that is there, and end")
    private boolean once;

    @Option(names = "--until", paramLabel = "N", description = "end with this version")
    private Optional<Long> until = Optional.empty();

    @Override
    public Integer call() {
      OutputPath.writing(
          model,
          () ->
              Interruption.measure(
                  () -> Context.open(Context.Device.CPU, 0),
                  spec.commandLine().getErr(),
                  "the next run goes on",
                  this::follow));
      return 0;
    }

    private void follow(Context context, Control control) throws IOException {
      PatchSubscriber subscriber = new PatchSubscriber(context, versions, model);
      long version = 0; // none was named yet
      while (true) {
        if (once || PatchSubscriber.hasVersions(versions)) {
          long next = subscriber.update();
          if (next != version) {
            version = next;
            spec.commandLine().getOut().printf("%s: version %d%n", model, version);
            spec.commandLine().getOut().flush();
          }
        }
        if (once || version >= until.orElse(Long.MAX_VALUE)) {
          return;
        }
        pause(control);
      }
    }

    private static void pause(Control control) {
      if (control.isCancelled()) {
        throw new CancelledException();
      }
      try {
        Thread.sleep(LOOK_MILLIS);
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
        throw new CancelledException();
      }
    }
  }

  /** {@code threegate patch convert}. */
  @Command(
      name = "convert",
      mixinStandardHelpOptions = true,
      sortOptions = false,
      description = "Writes a patch in another format; the base is needed.")
  static final class Convert implements Callable<Integer> {
    @Spec private CommandSpec spec;

    @Input
    @Parameters(index = "0", paramLabel = "BASE", description = "what the patch was made of")
    private Path base;

    @Input
    @Parameters(index = "1", paramLabel = "PATCH", description = "a file or directory")
    private Path patch;

    @Mixin private Written written;

    @Mixin private Trust trust;

    @Override
    public Integer call() {
      combine(spec, base, List.of(patch), written, trust);
      return 0;
    }
  }
}
