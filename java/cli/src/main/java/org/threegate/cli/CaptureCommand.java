package org.threegate.cli;

import java.io.IOException;
import java.nio.file.Path;
import java.time.Clock;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.Callable;
import org.threegate.checkpoint.NamePattern;
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
    description =
        "Writes what a decoder's linear layers see of prompts with their answers, and the gradients of their outputs, for threegate curvature.",
    footer = {
      "",
      "Examples:",
      "  threegate capture base/ --problems train.jsonl --out capture.safetensors",
      "  threegate capture base/ --problems train.jsonl --include 'o_proj|down_proj' --sequences 400 --out capture.safetensors",
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
      description = "prompts and answers; each is a sequence")
  private Path problems;

  @Mixin private TemplateMixin template;

  @Output(Output.Kind.CAPTURE)
  @Option(
      names = "--out",
      paramLabel = "FILE",
      required = true,
      description = "the capture, safetensors")
  private Path out;

  @Option(
      names = "--include",
      paramLabel = "REGEX",
      defaultValue = "_proj\\.weight$",
      description = "layers whose weight matches (default: ${DEFAULT-VALUE})")
  private String include;

  @Option(
      names = "--sequences",
      paramLabel = "N",
      defaultValue = "256",
      description = "of the first problems (default: ${DEFAULT-VALUE})")
  private int sequences;

  @Option(
      names = "--empirical",
      description =
          "gradients of the answers' own tokens, not of tokens that the model draws: the empirical Fisher information")
  private boolean empirical;

  @Option(
      names = "--seed",
      paramLabel = "N",
      defaultValue = "0",
      description = "of what is drawn (default: ${DEFAULT-VALUE})")
  private long seed;

  @Override
  public Integer call() {
    OutputPath.writing(out, this::capture);
    return 0;
  }

  private void capture() throws IOException {
    NamePattern selected = NamePattern.of(include, "--include");
    if (sequences < 1) {
      throw new InvalidInputException("--sequences " + sequences + ": 1 at least");
    }
    List<Problem> all =
        PlainProblems.read(problems, model.path(), template.options(), Clock.systemDefaultZone());
    model.use((decoder, tokenizer) -> capture(decoder, tokenizer, all, selected));
  }

  private void capture(
      Decoder decoder, Tokenizer tokenizer, List<Problem> all, NamePattern selected)
      throws IOException {
    List<CapturedLayers.Text> texts = new ArrayList<>();
    int[] end = decoder.config().ends().stream().limit(1).mapToInt(Integer::intValue).toArray();
    for (Problem problem : all.subList(0, Math.min(sequences, all.size()))) {
      int[] tokens = tokenizer.encode(problem.prompt() + problem.answer());
      int[] text = Arrays.copyOf(tokens, tokens.length + end.length);
      System.arraycopy(end, 0, text, tokens.length, end.length);
      if (text.length > 1) {
        texts.add(new CapturedLayers.Text(text, 1));
      }
    }
    try {
      CaptureFile.write(decoder, texts, selected::isIn, empirical, seed, out.toAbsolutePath());
    } catch (IllegalArgumentException e) {
      throw new InvalidInputException(model.path() + ", " + problems + ": " + e.getMessage(), e);
    }
    spec.commandLine()
        .getOut()
        .printf("%s: %d sequences, %s%n", out, texts.size(), empirical ? "empirical" : "true");
    spec.commandLine().getOut().flush();
  }
}
