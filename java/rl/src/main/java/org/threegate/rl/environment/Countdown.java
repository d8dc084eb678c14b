package org.threegate.rl.environment;

import org.threegate.rl.task.Message;
import org.threegate.rl.task.Problem;
import org.threegate.rl.verifier.CountdownGame;

/**
 * A countdown game with feedback. The model proposes an expression. The environment tells what is
 * wrong with it, and the model tries again. The expression that makes the target has reward 1 and
 * ends the episode; other turns have reward 0. The answers of the problems read {@code 24 from 3 5
 * 7 9}, as {@code Generators.countdown} makes them.
 *
 * <p>The feedback is a message of the role {@code user}, which begins and ends with a line end.
 *
 * <pre>{@code
 * try (Episode episode = new Countdown().start(Problem.of("", "24 from 3 5 7 9", ""), 0)) {
 *   String feedback = episode.reply("3+5+7").messages().get(0).content();
 * }
 * }</pre>
 */
public final class Countdown implements Environment {
  private static final int LONGEST_QUOTE = 100; // characters

  /** Creates the game, which has no state. */
  public Countdown() {}

  @Override
  public Episode start(Problem problem, long seed) {
    CountdownGame game = CountdownGame.of(problem.answer());
    return text -> reply(game, game.play(text));
  }

  private static Reply reply(CountdownGame game, CountdownGame.Play play) {
    if (play instanceof CountdownGame.Play.Solved) {
      return Reply.done(1).with("attempts", 1).with("solved", 1);
    }
    return Reply.of(new Message("user", "\n" + feedback(game, play) + " Try again.\n"))
        .withReward(0)
        .with("attempts", 1)
        .with("solved", 0);
  }

  private static String feedback(CountdownGame game, CountdownGame.Play play) {
    String numbers = String.join(" ", game.numbers());
    if (play instanceof CountdownGame.Play.NotGiven own) {
      return own.number() + " is used too often or is not one of " + numbers + ".";
    }
    if (play instanceof CountdownGame.Play.NoValue own) {
      return quoted(own.expression()) + " has no value.";
    }
    if (play instanceof CountdownGame.Play.Missed own) {
      return quoted(own.expression())
          + " is "
          + quoted(own.value())
          + ", not "
          + game.target()
          + ".";
    }
    return "There is no expression of " + numbers + ".";
  }

  private static String quoted(String text) {
    return text.length() <= LONGEST_QUOTE ? text : text.substring(0, LONGEST_QUOTE) + "...";
  }
}
