package org.threegate.cli;

import java.io.IOException;
import java.nio.file.Path;
import java.util.concurrent.Callable;
import org.threegate.kernel.Context;
import org.threegate.rl.policy.Threads;
import org.threegate.rl.study.BaseModel;
import org.threegate.run.CancelledException;
import org.threegate.run.InvalidInputException;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** {@code threegate pretrain}. */
@Command(
    name = "pretrain",
    mixinStandardHelpOptions = true,
    sortOptions = false,
    description = {
      "Pretrain a small model, such as the one that the study starts from.",
      "",
      "The model has 0.75 million parameters. It learns two-digit arithmetic, comparison and string"
          + " operations in 1,300 steps. This takes two to five minutes on two cores.",
      "",
      "The default seed gives the model that is included in Threegate. Processors of the same kind"
          + " write the same bytes."
    },
    footer = {
      "",
      "Examples:",
      "  threegate pretrain --out base",
      "  threegate pretrain --out another --seed 7",
      "  threegate train --example > run.yaml; threegate train run.yaml \\",
      "      --set model_name_or_path=base --set train_dataset=sums.jsonl"
    })
final class PretrainCommand implements Callable<Integer> {
  @Spec private CommandSpec spec;

  @Output(Output.Kind.NEW)
  @Option(
      names = "--out",
      paramLabel = "DIR",
      required = true,
      description = "Write the model to this new directory.")
  private Path out;

  @Option(
      names = "--steps",
      paramLabel = "N",
      defaultValue = "" + BaseModel.STEPS,
      description = "Number of steps of 128 texts each (default: ${DEFAULT-VALUE}).")
  private int steps;

  @Option(
      names = "--seed",
      paramLabel = "N",
      defaultValue = "" + BaseModel.SEED,
      description = "Seed of the initial weights and of the texts (default: ${DEFAULT-VALUE}).")
  private long seed;

  @Option(
      names = "--threads",
      paramLabel = "N",
      defaultValue = "0",
      description =
          "Number of threads; 0 for one on each processor (default: ${DEFAULT-VALUE}). The model does"
              + " not depend on it.")
  private int threads;

  @Override
  public Integer call() {
    if (steps < 1) {
      throw new InvalidInputException("--steps " + steps + ": must be at least 1");
    }
    OutputPath.writingDirectory(out, this::pretrain);
    return 0;
  }

  private void pretrain() throws IOException {
    Threads.use(threads > 0 ? threads : Runtime.getRuntime().availableProcessors());
    double[] loss = new double[1];
    Interruption.measure(
        () -> Context.open(Context.Device.CPU, 1),
        spec.commandLine().getErr(),
        "nothing was written",
        (context, control) -> {
          try (ProgressBar progress = new ProgressBar(control, false)) {
            BaseModel.pretrain(
                context,
                out,
                steps,
                seed,
                event -> {
                  if (control.isCancelled()) {
                    throw new CancelledException();
                  }
                  loss[0] = event.metrics().getOrDefault("loss", loss[0]);
                  progress.at("loss " + Math.round(1000 * loss[0]) / 1000.0, event.step(), steps);
                });
          }
        });
    spec.commandLine().getOut().printf("model: %s (loss of the last step %.3f)%n", out, loss[0]);
    spec.commandLine().getOut().flush();
  }
}
