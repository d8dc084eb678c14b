package org.threegate.cli;

import com.sun.management.OperatingSystemMXBean;
import java.io.IOException;
import java.io.PrintWriter;
import java.lang.management.ManagementFactory;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.Callable;
import java.util.stream.IntStream;
import org.threegate.analysis.intervention.Intervention;
import org.threegate.checkpoint.Checkpoint;
import org.threegate.checkpoint.ModelConfig;
import org.threegate.kernel.Context;
import org.threegate.rl.policy.ModelLogits;
import org.threegate.run.InvalidInputException;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** {@code threegate intervene}. */
@Command(
    name = "intervene",
    mixinStandardHelpOptions = true,
    sortOptions = false,
    description = {
      "Write a model with other bases and the same function.",
      "",
      "The bases of attention heads are rotated, or the heads are permuted. A property of the function"
          + " is unchanged by this; a property of the basis is not. The command checks the function on"
          + " random inputs, in float64 and as stored. Stored rotations of bf16 weights are rounded.",
      "",
      "A model is refused if a tensor or a setting of its attention is not known to keep the function."
          + " The logits of models that Threegate runs are compared, too."
    },
    footer = {
      "",
      "Examples:",
      "  threegate intervene base/ --rotate-vo --layers 1,2 --out base-rotated",
      "  threegate intervene base/ --permute-heads --layers all --out base-permuted"
    })
final class InterveneCommand implements Callable<Integer> {
  /** Relative change of logits that the order of float32 sums may cause. */
  private static final double EXACT = 1e-4;

  /**
   * How much the layers may amplify the rounding of stored weights. A change of the function is
   * larger: it moves logits by 0.3 or more.
   */
  private static final double AMPLIFICATION = 32;

  @Spec private CommandSpec spec;

  @Input
  @Parameters(index = "0", paramLabel = "MODEL", description = "The model directory.")
  private Path model;

  @Option(
      names = "--rotate-vo",
      description = "Rotate the values of each head, and undo this in the output matrix.")
  private boolean rotate;

  @Option(names = "--permute-heads", description = "Permute the heads of each layer.")
  private boolean permute;

  @Option(
      names = "--layers",
      required = true,
      paramLabel = "N,…|A-B|all",
      description = "The layers to change, counted from 0.")
  private String layers;

  @Output(Output.Kind.NEW)
  @Option(
      names = "--out",
      required = true,
      paramLabel = "DIR",
      description = "Write the model to this new directory.")
  private Path out;

  @Option(
      names = "--seed",
      paramLabel = "N",
      defaultValue = "0",
      description = "Seed of rotations and permutations (default: ${DEFAULT-VALUE}).")
  private long seed;

  @Override
  public Integer call() {
    if (!rotate && !permute) {
      throw new InvalidInputException("choose --rotate-vo, --permute-heads or both");
    }
    OutputPath.writingDirectory(out, this::intervene);
    return 0;
  }

  private void intervene() throws IOException {
    PrintWriter print = spec.commandLine().getOut();
    try (Context context = Context.open(Context.Device.CPU, 1);
        Checkpoint checkpoint = Checkpoint.open(context, model)) {
      Intervention intervention = new Intervention(checkpoint, seed);
      double largest = 0;
      for (int layer : numbers(checkpoint.config().orElse(ModelConfig.UNKNOWN))) {
        if (rotate) {
          largest = Math.max(largest, print(print, "rotated", intervention.rotateValues(layer)));
        }
        if (permute) {
          largest = Math.max(largest, print(print, "permuted", intervention.permuteHeads(layer)));
        }
      }
      double rounding = largest;
      intervention.write(out, copy -> certify(context, print, copy, rounding));
    }
    print.printf("model: %s%n", out);
  }

  /** Prints a check, and returns the error of the stored weights. */
  private static double print(PrintWriter print, String what, Intervention.Check check) {
    print.printf(
        "layer %d %s: relative change of W_o W_v x: %.1e in float64, %.1e as stored%n",
        check.layer(), what, check.exactError(), check.storedError());
    return check.storedError();
  }

  /** Compares the logits of the model and of its copy, if the model can be run here. */
  private void certify(Context context, PrintWriter print, Path copy, double rounding) {
    ModelLogits before;
    try {
      requireMemory();
      before = ModelLogits.of(context, model, seed);
    } catch (InvalidInputException e) {
      print.printf(
          "logits: not compared, because this model is not run here (%s)%n", e.getMessage());
      return;
    }
    double distance = before.distance(ModelLogits.of(context, copy, seed));
    print.printf(
        "logits of %d random tokens: relative change %.1e%n", ModelLogits.TOKENS, distance);
    if (!(distance <= Math.max(EXACT, AMPLIFICATION * rounding))) {
      throw new InvalidInputException(
          String.format(
              Locale.ROOT,
              "%s: the logits would change by %.1e, which rounding does not explain; nothing is written",
              model,
              distance));
    }
  }

  private void requireMemory() {
    double needed = ModelLogits.bytes(model);
    if (ManagementFactory.getOperatingSystemMXBean() instanceof OperatingSystemMXBean system
        && needed > system.getTotalMemorySize() / 2.0) {
      throw new InvalidInputException(
          String.format(
              Locale.ROOT, "%s: it takes %.0f GB, over half of the memory", model, needed / 1e9));
    }
  }

  private List<Integer> numbers(ModelConfig config) {
    int count = config.layers().orElse(Integer.MAX_VALUE);
    List<Integer> numbers = new ArrayList<>();
    if (layers.equals("all") && config.layers().isPresent()) {
      return IntStream.range(0, count).boxed().toList();
    }
    if (layers.equals("all")) {
      throw new InvalidInputException(
          model + ": config.json does not state the number of layers; name them, such as 0-3");
    }
    try {
      for (String part : layers.split(",")) {
        String[] ends = part.trim().split("-", 2);
        int first = Integer.parseInt(ends[0]);
        int last = Integer.parseInt(ends[ends.length - 1]);
        if (first < 0 || last < first || last >= count) {
          throw new NumberFormatException(part);
        }
        IntStream.rangeClosed(first, last).forEach(numbers::add);
      }
    } catch (NumberFormatException e) {
      throw new InvalidInputException(
          "--layers: \"" + layers + "\" does not name layers 0 to " + (count - 1), e);
    }
    return numbers.stream().distinct().toList();
  }
}
