package org.threegate.cli;

import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import java.util.concurrent.Callable;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.threegate.rl.policy.Completion;
import org.threegate.rl.policy.CompletionRequest;
import org.threegate.rl.policy.Decoder;
import org.threegate.rl.policy.DecoderEngine;
import org.threegate.rl.policy.Tokenizer;
import org.threegate.rl.task.ChatTemplate;
import org.threegate.rl.task.Message;
import org.threegate.run.InvalidInputException;
import org.threegate.run.PrintableText;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** {@code threegate generate}. */
@Command(
    name = "generate",
    mixinStandardHelpOptions = true,
    sortOptions = false,
    description = {
      "Sample completions from a decoder.",
      "",
      "Each completion follows its prompt. Special tokens are not printed. On a terminal, control"
          + " characters are shown as escapes."
    },
    footer = {
      "",
      "Examples:",
      "  threegate generate model/ '12+34='",
      "  threegate generate model/ 'Why is the sky blue?' --longest 200 \\",
      "      --temperature 0.7 --top-p 0.95 --seed 3",
      "  threegate generate model/ --chat 'Why is the sky blue?' \\",
      "      --system 'Be brief.' --template-argument enable_thinking=false",
      "  threegate generate base/ '12+34=' --adapter run/adapter --completions 4"
    })
final class GenerateCommand implements Callable<Integer> {
  private static final int STANDARD_OUTPUT = 1;

  @Spec private CommandSpec spec;

  @Mixin private ModelMixin model;

  @Parameters(index = "1..*", arity = "1..*", paramLabel = "PROMPT", description = "The prompts.")
  private List<String> prompts;

  @Option(
      names = "--completions",
      paramLabel = "N",
      defaultValue = "1",
      description = "Number of completions of each prompt (default: ${DEFAULT-VALUE}).")
  private int completions;

  @Option(
      names = "--chat",
      description =
          "Treat prompts as user messages, and render them with the model's chat template.")
  private boolean chat;

  @Mixin private TemplateMixin template;

  @Mixin private SamplingMixin sampling;

  @Override
  public Integer call() {
    List<String> texts = rendered();
    model.use((decoder, tokenizer) -> generate(decoder, tokenizer, texts));
    return 0;
  }

  private List<String> rendered() {
    if (!chat) {
      if (template.isGiven()) {
        throw new InvalidInputException(
            "--system and --template-argument need a conversation; add --chat");
      }
      return prompts;
    }
    ChatTemplate own =
        ChatTemplate.load(model.path())
            .orElseThrow(
                () ->
                    new InvalidInputException(
                        model.path() + ": has no chat template; leave out --chat"))
            .with(template.options());
    return prompts.stream().map(text -> own.prompt(List.of(new Message("user", text)))).toList();
  }

  private void generate(Decoder decoder, Tokenizer tokenizer, List<String> texts) {
    List<int[]> tokens =
        texts.stream()
            .map(prompt -> encoded(tokenizer, prompt))
            .flatMap(prompt -> Stream.generate(() -> prompt).limit(completions))
            .toList();
    if (tokens.stream().anyMatch(prompt -> prompt.length == 0)) {
      throw new InvalidInputException("a prompt is empty: it encodes to no tokens");
    }
    List<Completion> drawn =
        new DecoderEngine(decoder, tokenizer)
            .complete(
                new CompletionRequest(
                    tokens,
                    sampling.sampling(decoder.config().tokens().ends()),
                    new SplittableRandom(sampling.seed()).longs(tokens.size()).toArray(),
                    0));
    boolean terminal = ProgressBar.isTerminal(STANDARD_OUTPUT);
    for (int i = 0; i < drawn.size(); i++) {
      String text =
          chat
              ? tokenizer.text(drawn.get(i).content())
              : prompts.get(i / completions)
                  + continuation(tokenizer, tokens.get(i), drawn.get(i).content());
      spec.commandLine().getOut().println(shown(text, terminal));
    }
    spec.commandLine().getOut().flush();
  }

  /** A chat template has its special tokens, and the tokenizer adds those of other prompts. */
  private int[] encoded(Tokenizer tokenizer, String prompt) {
    int[] tokens = tokenizer.encode(prompt);
    return chat ? tokens : tokenizer.surrounding().around(tokens);
  }

  /** Returns the text after a prompt. Alone, it could lack a space at its beginning. */
  private static String continuation(Tokenizer tokenizer, int[] prompt, int[] completion) {
    int[] all = Arrays.copyOf(prompt, prompt.length + completion.length);
    System.arraycopy(completion, 0, all, prompt.length, completion.length);
    String before = tokenizer.text(prompt);
    String whole = tokenizer.text(all);
    return whole.startsWith(before) ? whole.substring(before.length()) : tokenizer.text(completion);
  }

  /**
   * Returns a completion as it is printed. The model is not trusted, so that control characters are
   * escaped on a terminal. Files and pipes receive the text unchanged.
   */
  static String shown(String text, boolean terminal) {
    if (!terminal) {
      return text;
    }
    return text.lines().map(PrintableText::of).collect(Collectors.joining("\n"));
  }
}
