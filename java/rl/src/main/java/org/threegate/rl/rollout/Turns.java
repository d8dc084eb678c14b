package org.threegate.rl.rollout;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.SplittableRandom;
import org.threegate.rl.environment.BoundedEnvironment.Session;
import org.threegate.rl.environment.Reply;
import org.threegate.rl.policy.Completion;
import org.threegate.rl.policy.CompletionEngine;
import org.threegate.rl.policy.CompletionRequest;
import org.threegate.rl.policy.SamplingOptions;
import org.threegate.rl.policy.Tokenizer;
import org.threegate.rl.task.Problem;
import org.threegate.run.InvalidInputException;

/**
 * Draws completions turn by turn. Turns of all completions are drawn together. The tokens of a turn
 * are never encoded again: those of the environment are appended.
 */
final class Turns {
  private static final long ENVIRONMENT = 1L << 40; // a number of seeds that no turn has

  private final Interaction interaction;
  private final Tokenizer tokenizer;
  private final Observations observations;

  Turns(Interaction interaction, Tokenizer tokenizer) {
    this.interaction = interaction;
    this.tokenizer = tokenizer;
    this.observations = new Observations(tokenizer, interaction.template());
  }

  /** Derives a seed. The first turn has the seed of the completion itself. */
  private static long seed(long seed, long number) {
    return number == 0
        ? seed
        : new SplittableRandom(seed + 0x9e3779b97f4a7c15L * number).nextLong();
  }

  /**
   * Draws completions.
   *
   * @param engine completes prompts
   * @param request the prompts of the first turns, with the options and seeds of the completions
   * @param problems the problem of each prompt
   * @return the completions, in the order of the prompts
   */
  List<Talk> draw(CompletionEngine engine, CompletionRequest request, List<Problem> problems) {
    long[] seeds = request.seeds();
    SamplingOptions options = stopping(request.options());
    long[] ofEpisodes = new long[seeds.length];
    List<Talk> talks = new ArrayList<>();
    List<Integer> going = new ArrayList<>();
    for (int i = 0; i < seeds.length; i++) {
      ofEpisodes[i] = seed(seeds[i], ENVIRONMENT);
      talks.add(new Talk(request.prompts().get(i), tokenizer, options.longest()));
      going.add(i);
    }
    List<Session> sessions = interaction.environment().start(problems, ofEpisodes);
    try {
      for (int turn = 0; !going.isEmpty(); turn++) {
        List<Completion> said =
            said(
                engine,
                request.version(),
                options,
                at(talks, going),
                turnSeeds(seeds, going, turn));
        boolean isLast = turn == interaction.mostReplies();
        List<Optional<Reply>> replies =
            interaction
                .environment()
                .reply(at(sessions, going), at(talks, going).stream().map(Talk::response).toList());
        List<Integer> next = new ArrayList<>();
        for (int i = 0; i < going.size(); i++) {
          int place = going.get(i);
          Talk talk = talks.get(place);
          boolean isChat = problems.get(place).rendered();
          answered(talk, said.get(i), replies.get(i), isChat, isLast);
          if (!talk.isOver()) {
            next.add(place);
          }
        }
        going = next;
      }
    } finally {
      interaction.environment().end(sessions);
    }
    return talks;
  }

  private SamplingOptions stopping(SamplingOptions options) {
    List<String> stops = new ArrayList<>(options.stopStrings());
    interaction.environment().stops().stream()
        .filter(own -> !stops.contains(own))
        .forEach(stops::add);
    try {
      return options.withStopStrings(stops);
    } catch (IllegalArgumentException e) {
      throw new InvalidInputException(
          "the environment " + interaction.name() + " ends turns: " + e.getMessage(), e);
    }
  }

  private static <T> List<T> at(List<T> all, List<Integer> places) {
    return places.stream().map(all::get).toList();
  }

  private static long[] turnSeeds(long[] seeds, List<Integer> going, int turn) {
    return going.stream().mapToLong(place -> seed(seeds[place], turn)).toArray();
  }

  /** Draws a turn of each completion, and returns what of it is within the maximal length. */
  private static List<Completion> said(
      CompletionEngine engine,
      long version,
      SamplingOptions options,
      List<Talk> talks,
      long[] seeds) {
    int longest = talks.stream().mapToInt(Talk::left).max().orElseThrow();
    CompletionRequest request =
        new CompletionRequest(
            talks.stream().map(Talk::text).toList(), options.withLongest(longest), seeds, version);
    List<Completion> drawn = request.checked(engine.complete(request), engine.where());
    List<Completion> said = new ArrayList<>();
    for (int i = 0; i < drawn.size(); i++) {
      said.add(talks.get(i).add(drawn.get(i)));
    }
    return said;
  }

  /** Takes the answer to a turn, and decides whether the policy has another one. */
  private void answered(
      Talk talk, Completion turn, Optional<Reply> reply, boolean isChat, boolean isLast) {
    if (reply.isEmpty()) {
      talk.end(Transcript.Ending.FAILED);
      return;
    }
    Reply own = reply.get();
    talk.count(own);
    if (own.isDone()) {
      talk.end(Transcript.Ending.DONE);
    } else if (isLast || !turn.stopped()) {
      talk.end(Transcript.Ending.CUT);
    } else {
      int[] observation = observations.tokens(turn, own.messages(), isChat);
      if (observation.length >= talk.left()) {
        talk.cut();
      } else {
        talk.add(observation, own.messages());
      }
    }
  }
}
