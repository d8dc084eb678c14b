package org.threegate.rl.rollout;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicReference;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.threegate.rl.environment.BoundedEnvironment;
import org.threegate.rl.environment.Calculator;
import org.threegate.rl.environment.Environment;
import org.threegate.rl.environment.Episode;
import org.threegate.rl.environment.Reply;
import org.threegate.rl.policy.Completion;
import org.threegate.rl.policy.CompletionEngine;
import org.threegate.rl.policy.CompletionRequest;
import org.threegate.rl.policy.FinishReason;
import org.threegate.rl.policy.SamplingOptions;
import org.threegate.rl.policy.Tokenizer;
import org.threegate.rl.task.ChatTemplate;
import org.threegate.rl.task.Message;
import org.threegate.rl.task.Problem;
import org.threegate.rl.verifier.Attempt;
import org.threegate.rl.verifier.BoundedVerifier;
import org.threegate.rl.verifier.Scorer;
import org.threegate.rl.verifier.Scores;
import org.threegate.run.InvalidInputException;

/** Tests completions of several turns, with an engine that says what it is told to say. */
class TurnsTest {
  @TempDir Path directory;

  private static final Duration LIMIT = Duration.ofSeconds(5);
  private static final int END = '$';

  /** A tokenizer with one token per character. The dollar ends texts, and is a special token. */
  private static final Tokenizer CHARACTERS =
      new Tokenizer() {
        @Override
        public int[] encode(String text) {
          return text.chars().toArray();
        }

        @Override
        public String decode(int[] tokens) {
          return new String(tokens, 0, tokens.length);
        }

        @Override
        public String text(int[] tokens) {
          return decode(tokens).replace("$", "");
        }
      };

  /** Says the next line of each prompt's script, up to the maximal length. */
  private static final class Script implements CompletionEngine {
    final List<CompletionRequest> asked = new ArrayList<>();
    private final List<List<String>> lines;

    Script(List<List<String>> lines) {
      this.lines = lines;
    }

    @Override
    public List<Completion> complete(CompletionRequest request) {
      List<Completion> said = new ArrayList<>();
      for (int[] prompt : request.prompts()) {
        List<String> own = lines.get(prompt[0] - 'a');
        String line = own.get(turns(request));
        int[] tokens = CHARACTERS.encode(line);
        boolean fits = tokens.length <= request.options().longest();
        int[] cut = Arrays.copyOf(tokens, Math.min(tokens.length, request.options().longest()));
        float[] logProbabilities = new float[cut.length];
        Arrays.fill(logProbabilities, -1);
        FinishReason finish =
            !fits
                ? new FinishReason.Length()
                : line.endsWith("$")
                    ? new FinishReason.EndToken(END)
                    : new FinishReason.StopString(">>");
        said.add(new Completion(cut, logProbabilities, finish, request.version() - turns(request)));
      }
      asked.add(request);
      return said;
    }

    private int turns(CompletionRequest request) {
      return asked.size();
    }
  }

  /** Gives a point for each turn, and echoes it. A turn of "end" is the last one. */
  private static final Environment ECHO =
      (problem, seed) ->
          text ->
              text.equals("crash")
                  ? null
                  : text.equals("end")
                      ? Reply.done(10).with("turns_seen", 1)
                      : Reply.of(new Message("user", "(" + text + ")"))
                          .withReward(1)
                          .with("turns_seen", 1);

  private static List<Rollout> draw(
      Script script, Environment environment, int mostReplies, int longest, boolean scores) {
    return draw(script, environment, mostReplies, longest, scores ? List.of() : List.of(1.0));
  }

  private static List<Rollout> draw(
      Script script, Environment environment, int mostReplies, int longest, List<Double> scores) {
    List<Problem> problems = new ArrayList<>();
    for (int i = 0; i < script.lines.size(); i++) {
      problems.add(Problem.of(String.valueOf((char) ('a' + i)), "", ""));
    }
    try (BoundedEnvironment bounded = new BoundedEnvironment(environment, LIMIT, 2);
        BoundedVerifier verifier =
            new BoundedVerifier((response, answer) -> scores.get(0), LIMIT, 1)) {
      List<Rollouts.Reward> rewards =
          scores.isEmpty() ? List.of() : List.of(new Rollouts.Reward("reward", verifier));
      Rollouts rollouts =
          scores.isEmpty()
              ? new Rollouts(CHARACTERS, Interaction.of("echo", bounded, mostReplies), 8)
              : new Rollouts(CHARACTERS, rewards, 8)
                  .with(Interaction.of("echo", bounded, mostReplies));
      return rollouts.draw(script, 5, problems, 1, SamplingOptions.plain(longest, List.of(END)), 3);
    }
  }

  @Test
  void turnsAlternateUntilTheEnvironmentIsDone() {
    Script script = new Script(List.of(List.of("x$", "yz$", "end$"), List.of("end$")));
    List<Rollout> drawn = draw(script, ECHO, 9, 40, true);
    Rollout first = drawn.get(0);
    assertThat(CHARACTERS.decode(first.completion().tokens())).isEqualTo("x$(x)yz$(yz)end$");
    assertThat(first.transcript().weights())
        .containsExactly(1, 1, 0, 0, 0, 1, 1, 1, 0, 0, 0, 0, 1, 1, 1, 1);
    float[] logProbabilities = first.completion().logProbabilities();
    for (int i = 0; i < logProbabilities.length; i++) {
      assertThat(logProbabilities[i]).isEqualTo(-first.transcript().weights()[i]);
    }
    assertThat(first.transcript().turns())
        .containsExactly(
            new Turn(false, 2, "x"),
            new Turn(true, 3, "(x)"),
            new Turn(false, 3, "yz"),
            new Turn(true, 4, "(yz)"),
            new Turn(false, 4, "end"));
    assertThat(first.transcript().ending()).isEqualTo(Transcript.Ending.DONE);
    assertThat(first.response()).isEqualTo("end");
    assertThat(first.score().value()).isEqualTo(12);
    assertThat(first.transcript().metrics()).isEqualTo(Map.of("turns_seen", 3.0));
    assertThat(first.completion().stopped()).isTrue();
    // The weights of the last turn were two updates older than those of the first one.
    assertThat(first.completion().version()).isEqualTo(3);
    assertThat(drawn.get(1).score().value()).isEqualTo(10);
    assertThat(drawn.get(1).completion().version()).isEqualTo(5);
    // Completions that are over are not asked for again, and each turn has seeds of its own.
    assertThat(script.asked.stream().map(own -> own.prompts().size())).containsExactly(2, 1, 1);
    assertThat(CHARACTERS.decode(script.asked.get(2).prompts().get(0))).isEqualTo("ax$(x)yz$(yz)");
    assertThat(script.asked.stream().flatMap(own -> Arrays.stream(own.seeds()).boxed()).distinct())
        .hasSize(4);
    assertThat(script.asked.stream().map(own -> own.options().longest()))
        .containsExactly(40, 35, 28);
  }

  @Test
  void turnsAreLimited() {
    Script script = new Script(List.of(List.of("x$", "y$", "z$")));
    Rollout once = draw(script, ECHO, 1, 40, true).get(0);
    assertThat(CHARACTERS.decode(once.completion().tokens())).isEqualTo("x$(x)y$");
    assertThat(once.transcript().ending()).isEqualTo(Transcript.Ending.CUT);
    // The last turn has its reward, although the model does not see the answer.
    assertThat(once.score().value()).isEqualTo(2);
    assertThat(once.completion().stopped()).isTrue();
    Rollout never = draw(new Script(List.of(List.of("x$"))), ECHO, 0, 40, true).get(0);
    assertThat(CHARACTERS.decode(never.completion().tokens())).isEqualTo("x$");
    assertThat(never.score().value()).isEqualTo(1);
  }

  @Test
  void tokensAreLimited() {
    // A turn that is cut off is answered, and is the last one.
    Script script = new Script(List.of(List.of("x$", "yyyyyyyy$")));
    Rollout cut = draw(script, ECHO, 9, 10, true).get(0);
    assertThat(CHARACTERS.decode(cut.completion().tokens())).isEqualTo("x$(x)yyyyy");
    assertThat(cut.completion().finish()).isEqualTo(new FinishReason.Length());
    assertThat(cut.score().value()).isEqualTo(2);
    // An answer that leaves no token for the model is dropped, and the completion is truncated.
    for (int longest : new int[] {4, 5}) {
      Rollout full = draw(new Script(List.of(List.of("x$", "y$"))), ECHO, 9, longest, true).get(0);
      assertThat(CHARACTERS.decode(full.completion().tokens())).isEqualTo("x$");
      assertThat(full.completion().stopped()).isFalse();
      assertThat(full.transcript().ending()).isEqualTo(Transcript.Ending.CUT);
    }
    // The longest of several completions decides what the engine is asked for.
    Script uneven = new Script(List.of(List.of("xxx$", "yyyyyyyy$"), List.of("x$", "zzz$")));
    List<Rollout> both = draw(uneven, ECHO, 1, 12, true);
    assertThat(CHARACTERS.decode(both.get(0).completion().tokens())).isEqualTo("xxx$(xxx)yyy");
    assertThat(both.get(0).completion().stopped()).isFalse();
    assertThat(CHARACTERS.decode(both.get(1).completion().tokens())).isEqualTo("x$(x)zzz$");
    assertThat(both.get(1).completion().stopped()).isTrue();
  }

  @Test
  void failedEpisodesScoreZero() {
    Script script = new Script(List.of(List.of("x$", "crash$"), List.of("x$", "end$")));
    List<Rollout> drawn = draw(script, ECHO, 9, 40, List.of(1.0));
    Rollout failed = drawn.get(0);
    assertThat(failed.transcript().ending()).isEqualTo(Transcript.Ending.FAILED);
    assertThat(failed.score()).isEqualTo(failed.scores().get(1));
    assertThat(failed.score().failed()).isTrue();
    assertThat(failed.score().value()).isZero();
    assertThat(failed.scores().get(0).value()).isEqualTo(1);
    assertThat(drawn.get(1).score().value()).isEqualTo(11);
    Environment never =
        (problem, seed) -> {
          throw new IllegalStateException();
        };
    Rollout unstarted = draw(new Script(List.of(List.of("x$"))), never, 9, 40, true).get(0);
    assertThat(CHARACTERS.decode(unstarted.completion().tokens())).isEqualTo("x$");
    assertThat(unstarted.transcript().ending()).isEqualTo(Transcript.Ending.FAILED);
  }

  @Test
  void stopsOfAnEnvironmentHaveLimits() {
    List<String> many = IntStream.range(0, 65).mapToObj(i -> "a" + i).toList();
    for (List<String> stops : List.of(many, List.of(""))) {
      Environment environment =
          new Environment() {
            @Override
            public Episode start(Problem problem, long seed) {
              return text -> Reply.done(0);
            }

            @Override
            public List<String> stops() {
              return stops;
            }
          };
      assertThatThrownBy(() -> draw(new Script(List.of(List.of("x$"))), environment, 9, 40, true))
          .isInstanceOf(InvalidInputException.class)
          .hasMessageStartingWith("the environment echo ends turns: stop_strings must");
    }
  }

  /** An environment without rewards leaves the judgement to reward functions. */
  @Test
  void rewardFunctionsSeeTheLastTurnAndTheWholeConversation() {
    AtomicReference<Attempt> seen = new AtomicReference<>();
    Scorer scorer =
        attempt -> {
          seen.set(attempt);
          return Scores.of(attempt.response().equals("46") ? 1 : 0);
        };
    Script script = new Script(List.of(List.of("<<12+34>>", "46$")));
    try (BoundedEnvironment bounded = new BoundedEnvironment(new Calculator(), LIMIT, 1);
        BoundedVerifier verifier = new BoundedVerifier(scorer, LIMIT, 1)) {
      Rollouts rollouts =
          new Rollouts(CHARACTERS, verifier, 8).with(Interaction.of("calculator", bounded, 2));
      assertThat(rollouts.names()).containsExactly("reward");
      SamplingOptions sampling =
          SamplingOptions.builder(40, List.of(END)).stopStrings(List.of("x", ">>")).build();
      Rollout own =
          rollouts.draw(script, 5, List.of(Problem.of("a", "", "")), 1, sampling, 3).get(0);
      assertThat(own.score().value()).isEqualTo(1);
      assertThat(own.scores()).hasSize(1);
      assertThat(CHARACTERS.decode(seen.get().tokens())).isEqualTo("<<12+34>>4646$");
      assertThat(seen.get().messages())
          .containsExactly(
              new Message("assistant", "<<12+34>>"),
              new Message("tool", "46"),
              new Message("assistant", "46"));
      assertThat(script.asked.get(0).options().stopStrings())
          .containsExactly("x", ">>", "</tool_call>");
      assertThatThrownBy(
              () -> new Rollouts(CHARACTERS, Interaction.of("calculator", bounded, 2), 8))
          .hasMessage("rewards must not be empty");
    }
  }

  /** Messages are rendered after the tokens of a turn, which are not encoded again. */
  @Test
  void theChatTemplateRendersWhatIsBetweenTurns() throws IOException {
    Files.writeString(
        directory.resolve("chat_template.jinja"),
        "{% for m in messages %}[{{ m.role }}]{{ m.content }}$|{% endfor %}"
            + "{% if add_generation_prompt %}[assistant]{% endif %}");
    ChatTemplate template =
        ChatTemplate.load(directory)
            .orElseThrow()
            .with(new ChatTemplate.Options(Optional.of("Be brief."), Map.of()));
    Observations chat = new Observations(CHARACTERS, Optional.of(template));
    List<Message> result = List.of(new Message("tool", "46"), new Message("", "Go on."));
    Completion ended = completion("<<12+34>>$", new FinishReason.EndToken(END));
    assertThat(CHARACTERS.decode(chat.tokens(ended, result, true)))
        .isEqualTo("|[tool]46$|[user]Go on.$|[assistant]");
    // A stop string ends the turn without the token that the template has there.
    Completion stopped = completion("<<12+34>>", new FinishReason.StopString(">>"));
    assertThat(CHARACTERS.decode(chat.tokens(stopped, result, true)))
        .isEqualTo("$|[tool]46$|[user]Go on.$|[assistant]");
    assertThat(CHARACTERS.decode(chat.tokens(ended, result, false))).isEqualTo("46Go on.");
    assertThat(
            CHARACTERS.decode(
                new Observations(CHARACTERS, Optional.empty()).tokens(ended, result, true)))
        .isEqualTo("46Go on.");
    // What a template puts before the end of a turn is in its tokens, too.
    Files.writeString(
        directory.resolve("chat_template.jinja"),
        "{% for m in messages %}[{{ m.role }}]{{ m.content | trim }};${% endfor %}|");
    Observations answers = new Observations(CHARACTERS, ChatTemplate.load(directory));
    Completion whole = completion("<<12+34>>;$", new FinishReason.EndToken(END));
    assertThat(
            CHARACTERS.decode(answers.tokens(whole, List.of(new Message("user", "\nA$\n")), true)))
        .isEqualTo("[user]A$;$|");
    // A template without tools, and one that refuses them.
    for (String other :
        List.of("", "{% if m.role == 'tool' %}{{ raise_exception('no tools') }}{% endif %}")) {
      Files.writeString(
          directory.resolve("chat_template.jinja"),
          "{% for m in messages %}"
              + other
              + "{% if m.role != 'tool' %}[{{ m.role }}]{{ m.content }}${% endif %}{% endfor %}|");
      Observations plain = new Observations(CHARACTERS, ChatTemplate.load(directory));
      assertThat(CHARACTERS.decode(plain.tokens(ended, List.of(new Message("tool", "46")), true)))
          .isEqualTo("[user]46$|");
    }
    Files.writeString(
        directory.resolve("chat_template.jinja"),
        "{{ messages[0].content }}{{ messages[1].content }}");
    Observations deaf = new Observations(CHARACTERS, ChatTemplate.load(directory));
    assertThatThrownBy(() -> deaf.tokens(ended, result, true))
        .isInstanceOf(InvalidInputException.class)
        .hasMessageContaining("leaves out messages of a user");
    Files.writeString(directory.resolve("chat_template.jinja"), "{{ messages[0].content }}");
    Observations forgetful = new Observations(CHARACTERS, ChatTemplate.load(directory));
    assertThatThrownBy(() -> forgetful.tokens(ended, result, true))
        .isInstanceOf(InvalidInputException.class)
        .hasMessageContaining("leaves out the turn of an assistant");
  }

  /** Templates in the ways of many families show the result of a tool, or are refused. */
  @Test
  void templatesOfManyFamiliesShowWhatAToolAnswers() throws IOException {
    int shown = 0;
    try (Stream<Path> files = Files.list(Path.of("src/test/resources/templates"))) {
      for (Path file : files.filter(own -> own.toString().endsWith(".jinja")).sorted().toList()) {
        Files.copy(
            file, directory.resolve("chat_template.jinja"), StandardCopyOption.REPLACE_EXISTING);
        Map<String, Object> function =
            Map.of("name", "calculator", "description", "", "parameters", Map.of("type", "object"));
        ChatTemplate template =
            ChatTemplate.load(directory)
                .orElseThrow()
                .with(
                    new ChatTemplate.Options(
                        Optional.empty(),
                        Map.of(
                            "tools", List.of(Map.of("type", "function", "function", function)))));
        Completion turn = completion("<<12+34>>", new FinishReason.StopString(">>"));
        try {
          int[] tokens =
              new Observations(CHARACTERS, Optional.of(template))
                  .tokens(turn, List.of(new Message("tool", "4711")), true);
          assertThat(CHARACTERS.decode(tokens)).as(file.toString()).containsOnlyOnce("4711");
          shown++;
        } catch (InvalidInputException e) {
          assertThat(e).hasMessageContaining("chat template");
        }
      }
    }
    assertThat(shown).isGreaterThan(20);
  }

  private static Completion completion(String text, FinishReason finish) {
    int[] tokens = CHARACTERS.encode(text);
    return new Completion(tokens, new float[tokens.length], finish, 0);
  }
}
