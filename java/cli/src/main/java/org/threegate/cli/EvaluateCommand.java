package org.threegate.cli;

import java.nio.file.Path;
import java.time.Clock;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.Callable;
import org.threegate.rl.policy.Decoder;
import org.threegate.rl.policy.Threads;
import org.threegate.rl.rollout.PassRate;
import org.threegate.rl.rollout.Rollout;
import org.threegate.rl.rollout.Rollouts;
import org.threegate.rl.task.PlainProblems;
import org.threegate.rl.task.Problem;
import org.threegate.rl.task.ProblemFile;
import org.threegate.rl.verifier.BoundedVerifier;
import org.threegate.rl.verifier.RewardSource;
import org.threegate.run.InvalidInputException;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** {@code threegate eval}. */
@Command(
    name = "eval",
    mixinStandardHelpOptions = true,
    sortOptions = false,
    description = {
      "Evaluate a decoder on problems with verifiable answers.",
      "",
      "Reports pass@k by the unbiased estimator (arXiv 2107.03374), with a 95 %% confidence interval"
          + " over problems."
    },
    footer = {
      "",
      "Examples:",
      "  threegate eval model/ --problems test.jsonl",
      "  threegate eval model/ --problems test.jsonl --completions 64 --k 1,8,64 \\",
      "      --verifier mathematical --temperature 0.7",
      "  threegate eval model/ --problems chats.jsonl --system 'Be brief.' \\",
      "      --template-argument enable_thinking=false",
      "  threegate eval base/ --adapter run/adapter --problems test.jsonl --json"
    })
final class EvaluateCommand implements Callable<Integer> {
  private static final Duration LIMIT = Duration.ofSeconds(5); // of one completion

  @Spec private CommandSpec spec;

  @Mixin private ModelMixin model;

  @Input
  @Option(
      names = "--problems",
      paramLabel = "DATA",
      required = true,
      description =
          "Prompts and answers: a file of JSON Lines or Parquet, a directory of either, or a directory"
              + " and a split, as in data/test.")
  private Path problems;

  @Option(
      names = "--completions",
      paramLabel = "N",
      defaultValue = "8",
      description = "Number of completions of each problem (default: ${DEFAULT-VALUE}).")
  private int completions;

  @Option(
      names = "--k",
      paramLabel = "K",
      split = ",",
      defaultValue = "1",
      description =
          "Values of k in pass@k, separated by commas, at most --completions (default:"
              + " ${DEFAULT-VALUE}).")
  private List<Integer> ks = new ArrayList<>();

  @Option(
      names = "--verifier",
      paramLabel = "NAME",
      defaultValue = "exact",
      description =
          "Reward function: exact, numeric, mathematical, mathematical_sentence, countdown, class:NAME,"
              + " command:PROGRAM or an address of http (default: ${DEFAULT-VALUE}).")
  private String verifier;

  @Mixin private TemplateMixin template;

  @Mixin private SamplingMixin sampling;

  @Option(
      names = "--longest-prompt",
      paramLabel = "N",
      defaultValue = "4096",
      description =
          "Largest number of tokens in a prompt. Problems with longer prompts are left out and counted"
              + " (default: ${DEFAULT-VALUE}).")
  private int longestPrompt;

  @Option(names = "--json", description = "Print the result as JSON.")
  private boolean json;

  @Override
  public Integer call() {
    for (int k : ks) {
      if (k < 1 || k > completions) {
        throw new InvalidInputException(
            "--k " + k + ": must be 1 to --completions, which is " + completions);
      }
    }
    RewardSource reward = reward();
    ProblemFile.Answers answers =
        reward.needsAnswers() ? ProblemFile.Answers.REQUIRED : ProblemFile.Answers.OPTIONAL;
    List<Problem> all =
        PlainProblems.rendered(
            ProblemFile.read(problems, answers),
            model.path(),
            template.options(),
            Clock.systemDefaultZone());
    try (BoundedVerifier bounded =
        new BoundedVerifier(reward.open(LIMIT), LIMIT, Threads.count())) {
      model.use(
          (decoder, tokenizer) ->
              evaluate(decoder, all, bounded, new Rollouts(tokenizer, bounded, longestPrompt)));
    }
    return 0;
  }

  private RewardSource reward() {
    try {
      return RewardSource.of(verifier);
    } catch (IllegalArgumentException e) {
      throw new InvalidInputException("--verifier: " + e.getMessage(), e);
    }
  }

  private void evaluate(
      Decoder decoder, List<Problem> all, BoundedVerifier bounded, Rollouts rollouts) {
    List<Problem> fitting = all.stream().filter(rollouts::fits).toList();
    if (fitting.isEmpty()) {
      throw new InvalidInputException(
          problems + ": no problem has a prompt of 1 to " + longestPrompt + " tokens");
    }
    List<Rollout> drawn =
        rollouts.draw(
            decoder,
            fitting,
            completions,
            sampling.sampling(decoder.config().tokens().ends()),
            sampling.seed());
    print(drawn, all.size() - fitting.size(), bounded);
  }

  private void print(List<Rollout> drawn, int tooLong, BoundedVerifier bounded) {
    StringBuilder text = new StringBuilder();
    List<String> rates = new ArrayList<>();
    for (int k : ks) {
      PassRate rate = PassRate.of(drawn, completions, k);
      text.append(
          String.format(
              Locale.ROOT,
              "pass@%d  %.4f  [%.4f, %.4f]  %d problems, %d completions each%n",
              k,
              rate.value(),
              rate.low(),
              rate.high(),
              rate.problems(),
              completions));
      rates.add(
          String.format(
              Locale.ROOT,
              "\"pass@%d\":{\"value\":%s,\"se\":%s,\"low\":%s,\"high\":%s}",
              k,
              rate.value(),
              Double.isFinite(rate.se()) ? rate.se() : "null",
              Double.isFinite(rate.low()) ? rate.low() : "null",
              Double.isFinite(rate.high()) ? rate.high() : "null"));
    }
    if (tooLong + bounded.crashes() + bounded.timeouts() > 0) {
      text.append(
          String.format(
              "problems left out because the prompt is too long: %d; completions scored 0 because the"
                  + " verifier failed: %d, timed out: %d%n",
              tooLong, bounded.crashes(), bounded.timeouts()));
    }
    spec.commandLine()
        .getOut()
        .print(
            json
                ? String.format(
                    "{%s,\"problems\":%d,\"completions\":%d,\"tooLong\":%d,\"verifierFailed\":%d,\"verifierTimedOut\":%d}%n",
                    String.join(",", rates),
                    drawn.size() / completions,
                    completions,
                    tooLong,
                    bounded.crashes(),
                    bounded.timeouts())
                : text);
    spec.commandLine().getOut().flush();
  }
}
