package org.threegate.rl.environment;

import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.threegate.rl.task.Message;

/**
 * The answer of an environment to a turn of the model.
 *
 * <pre>{@code
 * Reply result = Reply.of(new Message("tool", "46")).with("calls", 1);
 * Reply end = Reply.done(1).with("solved", 1);
 * }</pre>
 *
 * @param messages what the model sees next. The chat template renders them for a model that has
 *     one. For plain prompts, their contents follow the text of the model as they are
 * @param reward the reward of the turn; NaN where it has none. Rewards of the turns are summed
 * @param isDone whether the episode is over. The model then does not see the messages
 * @param metrics other values by name, which become metrics and do not count. Values of the same
 *     name are summed over the turns of an episode
 */
public record Reply(
    List<Message> messages, double reward, boolean isDone, Map<String, Double> metrics) {
  /** Copies the messages and the metrics. */
  public Reply {
    messages = List.copyOf(messages);
    metrics = Collections.unmodifiableMap(new LinkedHashMap<>(metrics));
  }

  /**
   * {@return an answer that goes on, without a reward}
   *
   * @param message what the model sees next
   */
  public static Reply of(Message message) {
    return new Reply(List.of(message), Double.NaN, false, Map.of());
  }

  /**
   * {@return the end of an episode}
   *
   * @param reward the reward of the last turn; NaN where it has none
   */
  public static Reply done(double reward) {
    return new Reply(List.of(), reward, true, Map.of());
  }

  /**
   * {@return the answer with another reward}
   *
   * @param value the reward of the turn; NaN where it has none
   */
  public Reply withReward(double value) {
    return new Reply(messages, value, isDone, metrics);
  }

  /**
   * {@return the answer with another metric}
   *
   * @param name the name of the metric
   * @param value its value in this turn
   */
  public Reply with(String name, double value) {
    Map<String, Double> more = new LinkedHashMap<>(metrics);
    more.put(name, value);
    return new Reply(messages, reward, isDone, more);
  }
}
