package example;

import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import org.threegate.kernel.Context;
import org.threegate.rl.policy.JsonTokenizer;
import org.threegate.rl.policy.Tokenizer;
import org.threegate.rl.rollout.Rollouts;
import org.threegate.rl.run.TrainingConfig;
import org.threegate.rl.run.TrainingConfigs;
import org.threegate.rl.run.TrainingSession;
import org.threegate.rl.task.Problem;
import org.threegate.rl.task.ProblemFile;
import org.threegate.rl.verifier.BoundedVerifier;
import org.threegate.rl.verifier.Verifier;

/** Trains a model for three steps with a reward that this program defines. */
public final class OwnReward {
  private static final int MAX_PROMPT_LENGTH = 64; // tokens

  private OwnReward() {}

  /** Gives 1 for the right answer and a tenth for a wrong one of the right length. */
  private static double reward(String response, String answer) {
    if (response.equals(answer)) {
      return 1;
    }
    return response.length() == answer.length() ? 0.1 : 0;
  }

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
                "max_completion_length", 10));
    Verifier verifier = OwnReward::reward;
    try (Context context = Context.open();
        Tokenizer tokenizer = JsonTokenizer.load(model);
        BoundedVerifier bounded = new BoundedVerifier(verifier, Duration.ofSeconds(1), 2);
        TrainingSession session =
            TrainingSession.builder(context, config)
                .problems(problems)
                .rollouts(new Rollouts(tokenizer, bounded, MAX_PROMPT_LENGTH))
                .open()) {
      session
          .trainer()
          .run(
              event ->
                  System.out.printf(
                      "step %d: mean reward %.3f%n",
                      event.step(), event.metrics().get("reward")));
    }
  }
}
