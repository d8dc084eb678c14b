package org.threegate.cli;

import java.nio.file.Path;
import java.time.Clock;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.concurrent.Callable;
import org.threegate.rl.environment.BoundedEnvironment;
import org.threegate.rl.environment.EnvironmentSource;
import org.threegate.rl.policy.Decoder;
import org.threegate.rl.policy.Threads;
import org.threegate.rl.policy.Tokenizer;
import org.threegate.rl.rollout.Interaction;
import org.threegate.rl.rollout.PassRate;
import org.threegate.rl.rollout.Rollout;
import org.threegate.rl.rollout.Rollouts;
import org.threegate.rl.rollout.Transcript;
import org.threegate.rl.task.ChatTemplate;
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
      "  threegate eval base/ --adapter run/adapter --problems test.jsonl --json",
      "  threegate eval run/model --problems games.jsonl --k 1,8 \\",
      "      --environment countdown"
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
      description =
          "Reward function: exact, numeric, mathematical, mathematical_sentence, countdown, class:NAME,"
              + " command:PROGRAM or an address of http (default: exact, or none where the environment"
              + " has rewards).")
  private Optional<String> verifier = Optional.empty();

  @Option(
      names = "--environment",
      paramLabel = "NAME",
      description =
          "What answers each turn of the model: calculator, countdown or class:NAME. --longest limits"
              + " all tokens of a completion. Without it, completions have one turn.")
  private Optional<String> environment = Optional.empty();

  @Option(
      names = "--max-tool-calling-iterations",
      paramLabel = "N",
      description =
          "Largest number of answers of the environment that the model sees in a completion (default:"
              + " no limit but --longest).")
  private Optional<Integer> mostReplies = Optional.empty();

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
    mostReplies
        .filter(most -> most < 0 || environment.isEmpty())
        .ifPresent(
            most -> {
              throw new InvalidInputException(
                  "--max-tool-calling-iterations "
                      + most
                      + ": must be 0 or more, and needs --environment");
            });
    Optional<EnvironmentSource> source = source();
    try (Judges judges = judges(source)) {
      ProblemFile.Answers answers =
          judges.reward().map(RewardSource::needsAnswers).orElse(false)
                  || source.map(EnvironmentSource::needsAnswers).orElse(false)
              ? ProblemFile.Answers.REQUIRED
              : ProblemFile.Answers.OPTIONAL;
      List<Problem> all =
          PlainProblems.rendered(
              ProblemFile.read(problems, answers),
              model.path(),
              template.options(),
              Clock.systemDefaultZone());
      model.use(
          (decoder, tokenizer) ->
              evaluate(decoder, all, judges, rollouts(tokenizer, judges, source)));
    }
    return 0;
  }

  /** What scores: a reward function, an environment, or both. */
  private record Judges(
      Optional<RewardSource> reward,
      Optional<BoundedVerifier> verifier,
      Optional<BoundedEnvironment> environment)
      implements AutoCloseable {
    long crashes() {
      return verifier.map(BoundedVerifier::crashes).orElse(0L);
    }

    long timeouts() {
      return verifier.map(BoundedVerifier::timeouts).orElse(0L);
    }

    @Override
    public void close() {
      verifier.ifPresent(BoundedVerifier::close);
      environment.ifPresent(BoundedEnvironment::close);
    }
  }

  private Judges judges(Optional<EnvironmentSource> source) {
    Optional<BoundedEnvironment> bounded =
        source.map(own -> new BoundedEnvironment(own.open(), LIMIT, Threads.count()));
    boolean isScored = bounded.map(BoundedEnvironment::isScoring).orElse(false);
    if (verifier.isEmpty() && isScored) {
      return new Judges(Optional.empty(), Optional.empty(), bounded);
    }
    RewardSource reward = reward();
    return new Judges(
        Optional.of(reward),
        Optional.of(new BoundedVerifier(reward.open(LIMIT), LIMIT, Threads.count())),
        bounded);
  }

  private Rollouts rollouts(
      Tokenizer tokenizer, Judges judges, Optional<EnvironmentSource> source) {
    return new Rollouts(
        tokenizer,
        judges.verifier().map(own -> new Rollouts.Reward("reward", own)).stream().toList(),
        longestPrompt,
        source.map(
            own ->
                new Interaction(
                    own.name(),
                    judges.environment().orElseThrow(),
                    mostReplies.orElse(Integer.MAX_VALUE),
                    ChatTemplate.load(model.path())
                        .map(loaded -> loaded.with(template.options())))));
  }

  private Optional<EnvironmentSource> source() {
    try {
      return environment.map(EnvironmentSource::of);
    } catch (IllegalArgumentException e) {
      throw new InvalidInputException("--environment: " + e.getMessage(), e);
    }
  }

  private RewardSource reward() {
    try {
      return RewardSource.of(verifier.orElse("exact"));
    } catch (IllegalArgumentException e) {
      throw new InvalidInputException("--verifier: " + e.getMessage(), e);
    }
  }

  private void evaluate(Decoder decoder, List<Problem> all, Judges judges, Rollouts rollouts) {
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
    print(drawn, all.size() - fitting.size(), judges);
  }

  private void print(List<Rollout> drawn, int tooLong, Judges judges) {
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
    if (tooLong + judges.crashes() + judges.timeouts() > 0) {
      text.append(
          String.format(
              "problems left out because the prompt is too long: %d; completions scored 0 because the"
                  + " verifier failed: %d, timed out: %d%n",
              tooLong, judges.crashes(), judges.timeouts()));
    }
    judges.environment().ifPresent(own -> text.append(environmentLine(drawn, own)));
    spec.commandLine()
        .getOut()
        .print(
            json
                ? String.format(
                    "{%s,\"problems\":%d,\"completions\":%d,\"tooLong\":%d,\"verifierFailed\":%d,\"verifierTimedOut\":%d%s}%n",
                    String.join(",", rates),
                    drawn.size() / completions,
                    completions,
                    tooLong,
                    judges.crashes(),
                    judges.timeouts(),
                    environment.isPresent() ? environmentFields(drawn, judges) : "")
                : text);
    spec.commandLine().getOut().flush();
  }

  /** Counts how completions ended in the environment. */
  private static long count(List<Rollout> drawn, Transcript.Ending ending) {
    return drawn.stream().filter(own -> own.transcript().ending() == ending).count();
  }

  private static double turns(List<Rollout> drawn) {
    return drawn.stream().mapToInt(own -> own.transcript().answers()).average().orElseThrow();
  }

  private static String environmentLine(List<Rollout> drawn, BoundedEnvironment environment) {
    return String.format(
        Locale.ROOT,
        "turns of the model: %.2f on average; completions cut off: %d, scored 0 because the"
            + " environment failed: %d, of these timed out: %d%n",
        turns(drawn),
        count(drawn, Transcript.Ending.CUT),
        count(drawn, Transcript.Ending.FAILED),
        environment.timeouts());
  }

  private static String environmentFields(List<Rollout> drawn, Judges judges) {
    return String.format(
        Locale.ROOT,
        ",\"turns\":%s,\"cut\":%d,\"environmentFailed\":%d,\"environmentTimedOut\":%d",
        turns(drawn),
        count(drawn, Transcript.Ending.CUT),
        count(drawn, Transcript.Ending.FAILED),
        judges.environment().map(BoundedEnvironment::timeouts).orElse(0L));
  }
}
