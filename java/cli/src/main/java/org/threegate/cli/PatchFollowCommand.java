package org.threegate.cli;

import java.io.IOException;
import java.nio.file.Path;
import java.util.Optional;
import java.util.concurrent.Callable;
import org.threegate.kernel.Context;
import org.threegate.kernel.Control;
import org.threegate.patch.PatchSubscriber;
import org.threegate.run.CancelledException;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** {@code threegate patch follow}. */
@Command(
    name = "follow",
    mixinStandardHelpOptions = true,
    sortOptions = false,
    description = {
      "Update a model in place to every version that a training run publishes, as it appears. If the"
          + " command is killed, run it again: it continues where it was.",
      "The command runs until --until is reached or Ctrl-C is pressed."
    },
    footer = {
      "",
      "Examples:",
      "  threegate patch follow run/versions/ served/",
      "  threegate patch follow run/versions/ served/ --once"
    })
final class PatchFollowCommand implements Callable<Integer> {
  private static final long POLL_MILLIS = 100;

  @Spec private CommandSpec spec;

  @Input
  @Parameters(
      index = "0",
      paramLabel = "VERSIONS",
      description = "The directory in which versions are published.")
  private Path versions;

  @Output(Output.Kind.IN_PLACE)
  @Parameters(
      index = "1",
      paramLabel = "MODEL",
      description = {
        "The directory of the model: a new directory, or one that this command has updated before."
      })
  private Path model;

  @Option(names = "--once", description = "Update to the last version that is there, then end.")
  private boolean once;

  @Option(names = "--until", paramLabel = "N", description = "End when the model has version N.")
  private Optional<Long> until = Optional.empty();

  @Override
  public Integer call() {
    OutputPath.writing(
        model,
        () ->
            Interruption.measure(
                () -> Context.open(Context.Device.CPU, 0),
                spec.commandLine().getErr(),
                "run the same command again to continue",
                this::follow));
    return 0;
  }

  private void follow(Context context, Control control) throws IOException {
    PatchSubscriber subscriber = new PatchSubscriber(context, versions, model);
    long printed = 0; // no version has been printed yet
    while (true) {
      if (once || PatchSubscriber.hasVersions(versions)) {
        long version = subscriber.update();
        if (version != printed) {
          printed = version;
          PatchWork.print(spec, model + ": version " + version);
        }
      }
      if (once || printed >= until.orElse(Long.MAX_VALUE)) {
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
      Thread.sleep(POLL_MILLIS);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new CancelledException();
    }
  }
}
