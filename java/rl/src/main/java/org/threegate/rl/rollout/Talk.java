package org.threegate.rl.rollout;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.threegate.rl.environment.Reply;
import org.threegate.rl.policy.Completion;
import org.threegate.rl.policy.FinishReason;
import org.threegate.rl.policy.Tokenizer;
import org.threegate.rl.task.Message;
import org.threegate.rl.verifier.BoundedVerifier.Outcome;
import org.threegate.rl.verifier.BoundedVerifier.Score;

/** A completion that grows by turns. */
final class Talk {
  private static final FinishReason LENGTH = new FinishReason.Length();

  final int[] prompt;
  private final Tokenizer tokenizer;
  private final int longest;
  private final List<Turn> turns = new ArrayList<>();
  private final List<Message> messages = new ArrayList<>();
  private final Map<String, Double> metrics = new LinkedHashMap<>();
  private int[] tokens = new int[0];
  private float[] logProbabilities = new float[0];
  private long version = Long.MAX_VALUE;
  private FinishReason finish = LENGTH;
  private String response = "";
  private double reward = Double.NaN;
  private Transcript.Ending ending = Transcript.Ending.ALONE;

  Talk(int[] prompt, Tokenizer tokenizer, int longest) {
    this.prompt = prompt;
    this.tokenizer = tokenizer;
    this.longest = longest;
  }

  /** Returns the number of tokens that may follow. */
  int left() {
    return longest - tokens.length;
  }

  /** Returns prompt and completion so far. */
  int[] text() {
    return joined(prompt, tokens);
  }

  /** Returns the text of the last turn of the policy. */
  String response() {
    return response;
  }

  /** Adds a turn of the policy, and returns what of it is within the maximal length. */
  Completion add(Completion whole) {
    Completion turn =
        whole.tokens().length <= left()
            ? whole
            : new Completion(
                Arrays.copyOf(whole.tokens(), left()),
                Arrays.copyOf(whole.logProbabilities(), left()),
                LENGTH,
                whole.version());
    response = tokenizer.text(turn.content());
    tokens = joined(tokens, turn.tokens());
    logProbabilities = joined(logProbabilities, turn.logProbabilities());
    // Some tokens may be of older weights than others. All count as those of the oldest.
    version = Math.min(version, turn.version());
    finish = turn.finish();
    turns.add(new Turn(false, turn.tokens().length, response));
    messages.add(new Message("assistant", response));
    return turn;
  }

  /** Adds a turn of the environment, which has log-probability 0. */
  void add(int[] observation, List<Message> observed) {
    tokens = joined(tokens, observation);
    logProbabilities = Arrays.copyOf(logProbabilities, tokens.length);
    turns.add(new Turn(true, observation.length, tokenizer.text(observation)));
    messages.addAll(observed);
  }

  /** Adds the reward and the metrics of an answer. */
  void count(Reply reply) {
    if (!Double.isNaN(reply.reward())) {
      reward = Double.isNaN(reward) ? reply.reward() : reward + reply.reward();
    }
    reply.metrics().forEach((name, value) -> metrics.merge(name, value, Double::sum));
  }

  void end(Transcript.Ending how) {
    ending = how;
  }

  /** Ends the completion because nothing else fits. */
  void cut() {
    ending = Transcript.Ending.CUT;
    finish = LENGTH;
  }

  boolean isOver() {
    return ending != Transcript.Ending.ALONE;
  }

  Completion completion() {
    return new Completion(tokens, logProbabilities, finish, version);
  }

  Transcript transcript(boolean isScored) {
    return new Transcript(turns, ending, isScored, metrics);
  }

  List<Message> messages() {
    return List.copyOf(messages);
  }

  /** Returns the reward of the environment, summed over the turns. */
  Score score() {
    if (ending == Transcript.Ending.FAILED || Double.isInfinite(reward)) {
      return new Score(0, Outcome.CRASHED);
    }
    return new Score(reward, Double.isNaN(reward) ? Outcome.MISSING : Outcome.SCORED);
  }

  private static int[] joined(int[] first, int[] second) {
    int[] all = Arrays.copyOf(first, first.length + second.length);
    System.arraycopy(second, 0, all, first.length, second.length);
    return all;
  }

  private static float[] joined(float[] first, float[] second) {
    float[] all = Arrays.copyOf(first, first.length + second.length);
    System.arraycopy(second, 0, all, first.length, second.length);
    return all;
  }
}
