package org.threegate.rl.rollout;

import java.util.Optional;
import org.threegate.rl.environment.BoundedEnvironment;
import org.threegate.rl.task.ChatTemplate;

/**
 * How completions take place in an environment.
 *
 * <pre>{@code
 * Interaction tool = Interaction.of("calculator", environment, 4);
 * Rollouts rollouts = new Rollouts(tokenizer, verifier, 512).with(tool);
 * }</pre>
 *
 * @param name the name of the environment in metrics
 * @param environment answers the turns of the policy. The caller closes it
 * @param mostReplies the largest number of answers that the policy sees in a completion (TRL's
 *     {@code max_tool_calling_iterations}). It has one turn more
 * @param template renders the messages of the environment after prompts that a chat template made
 */
public record Interaction(
    String name, BoundedEnvironment environment, int mostReplies, Optional<ChatTemplate> template) {
  /**
   * Validates the number.
   *
   * @throws IllegalArgumentException when the number is negative
   */
  public Interaction {
    if (mostReplies < 0) {
      throw new IllegalArgumentException("mostReplies must be 0 or more");
    }
  }

  /**
   * {@return an interaction after plain prompts}
   *
   * @param name the name of the environment in metrics
   * @param environment answers the turns of the policy. The caller closes it
   * @param mostReplies the largest number of answers that the policy sees in a completion
   */
  public static Interaction of(String name, BoundedEnvironment environment, int mostReplies) {
    return new Interaction(name, environment, mostReplies, Optional.empty());
  }

  /**
   * {@return the same interaction after prompts that a chat template made}
   *
   * @param value the template of the model
   */
  public Interaction with(ChatTemplate value) {
    return new Interaction(name, environment, mostReplies, Optional.of(value));
  }
}
