package org.threegate.cli;

import java.io.IOException;
import java.nio.file.Path;
import java.time.Clock;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.Callable;
import org.threegate.analysis.statistics.Accounting;
import org.threegate.checkpoint.NamePattern;
import org.threegate.report.Account;
import org.threegate.rl.curvature.CaptureFile;
import org.threegate.rl.curvature.CapturedLayers;
import org.threegate.rl.policy.Decoder;
import org.threegate.rl.policy.Tokenizer;
import org.threegate.rl.task.PlainProblems;
import org.threegate.rl.task.Problem;
import org.threegate.run.InvalidInputException;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** {@code threegate capture}. */
@Command(
    name = "capture",
    mixinStandardHelpOptions = true,
    sortOptions = false,
    description = {
      "Record the layer inputs and gradients that threegate curvature needs.",
      "",
      "The decoder reads each prompt with its answer. The capture holds the inputs of the selected"
          + " linear layers and the gradients of their outputs."
    },
    footer = {
      "",
      "Examples:",
      "  threegate capture base/ --problems train.jsonl --out capture.safetensors",
      "  threegate capture base/ --problems train.jsonl --include 'o_proj|down_proj' \\",
      "      --sequences 400 --out capture.safetensors",
      "  threegate curvature capture.safetensors --base base/ --tuned run/model"
    })
final class CaptureCommand implements Callable<Integer> {
  @Spec private CommandSpec spec;

  @Mixin private ModelMixin model;

  @Input
  @Option(
      names = "--problems",
      paramLabel = "JSONL",
      required = true,
      description = "Prompts and answers, one JSON object on each line.")
  private Path problems;

  @Mixin private TemplateMixin template;

  @Output(Output.Kind.CAPTURE)
  @Option(
      names = "--out",
      paramLabel = "FILE",
      required = true,
      description = "Write the capture to this safetensors file.")
  private Path out;

  @Option(
      names = "--include",
      paramLabel = "REGEX",
      defaultValue = "_proj\\.weight$",
      description = "Capture layers whose weight matches this pattern (default: ${DEFAULT-VALUE}).")
  private String include;

  @Option(
      names = "--sequences",
      paramLabel = "N",
      defaultValue = "256",
      description = "Number of problems to read, from the first (default: ${DEFAULT-VALUE}).")
  private int sequences;

  @Option(
      names = "--empirical",
      description =
          "Take gradients at the tokens of the answers: the empirical Fisher information. By default"
              + " the model draws the tokens: the true Fisher information.")
  private boolean empirical;

  @Option(
      names = "--seed",
      paramLabel = "N",
      defaultValue = "0",
      description = "Seed of the drawn tokens (default: ${DEFAULT-VALUE}).")
  private long seed;

  @Override
  public Integer call() {
    OutputPath.writing(out, this::capture);
    return 0;
  }

  private void capture() throws IOException {
    NamePattern selected = NamePattern.of(include, "--include");
    if (sequences < 1) {
      throw new InvalidInputException("--sequences " + sequences + ": must be at least 1");
    }
    List<Problem> all =
        PlainProblems.read(problems, model.path(), template.options(), Clock.systemDefaultZone());
    model.use((decoder, tokenizer) -> capture(decoder, tokenizer, all, selected));
  }

  private void capture(
      Decoder decoder, Tokenizer tokenizer, List<Problem> all, NamePattern selected)
      throws IOException {
    List<CapturedLayers.Text> texts = new ArrayList<>();
    List<Integer> ends = decoder.config().tokens().ends();
    for (Problem problem : all.subList(0, Math.min(sequences, all.size()))) {
      int[] plain = tokenizer.encode(problem.prompt() + problem.answer());
      int[] tokens = problem.rendered() ? plain : tokenizer.surrounding().around(plain);
      int[] text = ended(tokens, ends);
      if (text.length > 1) {
        texts.add(new CapturedLayers.Text(text, 1));
      }
    }
    List<String> captured;
    try {
      captured =
          CaptureFile.write(decoder, texts, selected::isIn, empirical, seed, out.toAbsolutePath());
    } catch (IllegalArgumentException e) {
      throw new InvalidInputException(model.path() + ", " + problems + ": " + e.getMessage(), e);
    }
    spec.commandLine()
        .getOut()
        .printf(
            "%s: %d sequences, %s Fisher information%n",
            out, texts.size(), empirical ? "empirical" : "true");
    spec.commandLine()
        .getOut()
        .print(
            Account.text(
                accounting(decoder, Set.copyOf(captured), selected),
                "are captured",
                "not captured",
                TerminalWidth.of(spec)));
    spec.commandLine().getOut().flush();
  }

  /** Appends an end token, unless there is none or the tokenizer has added one. */
  private static int[] ended(int[] tokens, List<Integer> ends) {
    if (ends.isEmpty() || tokens.length > 0 && ends.contains(tokens[tokens.length - 1])) {
      return tokens;
    }
    int[] ended = Arrays.copyOf(tokens, tokens.length + 1);
    ended[tokens.length] = ends.get(0);
    return ended;
  }

  private static Accounting.Side accounting(
      Decoder decoder, Set<String> captured, NamePattern selected) {
    List<Accounting.Note> leftOut = new ArrayList<>();
    List<String> notSelected = new ArrayList<>();
    long entries = 0;
    long all = 0;
    for (Map.Entry<String, List<Long>> weight : decoder.config().parameters().entrySet()) {
      String name = weight.getKey();
      if (!selected.isIn(name)) {
        notSelected.add(name);
        continue;
      }
      long own = weight.getValue().stream().reduce(1L, Math::multiplyExact);
      all += own;
      if (captured.contains(name)) {
        entries += own;
      } else {
        leftOut.add(
            new Accounting.Note(
                name,
                name.contains(".experts.")
                    ? "it belongs to experts, which see only the tokens that chose them"
                    : "it is not a linear layer"));
      }
    }
    int linear = captured.size() + leftOut.size();
    decoder
        .leftOut()
        .forEach(
            (name, reason) -> {
              if (selected.isIn(name)) {
                leftOut.add(new Accounting.Note(name, reason));
              } else {
                notSelected.add(name);
              }
            });
    return new Accounting.Side(
        List.copyOf(captured),
        List.of(),
        List.of(),
        List.of(),
        leftOut,
        List.of(),
        notSelected,
        new Accounting.Share(captured.size(), linear),
        new Accounting.Share(entries, all));
  }
}
