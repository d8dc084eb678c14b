package example;

import org.threegate.rl.environment.Environment;
import org.threegate.rl.environment.Episode;
import org.threegate.rl.environment.Reply;
import org.threegate.rl.task.Message;
import org.threegate.rl.task.Problem;

/**
 * Asks again after a wrong answer, with more of the right one behind the question.
 * The reward is 1 for the first answer, 1/2 for the second, and so on.
 */
public final class Hints implements Environment {
  static final int MOST_TURNS = 3;

  @Override
  public Episode start(Problem problem, long seed) {
    return new Guesses(problem);
  }

  private static final class Guesses implements Episode {
    private final Problem problem;
    private String shown = "";
    private int turns;

    Guesses(Problem problem) {
      this.problem = problem;
    }

    @Override
    public Reply reply(String text) {
      String answer = problem.answer();
      turns++;
      if (answer.equals(shown + text)) {
        return Reply.done(1.0 / turns).with("right", 1);
      }
      if (turns == MOST_TURNS) {
        return Reply.done(0).with("right", 0);
      }
      // The last character is never shown.
      shown = answer.substring(0, Math.min(turns, answer.length() - 1));
      // An episode that the limits of the run end here has this reward.
      return Reply.of(new Message("user", problem.prompt() + shown)).withReward(0).with("right", 0);
    }
  }
}
