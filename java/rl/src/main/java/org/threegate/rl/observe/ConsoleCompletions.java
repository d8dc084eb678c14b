package org.threegate.rl.observe;

import java.io.PrintStream;
import java.util.Locale;
import org.threegate.rl.event.SampledCompletion;
import org.threegate.rl.event.TrainingEvent;
import org.threegate.rl.event.TrainingObserver;
import org.threegate.run.PrintableText;

/**
 * Prints some completions of a step to a console, with their rewards. The turns of an environment
 * are named. Texts end after 1,000 characters, and have visible escapes instead of control
 * characters.
 *
 * <pre>{@code
 * trainer.run(new ConsoleCompletions(System.err, 4, 10));
 * }</pre>
 */
public final class ConsoleCompletions implements TrainingObserver {
  private static final int LONGEST_TEXT = 1000;

  private final PrintStream out;
  private final int count;
  private final long every;

  /**
   * Creates the observer.
   *
   * @param out the stream to print to
   * @param count the number of completions of a step, which are spread evenly over its prompts
   * @param every the number of steps between two that are printed, 1 or more
   */
  public ConsoleCompletions(PrintStream out, int count, long every) {
    this.out = out;
    this.count = count;
    this.every = every;
  }

  @Override
  public void on(TrainingEvent event) {
    if (event.step() % every != 0) {
      return;
    }
    for (SampledCompletion own : SampledText.spread(event.details().completions(), count)) {
      StringBuilder head = new StringBuilder("step " + event.step() + "  completion of ");
      head.append(own.tokens()).append(own.isTruncated() ? " tokens, truncated" : " tokens");
      head.append(
          String.format(
              Locale.ROOT, "  reward %.3f  advantage %.3f", own.reward(), own.advantage()));
      own.rewards()
          .forEach(
              (name, value) ->
                  head.append(
                      String.format(Locale.ROOT, "  %s %.3f", PrintableText.name(name), value)));
      out.println(head);
      print("prompt", own.prompt());
      if (own.parts().size() == 1) {
        print("completion", own.completion());
      } else {
        SampledText.parts(own, LONGEST_TEXT)
            .forEach(
                part -> print(part.isEnvironment() ? "environment" : "completion", part.text()));
      }
    }
  }

  private void print(String what, String text) {
    out.println("  " + what + ":");
    SampledText.printable(text, LONGEST_TEXT + SampledText.CUT.length())
        .lines()
        .forEach(line -> out.println("    " + line));
  }
}
