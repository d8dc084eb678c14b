package org.threegate.rl.rollout;

import java.util.ArrayList;
import java.util.List;
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

/**
 * Samples completions of problems and scores them.
 *
 * <pre>{@code
 * List<Rollout> rollouts =
 *     new Rollouts(tokenizer, verifier, 512)
 *         .draw(decoder, problems, 8, SamplingOptions.plain(256, decoder.config().tokens().ends()), 1);
 * double share = PassRate.of(rollouts, 8, 1).value();
 * }</pre>
 *
 * @param tokenizer the tokenizer of the model
 * @param rewards the reward functions, one or more
 * @param longestPrompt the maximal length of a prompt in tokens
 */
public record Rollouts(Tokenizer tokenizer, List<Reward> rewards, int longestPrompt) {
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
    if (rewards.isEmpty()) {
      throw new IllegalArgumentException("rewards must not be empty");
    }
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
   * @param each the number of completions per problem
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
      int each,
      SamplingOptions options,
      long seed) {
    List<int[]> prompts = new ArrayList<>();
    for (Problem problem : problems) {
      int[] prompt = encode(problem);
      for (int i = 0; i < each; i++) {
        prompts.add(prompt);
      }
    }
    SplittableRandom random = new SplittableRandom(seed);
    CompletionRequest request =
        new CompletionRequest(prompts, options, random.longs(prompts.size()).toArray(), version);
    List<Completion> completions = request.checked(engine.complete(request), engine.where());
    List<Attempt> requests = new ArrayList<>();
    for (int i = 0; i < completions.size(); i++) {
      requests.add(
          new Attempt(
              problems.get(i / each),
              tokenizer.text(completions.get(i).content()),
              completions.get(i).tokens()));
    }
    List<List<BoundedVerifier.Score>> scores =
        rewards.stream().map(reward -> reward.verifier().scoreAll(requests)).toList();
    List<Rollout> rollouts = new ArrayList<>();
    for (int i = 0; i < completions.size(); i++) {
      int at = i;
      rollouts.add(
          new Rollout(
              problems.get(i / each),
              prompts.get(i),
              completions.get(i),
              requests.get(i).response(),
              scores.stream().map(own -> own.get(at)).toList()));
    }
    return List.copyOf(rollouts);
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
