package org.threegate.rl.rollout;

import java.util.Arrays;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;

/**
 * The turns of a completion, and how it went in the environment.
 *
 * @param turns the turns in their order. Their tokens are those of the completion
 * @param ending how it ended
 * @param isScored whether the environment has a score, which is then the last one of the completion
 * @param metrics the metrics of the environment, summed over the turns
 */
public record Transcript(
    List<Turn> turns, Ending ending, boolean isScored, Map<String, Double> metrics) {
  /** How a completion ended. */
  public enum Ending {
    /** There was no environment. */
    ALONE,
    /** The environment was done. */
    DONE,
    /** The number of turns or of tokens was the largest that is allowed. */
    CUT,
    /** A call of the environment threw an exception, or took too long. */
    FAILED
  }

  /** Copies the parts. */
  public Transcript {
    turns = List.copyOf(turns);
    metrics = Collections.unmodifiableMap(new LinkedHashMap<>(metrics));
  }

  /**
   * {@return the transcript of a completion without an environment}
   *
   * @param tokens the number of tokens
   * @param text the text of the completion
   */
  public static Transcript alone(int tokens, String text) {
    return new Transcript(List.of(new Turn(false, tokens, text)), Ending.ALONE, false, Map.of());
  }

  /** {@return the text of all turns} */
  public String text() {
    return turns.stream().map(Turn::text).collect(Collectors.joining());
  }

  /**
   * {@return the number of tokens of one author}
   *
   * @param isEnvironment whether those of the environment are counted, or those of the policy
   */
  public int tokens(boolean isEnvironment) {
    return turns.stream()
        .filter(turn -> turn.isEnvironment() == isEnvironment)
        .mapToInt(Turn::tokens)
        .sum();
  }

  /** {@return the number of turns of the policy} */
  public int answers() {
    return (int) turns.stream().filter(turn -> !turn.isEnvironment()).count();
  }

  /** {@return a weight of each token: 1 for those of the policy, 0 for those of the environment} */
  public float[] weights() {
    float[] weights = new float[tokens(false) + tokens(true)];
    int at = 0;
    for (Turn turn : turns) {
      Arrays.fill(weights, at, at + turn.tokens(), turn.isEnvironment() ? 0 : 1);
      at += turn.tokens();
    }
    return weights;
  }
}
