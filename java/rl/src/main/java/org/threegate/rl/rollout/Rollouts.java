package org.threegate.rl.rollout;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Optional;
import java.util.SplittableRandom;
import org.threegate.rl.policy.Completion;
import org.threegate.rl.policy.CompletionEngine;
import org.threegate.rl.policy.CompletionRequest;
import org.threegate.rl.policy.Decoder;
import org.threegate.rl.policy.DecoderEngine;
import org.threegate.rl.policy.SamplingOptions;
import org.threegate.rl.policy.Tokenizer;
import org.threegate.rl.task.Problem;
import org.threegate.rl.verifier.Attempt;
import org.threegate.rl.verifier.BoundedVerifier;
import org.threegate.rl.verifier.BoundedVerifier.Score;

/**
 * Samples completions of problems and scores them. In an environment, completions have several
 * turns.
 *
 * <pre>{@code
 * List<Rollout> rollouts =
 *     new Rollouts(tokenizer, verifier, 512)
 *         .draw(decoder, problems, 8, SamplingOptions.plain(256, decoder.config().tokens().ends()), 1);
 * double share = PassRate.of(rollouts, 8, 1).value();
 * }</pre>
 *
 * @param tokenizer the tokenizer of the model
 * @param rewards the reward functions, one or more, or none in an environment that has rewards
 * @param longestPrompt the maximal length of a prompt in tokens
 * @param interaction the environment of the completions, if they are in one
 */
public record Rollouts(
    Tokenizer tokenizer,
    List<Reward> rewards,
    int longestPrompt,
    Optional<Interaction> interaction) {
  /**
   * A reward function.
   *
   * @param name its name in metrics
   * @param verifier scores the responses
   */
  public record Reward(String name, BoundedVerifier verifier) {}

  /**
   * Copies the reward functions.
   *
   * @throws IllegalArgumentException when there is none
   */
  public Rollouts {
    rewards = List.copyOf(rewards);
    if (rewards.isEmpty() && !interaction.map(own -> own.environment().isScoring()).orElse(false)) {
      throw new IllegalArgumentException("rewards must not be empty");
    }
  }

  /**
   * Creates rollouts without an environment.
   *
   * @param tokenizer the tokenizer of the model
   * @param rewards the reward functions, one or more
   * @param longestPrompt the maximal length of a prompt in tokens
   */
  public Rollouts(Tokenizer tokenizer, List<Reward> rewards, int longestPrompt) {
    this(tokenizer, rewards, longestPrompt, Optional.empty());
  }

  /**
   * Creates rollouts with the rewards of an environment only.
   *
   * @param tokenizer the tokenizer of the model
   * @param environment the environment, which has rewards
   * @param longestPrompt the maximal length of a prompt in tokens
   */
  public Rollouts(Tokenizer tokenizer, Interaction environment, int longestPrompt) {
    this(tokenizer, List.of(), longestPrompt, Optional.of(environment));
  }

  /**
   * {@return the same rollouts in an environment}
   *
   * @param environment the environment
   */
  public Rollouts with(Interaction environment) {
    return new Rollouts(tokenizer, rewards, longestPrompt, Optional.of(environment));
  }

  /** {@return the names of the scores of a completion, in their order} */
  public List<String> names() {
    List<String> names = new ArrayList<>(rewards.stream().map(Reward::name).toList());
    interaction
        .filter(own -> own.environment().isScoring())
        .ifPresent(own -> names.add(own.name()));
    return List.copyOf(names);
  }

  /**
   * Creates rollouts with a single reward function, whose name is {@code reward}.
   *
   * @param tokenizer the tokenizer of the model
   * @param verifier scores the responses
   * @param longestPrompt the maximal length of a prompt in tokens
   */
  public Rollouts(Tokenizer tokenizer, BoundedVerifier verifier, int longestPrompt) {
    this(tokenizer, List.of(new Reward("reward", verifier)), longestPrompt);
  }

  /**
   * Samples completions from a model in this process and scores them.
   *
   * @param model the model to sample from
   * @param problems the problems
   * @param each the number of completions per problem
   * @param options how completions are sampled
   * @param seed the seed of all randomness
   * @return the completions; those of a problem are adjacent
   * @throws IllegalArgumentException when a prompt is empty or too long
   */
  public List<Rollout> draw(
      Decoder model, List<Problem> problems, int each, SamplingOptions options, long seed) {
    return draw(new DecoderEngine(model, tokenizer), 0, problems, each, options, seed);
  }

  /**
   * Asks an engine for completions and scores them. Responses have no special tokens, as in TRL.
   *
   * @param engine completes the prompts
   * @param version the version of the weights that should answer
   * @param problems the problems
   * @param count the number of completions per problem
   * @param options how completions are sampled
   * @param seed the seed of all randomness
   * @return the completions; those of a problem are adjacent
   * @throws IllegalArgumentException when a prompt is empty or too long
   * @throws org.threegate.run.InvalidInputException when the engine's answer is not one of the
   *     request
   */
  public List<Rollout> draw(
      CompletionEngine engine,
      long version,
      List<Problem> problems,
      int count,
      SamplingOptions options,
      long seed) {
    List<int[]> prompts = new ArrayList<>();
    for (Problem problem : problems) {
      int[] prompt = encode(problem);
      for (int i = 0; i < count; i++) {
        prompts.add(prompt);
      }
    }
    SplittableRandom random = new SplittableRandom(seed);
    CompletionRequest request =
        new CompletionRequest(prompts, options, random.longs(prompts.size()).toArray(), version);
    List<Problem> each = new ArrayList<>();
    problems.forEach(problem -> each.addAll(Collections.nCopies(count, problem)));
    return interaction.isPresent()
        ? inEnvironment(interaction.get(), engine, request, each)
        : alone(engine, request, each);
  }

  private List<Rollout> alone(
      CompletionEngine engine, CompletionRequest request, List<Problem> problems) {
    List<Completion> completions = request.checked(engine.complete(request), engine.where());
    List<Attempt> attempts = new ArrayList<>();
    for (int i = 0; i < completions.size(); i++) {
      attempts.add(
          new Attempt(
              problems.get(i),
              tokenizer.text(completions.get(i).content()),
              completions.get(i).tokens()));
    }
    List<List<Score>> scores = scores(attempts);
    List<Rollout> rollouts = new ArrayList<>();
    for (int i = 0; i < completions.size(); i++) {
      rollouts.add(
          new Rollout(
              problems.get(i),
              request.prompts().get(i),
              completions.get(i),
              attempts.get(i).response(),
              scores.get(i)));
    }
    return List.copyOf(rollouts);
  }

  private List<Rollout> inEnvironment(
      Interaction own, CompletionEngine engine, CompletionRequest request, List<Problem> problems) {
    List<Talk> talks = new Turns(own, tokenizer).draw(engine, request, problems);
    List<Attempt> attempts = new ArrayList<>();
    for (int i = 0; i < talks.size(); i++) {
      Talk talk = talks.get(i);
      attempts.add(
          new Attempt(
              problems.get(i), talk.response(), talk.completion().tokens(), talk.messages()));
    }
    List<List<Score>> scores = scores(attempts);
    boolean isScored = own.environment().isScoring();
    List<Rollout> rollouts = new ArrayList<>();
    for (int i = 0; i < talks.size(); i++) {
      Talk talk = talks.get(i);
      List<Score> all = new ArrayList<>(scores.get(i));
      if (isScored) {
        all.add(talk.score());
      }
      rollouts.add(
          new Rollout(
              problems.get(i),
              talk.prompt,
              talk.completion(),
              talk.response(),
              all,
              talk.transcript(isScored)));
    }
    return List.copyOf(rollouts);
  }

  /** Returns the scores of each attempt, in the order of the reward functions. */
  private List<List<Score>> scores(List<Attempt> attempts) {
    List<List<Score>> functions =
        rewards.stream().map(reward -> reward.verifier().scoreAll(attempts)).toList();
    List<List<Score>> scores = new ArrayList<>();
    for (int i = 0; i < attempts.size(); i++) {
      int at = i;
      scores.add(functions.stream().map(own -> own.get(at)).toList());
    }
    return scores;
  }

  /**
   * {@return whether the prompt of a problem has at least one token and is not too long}
   *
   * @param problem a problem with a plain prompt
   */
  public boolean fits(Problem problem) {
    int tokens = tokens(problem).length;
    return tokens > 0 && tokens <= longestPrompt;
  }

  private int[] encode(Problem problem) {
    int[] prompt = tokens(problem);
    if (prompt.length == 0 || prompt.length > longestPrompt) {
      throw new IllegalArgumentException(
          "a prompt of "
              + prompt.length
              + " tokens; 1 to "
              + longestPrompt
              + " are allowed: \""
              + problem.prompt().substring(0, Math.min(60, problem.prompt().length()))
              + '"');
    }
    return prompt;
  }

  private int[] tokens(Problem problem) {
    int[] tokens = tokenizer.encode(problem.prompt());
    return problem.rendered() ? tokens : tokenizer.surrounding().around(tokens);
  }
}
