package example;

import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.threegate.kernel.Context;
import org.threegate.rl.environment.BoundedEnvironment;
import org.threegate.rl.policy.JsonTokenizer;
import org.threegate.rl.policy.Tokenizer;
import org.threegate.rl.rollout.Interaction;
import org.threegate.rl.rollout.Rollouts;
import org.threegate.rl.run.TrainingConfig;
import org.threegate.rl.run.TrainingConfigs;
import org.threegate.rl.run.TrainingSession;
import org.threegate.rl.task.Problem;
import org.threegate.rl.task.ProblemFile;

/** Trains a model for three steps in an environment of this program. */
public final class OwnEnvironment {
  private static final int MAX_PROMPT_LENGTH = 64; // tokens

  private OwnEnvironment() {}

  /**
   * @param arguments a model directory, and a file of problems as JSON lines
   */
  public static void main(String[] arguments) throws Exception {
    Path model = Path.of(arguments[0]);
    List<Problem> problems = ProblemFile.read(Path.of(arguments[1]));
    TrainingConfig config =
        TrainingConfigs.of(
            Map.of(
                "model_name_or_path", model.toString(),
                "max_steps", 3,
                "num_generations", 8,
                "max_completion_length", 40));
    try (Context context = Context.open();
        Tokenizer tokenizer = JsonTokenizer.load(model);
        BoundedEnvironment environment =
            new BoundedEnvironment(new Hints(), Duration.ofSeconds(1), 2);
        TrainingSession session =
            TrainingSession.builder(context, config)
                .problems(problems)
                .rollouts(
                    new Rollouts(
                        tokenizer,
                        Interaction.of("hints", environment, Hints.MOST_TURNS - 1),
                        MAX_PROMPT_LENGTH))
                .open()) {
      session
          .trainer()
          .run(
              event ->
                  System.out.printf(
                      Locale.ROOT,
                      "step %d: right %.3f, turns %.2f%n",
                      event.step(),
                      event.metrics().get("environment/right/mean"),
                      event.metrics().get("environment/turns/mean")));
    }
  }
}
