package org.threegate.cli;

import java.io.IOException;
import java.io.PrintWriter;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Clock;
import java.time.Duration;
import java.time.LocalDate;
import java.time.ZoneOffset;
import java.time.format.DateTimeParseException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.Callable;
import java.util.function.Predicate;
import java.util.regex.Pattern;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.Tensor;
import org.threegate.analysis.geometry.GeometryOptions;
import org.threegate.analysis.mask.MaskFile;
import org.threegate.checkpoint.NamePattern;
import org.threegate.checkpoint.TensorType;
import org.threegate.file.AtomicFiles;
import org.threegate.kernel.Context;
import org.threegate.kernel.Control;
import org.threegate.patch.PatchFormat;
import org.threegate.patch.PatchPublisher;
import org.threegate.rl.adapter.AdapterOptions;
import org.threegate.rl.adapter.Initialisation;
import org.threegate.rl.adapter.LowRankAdapter;
import org.threegate.rl.curvature.CapturedLayers;
import org.threegate.rl.event.TrainingEvent;
import org.threegate.rl.event.TrainingObserver;
import org.threegate.rl.objective.Divergence;
import org.threegate.rl.objective.PolicyObjective;
import org.threegate.rl.observe.ConsoleProgress;
import org.threegate.rl.observe.DivergenceObserver;
import org.threegate.rl.observe.GeometryObserver;
import org.threegate.rl.observe.JsonLines;
import org.threegate.rl.observe.LivePage;
import org.threegate.rl.observe.PatchObserver;
import org.threegate.rl.observe.TensorBoard;
import org.threegate.rl.optimizer.AdamW;
import org.threegate.rl.optimizer.Schedule;
import org.threegate.rl.policy.Decoder;
import org.threegate.rl.policy.JsonTokenizer;
import org.threegate.rl.policy.SamplingOptions;
import org.threegate.rl.policy.Tensors;
import org.threegate.rl.policy.Threads;
import org.threegate.rl.policy.Tokenizer;
import org.threegate.rl.rollout.PassRate;
import org.threegate.rl.rollout.Rollout;
import org.threegate.rl.rollout.Rollouts;
import org.threegate.rl.task.ChatTemplate;
import org.threegate.rl.task.Demonstration;
import org.threegate.rl.task.Problem;
import org.threegate.rl.train.AdvantageRule;
import org.threegate.rl.train.PolicyTrainer;
import org.threegate.rl.train.SupervisedOptions;
import org.threegate.rl.train.SupervisedTrainer;
import org.threegate.rl.train.Trainer;
import org.threegate.rl.train.TrainingOptions;
import org.threegate.rl.verifier.BoundedVerifier;
import org.threegate.run.CancelledException;
import org.threegate.run.InvalidInputException;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** {@code threegate train}. */
@Command(
    name = "train",
    mixinStandardHelpOptions = true,
    sortOptions = false,
    description = {
      "Fine-tunes a decoder with verifiable rewards, or by supervision, and says what that does to its weights while it runs.",
      "",
      "What is killed at any moment and resumed ends with the same bytes as what was not."
    },
    footer = {
      "",
      "Examples:",
      "  threegate train --example > run.yaml",
      "  threegate train run.yaml",
      "  threegate train run.yaml --set steps=200 --set optimizer.rate=3e-5 --set output=run-2",
      "  threegate train run.yaml --resume"
    })
final class TrainCommand implements Callable<Integer> {
  private static final Pattern STATE = Pattern.compile("state-(\\d+)\\.safetensors");
  private static final Pattern MAY_DIFFER =
      Pattern.compile("\\s*(output|threads|console|tensorboard|page|every|kept|date):.*");
  private static final List<String> PARTS =
      List.of("checkpoints", "tensorboard", "versions", "model", "adapter");
  private static final List<String> COPIED =
      List.of(
          "config.json",
          "tokenizer.json",
          "tokenizer_config.json",
          "chat_template.jinja",
          "chat_template.json",
          "special_tokens_map.json",
          "generation_config.json");

  @Spec private CommandSpec spec;

  @Input
  @Parameters(
      arity = "0..1",
      paramLabel = "CONFIG.yaml",
      description = "what to train, and how; --example prints one with every key")
  private Optional<Path> config = Optional.empty();

  @Option(names = "--example", description = "print a commented configuration")
  private boolean example;

  @Option(
      names = "--set",
      paramLabel = "KEY=VALUE",
      description = "override a key of the configuration; may be repeated")
  private List<String> changes = new ArrayList<>();

  @Option(names = "--resume", description = "go on from the last checkpoint of the same run")
  private boolean resume;

  @Override
  public Integer call() {
    if (example) {
      spec.commandLine().getOut().print(TrainingSettings.example());
      spec.commandLine().getOut().flush();
      return 0;
    }
    if (config.isEmpty()) {
      throw new InvalidInputException("a configuration is missing; --example prints one");
    }
    TrainingSettings settings = TrainingSettings.read(config.orElseThrow(), changes);
    Path output = settings.path("output");
    OutputGuard.check(output, Output.Kind.RESULTS, inputs(settings));
    // What is written over in it may be links to elsewhere.
    PARTS.forEach(
        part -> OutputGuard.check(output.resolve(part), Output.Kind.IN_PLACE, settings.inputs()));
    OutputPath.writingDirectory(
        output,
        () -> {
          try {
            train(settings, output);
          } catch (UncheckedIOException e) {
            throw e.getCause();
          }
        });
    return 0;
  }

  /** What is read; the configuration too, unless it is that of a run which goes on. */
  private List<Path> inputs(TrainingSettings settings) {
    List<Path> inputs = new ArrayList<>(settings.inputs());
    if (!resume) {
      inputs.add(config.orElseThrow());
    }
    return inputs;
  }

  private void train(TrainingSettings settings, Path output) throws IOException {
    Path states = output.resolve("checkpoints");
    if (!resume && Files.exists(output.resolve("metrics.jsonl"))) {
      throw new InvalidInputException(
          output + ": has a run in it; go on with --resume, or name another place as output");
    }
    Threads.use(
        settings.integer("threads") > 0
            ? settings.integer("threads")
            : Runtime.getRuntime().availableProcessors());
    ModelPlace.use("device", settings.text("device"));
    PrintWriter err = spec.commandLine().getErr();
    Interruption.measure(
        () -> Context.open(),
        err,
        "the same command with --resume goes on",
        (context, control) -> {
          new Run(dated(settings, output), output, states, context, control).run();
        });
  }

  /** With the day on which the run began: prompts that have it stay the same when it goes on. */
  private TrainingSettings dated(TrainingSettings settings, Path output) {
    Path begun = output.resolve("config.yaml");
    String date = settings.text("template.date");
    if (date.isEmpty() && resume && Files.exists(begun)) {
      date = TrainingSettings.read(begun, List.of()).text("template.date");
    }
    return settings.with("template.date", date.isEmpty() ? LocalDate.now().toString() : date);
  }

  /** One run, with all that it holds. */
  private final class Run {
    private final TrainingSettings settings;
    private final Path output;
    private final Path states;
    private final Context context;
    private final Control control;
    private final Path model;

    Run(TrainingSettings settings, Path output, Path states, Context context, Control control) {
      this.settings = settings;
      this.output = output;
      this.states = states;
      this.context = context;
      this.control = control;
      this.model = settings.path("model");
    }

    @SuppressWarnings("try")
    void run() throws IOException {
      ChatTemplate.Options options = chatOptions();
      List<Problem> problems =
          PlainProblems.read(settings.path("data.train"), model, options, clock());
      List<Problem> test =
          settings.text("data.test").isEmpty()
              ? List.of()
              : PlainProblems.read(settings.path("data.test"), model, options, clock());
      try (PointerScope scope = new PointerScope();
          Decoder policy = load();
          Tokenizer tokenizer = JsonTokenizer.load(model);
          BoundedVerifier verifier =
              new BoundedVerifier(
                  VerifierNames.verifier(settings.word("data.verifier", VerifierNames.ALL)),
                  Duration.ofMillis(Math.round(1000 * settings.number("data.verifier_seconds"))),
                  Threads.count())) {
        Rollouts rollouts =
            new Rollouts(tokenizer, verifier, settings.integer("data.longest_prompt"));
        boolean divergent = !settings.text("objective.kl").equals("none");
        Optional<Decoder> reference =
            divergent ? Optional.of(Decoder.load(context, model)) : Optional.empty();
        Optional<LowRankAdapter> adapter = adapter(policy);
        try (Trainer trainer = trainer(policy, reference, problems, rollouts)) {
          observed(policy, trainer, rollouts, problems, test);
          finish(policy, adapter);
        } finally {
          adapter.ifPresent(LowRankAdapter::close);
          reference.ifPresent(Decoder::close);
        }
      }
    }

    private ChatTemplate.Options chatOptions() {
      String system = settings.text("template.system");
      return TemplateMixin.options(
          "template.arguments",
          system.isEmpty() ? Optional.empty() : Optional.of(system),
          settings.mapping("template.arguments"));
    }

    private Clock clock() {
      String date = settings.text("template.date");
      try {
        return Clock.fixed(
            LocalDate.parse(date).atStartOfDay(ZoneOffset.UTC).toInstant(), ZoneOffset.UTC);
      } catch (DateTimeParseException e) {
        throw new InvalidInputException(
            "template.date is \"" + date + "\"; it must be a day, as 2026-01-31", e);
      }
    }

    private Decoder load() {
      boolean rounded = settings.word("storage", List.of("float32", "bf16")).equals("bf16");
      return Decoder.load(context, model, rounded ? Decoder.Storage.BF16 : Decoder.Storage.FLOAT32);
    }

    private Optional<LowRankAdapter> adapter(Decoder policy) {
      String kind = settings.text("adapter.kind");
      if (kind.equals("none")) {
        return Optional.empty();
      }
      try {
        AdapterOptions options =
            new AdapterOptions(
                settings.integer("adapter.rank"),
                settings.number("adapter.alpha"),
                settings.flag("adapter.rank_stabilised"),
                settings.texts("adapter.targets"),
                Initialisation.of(kind));
        return Optional.of(
            LowRankAdapter.attach(context, policy, options, settings.integer("seed")));
      } catch (IllegalArgumentException e) {
        throw new InvalidInputException("adapter: " + e.getMessage(), e);
      }
    }

    private Trainer trainer(
        Decoder policy, Optional<Decoder> reference, List<Problem> problems, Rollouts rollouts) {
      try {
        if (settings.text("algorithm").equals("sft")) {
          return supervised(policy, problems, rollouts);
        }
        return PolicyTrainer.of(
            policy, reference, problems, rollouts, options(policy), masks(policy));
      } catch (IllegalArgumentException e) {
        throw new InvalidInputException("configuration: " + e.getMessage(), e);
      }
    }

    private Trainer supervised(Decoder policy, List<Problem> problems, Rollouts rollouts) {
      List<Integer> ends = policy.config().ends();
      String end = ends.isEmpty() ? "" : rollouts.tokenizer().decode(new int[] {ends.get(0)});
      List<Demonstration> demonstrations =
          problems.stream()
              .map(problem -> new Demonstration(problem.prompt(), problem.answer() + end))
              .toList();
      SupervisedOptions options =
          new SupervisedOptions(
              settings.integer("steps"),
              settings.integer("sampling.prompts"),
              settings.integer("optimizer.rows"),
              settings.flag("optimizer.recompute_activations"),
              settings.integer("data.longest_prompt") + settings.integer("sampling.longest"),
              settings.number("optimizer.rate"),
              schedule(),
              optimizer(),
              settings.integer("seed"));
      return SupervisedTrainer.of(
          policy,
          rollouts.tokenizer(),
          SupervisedTrainer.Source.of(demonstrations, settings.integer("seed")),
          options,
          masks(policy));
    }

    private SamplingOptions sampling(Decoder policy) {
      return new SamplingOptions(
          settings.number("sampling.temperature"),
          settings.number("sampling.top_p"),
          settings.integer("sampling.top_k"),
          settings.integer("sampling.longest"),
          Set.copyOf(policy.config().ends()));
    }

    private TrainingOptions options(Decoder policy) {
      String algorithm =
          settings.word(
              "algorithm",
              List.of(
                  "dapo",
                  "grpo",
                  "dr-grpo",
                  "gspo",
                  "cispo",
                  "rloo",
                  "reinforce++",
                  "rejection-sampling",
                  "sft"));
      PolicyObjective objective =
          switch (algorithm) {
            case "grpo" -> PolicyObjective.GRPO;
            case "dr-grpo" -> PolicyObjective.drGrpo(settings.integer("sampling.longest"));
            case "gspo" -> PolicyObjective.GSPO;
            // Of what is kept this is the likelihood.
            case "cispo", "rejection-sampling" -> PolicyObjective.CISPO;
            case "rloo" -> PolicyObjective.RLOO;
            case "reinforce++" -> PolicyObjective.REINFORCE_PLUS_PLUS;
            default -> PolicyObjective.DAPO;
          };
      String kl = settings.word("objective.kl", List.of("none", "k1", "k2", "k3"));
      if (!kl.equals("none")) {
        objective =
            objective.withDivergence(
                Divergence.valueOf(kl.toUpperCase(Locale.ROOT)),
                settings.number("objective.kl_weight"));
      }
      AdvantageRule rule =
          switch (algorithm) {
            case "dr-grpo" -> AdvantageRule.CENTRED;
            case "rloo" -> AdvantageRule.LEAVE_ONE_OUT;
            case "reinforce++" -> AdvantageRule.OF_BATCH;
            case "rejection-sampling" -> AdvantageRule.ONES;
            default -> AdvantageRule.NORMALISED;
          };
      return TrainingOptions.builder(
              settings.integer("steps"),
              settings.integer("sampling.prompts"),
              settings.integer("sampling.completions"),
              sampling(policy),
              settings.number("optimizer.rate"),
              settings.integer("seed"))
          .objective(objective)
          .advantages(rule)
          .updates(settings.integer("optimizer.updates"))
          .rounds(settings.integer("sampling.rounds"))
          .rows(settings.integer("optimizer.rows"))
          .checkpointed(settings.flag("optimizer.recompute_activations"))
          .kept(
              switch (algorithm) {
                case "reinforce++" -> TrainingOptions.Kept.ALL;
                case "rejection-sampling" -> TrainingOptions.Kept.RIGHT;
                default -> TrainingOptions.Kept.DIFFERING;
              })
          .lengthMargin(settings.integer("objective.length_margin"))
          .schedule(schedule())
          .optimizer(optimizer())
          .build();
    }

    private Schedule schedule() {
      long warmUp = settings.integer("optimizer.warm_up");
      // Each update is a step of the optimizer.
      long steps = (long) settings.integer("steps") * settings.integer("optimizer.updates");
      double floor = settings.number("optimizer.floor");
      return switch (settings.word("optimizer.schedule", List.of("constant", "linear", "cosine"))) {
        case "linear" -> Schedule.linear(warmUp, steps, floor);
        case "cosine" -> Schedule.cosine(warmUp, steps, floor);
        default -> Schedule.constant(warmUp);
      };
    }

    private AdamW.Options optimizer() {
      return new AdamW.Options(
          settings.number("optimizer.beta1"),
          settings.number("optimizer.beta2"),
          settings.number("optimizer.epsilon"),
          settings.number("optimizer.weight_decay"),
          settings.number("optimizer.largest_norm"));
    }

    /** In the scope of the run. */
    private Map<String, Tensor> masks(Decoder policy) {
      Map<String, Tensor> masks = new HashMap<>();
      if (!settings.text("mask").isEmpty()) {
        if (!policy.factors().isEmpty()) {
          throw new InvalidInputException("mask: is of weights, and an adapter has its own");
        }
        Path file = settings.path("mask");
        for (MaskFile.Entry entry : MaskFile.read(context, file).entries()) {
          if (!policy.parameters().containsKey(entry.name())) {
            throw new InvalidInputException(
                file + ": mask \"" + entry.name() + "\" is of no weight of " + model);
          }
          masks.put(entry.name(), Tensors.of(entry.mask()));
        }
      }
      return masks;
    }

    private void observed(
        Decoder policy,
        Trainer trainer,
        Rollouts rollouts,
        List<Problem> problems,
        List<Problem> test)
        throws IOException {
      String run = fingerprint();
      OutputPath.begin(output);
      Files.createDirectories(states);
      AtomicFiles.removeLeftovers(output);
      AtomicFiles.removeLeftovers(states);
      Optional<Path> last = lastState();
      // Of the model as it was, before anything is resumed.
      List<AutoCloseable> open = new ArrayList<>();
      try {
        long from = resume && last.isPresent() ? Trainer.savedStep(context, last.get()) : 0;
        JsonLines lines = JsonLines.open(output.resolve("metrics.jsonl"), from);
        open.add(lines);
        List<TrainingObserver> sinks = new ArrayList<>(List.of(lines));
        if (settings.flag("observe.tensorboard")) {
          TensorBoard board =
              TensorBoard.open(output.resolve("tensorboard"), from, Clock.systemUTC());
          open.add(board);
          sinks.add(board);
        }
        if (settings.integer("observe.page") >= 0) {
          LivePage page = LivePage.open(settings.integer("observe.page"), trainer.steps());
          open.add(page);
          sinks.add(page);
          spec.commandLine().getErr().println("watch it at " + page.address());
        }
        if (settings.integer("observe.console") > 0) {
          sinks.add(
              new ConsoleProgress(
                  System.err, trainer.steps(), settings.integer("observe.console")));
        }
        List<TrainingObserver> observers = new ArrayList<>(sinks);
        Optional<GeometryObserver> geometry =
            settings.integer("observe.geometry") > 0
                ? Optional.of(geometry(policy, TrainingObserver.all(sinks)))
                : Optional.empty();
        geometry.ifPresent(open::add);
        geometry.ifPresent(observers::add);
        if (settings.integer("observe.divergence") > 0) {
          DivergenceObserver divergence =
              divergence(policy, rollouts, problems, TrainingObserver.all(sinks));
          open.add(divergence);
          observers.add(divergence);
        }
        if (from > 0) {
          trainer.resume(context, last.orElseThrow(), run);
          geometry.ifPresent(observer -> observer.goOnFrom(policy));
        } else {
          writeText(output.resolve("config.yaml"), settings.yaml());
          evaluate(policy, rollouts, test, 0, TrainingObserver.all(sinks));
        }
        patches(policy, sinks, from, open).ifPresent(observers::add);
        steps(trainer, TrainingObserver.all(observers), run);
        evaluate(policy, rollouts, test, trainer.steps(), TrainingObserver.all(sinks));
      } finally {
        for (AutoCloseable each : open) {
          close(each);
        }
      }
    }

    /** Versions go on where they were, whatever was run again: they have lines of their own. */
    private Optional<PatchObserver> patches(
        Decoder policy, List<TrainingObserver> sinks, long from, List<AutoCloseable> open)
        throws IOException {
      int every = settings.integer("observe.patches");
      if (every <= 0) {
        return Optional.empty();
      }
      JsonLines lines = JsonLines.open(output.resolve("patches.jsonl"), from);
      open.add(lines);
      List<TrainingObserver> told = new ArrayList<>(sinks);
      told.removeIf(JsonLines.class::isInstance);
      told.add(lines);
      try {
        PatchPublisher.Options options =
            new PatchPublisher.Options(
                PatchFormat.of(settings.text("observe.patch_format")),
                PatchPublisher.Options.DEFAULT.checksum(),
                settings.integer("observe.patch_anchors"),
                PatchPublisher.Options.DEFAULT.kept());
        PatchObserver observer =
            PatchObserver.of(
                context,
                policy,
                output.resolve("versions"),
                description(),
                options,
                every,
                TrainingObserver.all(told));
        open.add(observer);
        return Optional.of(observer);
      } catch (IllegalArgumentException e) {
        throw new InvalidInputException("observe.patches: " + e.getMessage(), e);
      }
    }

    private GeometryObserver geometry(Decoder policy, TrainingObserver told) {
      try {
        return GeometryObserver.of(
            context,
            policy,
            NamePattern.of(settings.text("observe.include"), "observe.include")::isIn,
            settings.integer("observe.geometry"),
            settings.integer("observe.spectrum"),
            GeometryOptions.DEFAULT,
            told);
      } catch (IllegalArgumentException e) {
        throw new InvalidInputException("observe: " + e.getMessage(), e);
      }
    }

    /** On completions that the model draws before it is trained. */
    private DivergenceObserver divergence(
        Decoder policy, Rollouts rollouts, List<Problem> problems, TrainingObserver told) {
      List<Problem> probes =
          problems.stream()
              .filter(rollouts::fits)
              .limit(settings.integer("observe.divergence_texts"))
              .toList();
      if (probes.isEmpty()) {
        throw new InvalidInputException(
            settings.text("data.train")
                + ": no problem has a prompt of 1 to "
                + rollouts.longestPrompt()
                + " tokens");
      }
      List<CapturedLayers.Text> texts =
          rollouts.draw(policy, probes, 1, sampling(policy), settings.integer("seed") - 2L).stream()
              .map(
                  rollout -> {
                    int[] prompt = rollout.prompt();
                    int[] own = rollout.completion().tokens();
                    int[] all = Arrays.copyOf(prompt, prompt.length + own.length);
                    System.arraycopy(own, 0, all, prompt.length, own.length);
                    return new CapturedLayers.Text(all, prompt.length);
                  })
              .toList();
      Predicate<String> selected =
          NamePattern.of(settings.text("observe.include"), "observe.include")::isIn;
      try {
        return DivergenceObserver.of(
            context,
            policy,
            texts,
            selected,
            settings.integer("observe.divergence"),
            settings.integer("seed"),
            told);
      } catch (IllegalArgumentException e) {
        throw new InvalidInputException("observe: " + e.getMessage(), e);
      }
    }

    private void steps(Trainer trainer, TrainingObserver observers, String run) throws IOException {
      long every = Math.max(1, settings.integer("checkpoints.every"));
      while (!trainer.isDone()) {
        observers.on(trainer.next());
        if (control.isCancelled() || trainer.step() % every == 0 || trainer.isDone()) {
          save(trainer, run);
        }
        if (control.isCancelled()) {
          throw new CancelledException();
        }
      }
    }

    private void save(Trainer trainer, String run) throws IOException {
      trainer.save(
          states.resolve(String.format(Locale.ROOT, "state-%08d.safetensors", trainer.step())),
          run);
      List<Path> all = states();
      int kept = Math.max(1, settings.integer("checkpoints.kept"));
      for (Path old : all.subList(0, Math.max(0, all.size() - kept))) {
        Files.delete(old);
      }
    }

    /** Saved states by their steps. */
    private List<Path> states() throws IOException {
      return AtomicFiles.list(states).stream()
          .filter(file -> STATE.matcher(file.getFileName().toString()).matches())
          .sorted()
          .toList();
    }

    private Optional<Path> lastState() throws IOException {
      List<Path> all = states();
      return all.isEmpty() ? Optional.empty() : Optional.of(all.get(all.size() - 1));
    }

    /** What may not differ between a run and what goes on with it. */
    private String fingerprint() throws IOException {
      StringBuilder text = new StringBuilder();
      for (String line : settings.yaml().lines().toList()) {
        if (!MAY_DIFFER.matcher(line).matches()) {
          text.append(line).append('\n');
        }
      }
      List<Path> files = new ArrayList<>(AtomicFiles.list(model));
      files.add(settings.path("data.train"));
      for (Path file : files.stream().sorted().toList()) {
        text.append(file.getFileName())
            .append(' ')
            .append(Files.size(file))
            .append(' ')
            .append(Files.getLastModifiedTime(file))
            .append('\n');
      }
      return text.toString();
    }

    private void evaluate(
        Decoder policy, Rollouts rollouts, List<Problem> test, long step, TrainingObserver told) {
      if (test.isEmpty()) {
        return;
      }
      int each = settings.integer("data.test_completions");
      List<Rollout> drawn =
          rollouts.draw(
              policy,
              test.stream().filter(rollouts::fits).toList(),
              each,
              sampling(policy),
              settings.integer("seed") - 1L);
      PassRate one = PassRate.of(drawn, each, 1);
      Map<String, Double> metrics = new LinkedHashMap<>();
      metrics.put("pass@1", one.value());
      metrics.put("pass@1/se", one.se());
      metrics.put("pass@" + each, PassRate.of(drawn, each, each).value());
      told.on(new TrainingEvent.Measured(step, "test", metrics));
      spec.commandLine()
          .getOut()
          .printf(
              Locale.ROOT,
              "step %d: pass@1 %.4f [%.4f, %.4f] of %d problems%n",
              step,
              one.value(),
              one.low(),
              one.high(),
              one.problems());
      spec.commandLine().getOut().flush();
    }

    /** What a model has beside its weights. */
    private List<Path> description() {
      return COPIED.stream().map(model::resolve).filter(Files::isRegularFile).toList();
    }

    private void finish(Decoder policy, Optional<LowRankAdapter> adapter) throws IOException {
      Path result = output.resolve(adapter.isPresent() ? "adapter" : "model");
      if (adapter.isPresent()) {
        adapter.get().write(result);
      } else {
        AtomicFiles.updateDirectory(
            result,
            "model.safetensors",
            to -> {
              policy.write(to, TensorType.BF16);
              for (Path file : description()) {
                Files.copy(file, to.resolve(file.getFileName()));
              }
            });
      }
      spec.commandLine()
          .getOut()
          .printf(
              "%s: %s%nwhat changed: threegate compare %s %s%n",
              adapter.isPresent() ? "adapter" : "model", result, model, result);
      spec.commandLine().getOut().flush();
    }
  }

  private static void writeText(Path path, String text) throws IOException {
    AtomicFiles.write(
        path,
        out -> {
          ByteBuffer bytes = ByteBuffer.wrap(text.getBytes(StandardCharsets.UTF_8));
          while (bytes.hasRemaining()) {
            out.write(bytes);
          }
        });
  }

  private static void close(AutoCloseable open) throws IOException {
    try {
      open.close();
    } catch (IOException | RuntimeException e) {
      throw e;
    } catch (Exception e) {
      throw new IllegalStateException(e);
    }
  }
}
