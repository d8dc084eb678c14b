package org.threegate.rl.observe;

import java.io.PrintStream;
import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;
import org.threegate.rl.event.TrainingEvent;
import org.threegate.rl.event.TrainingObserver;
import org.threegate.run.PrintableText;

/**
 * Prints one line per step to a console.
 *
 * <pre>{@code
 * trainer.run(new ConsoleProgress(System.err, 100, 10));
 * }</pre>
 */
public final class ConsoleProgress implements TrainingObserver {
  private static final Map<String, String> SHOWN = new LinkedHashMap<>();

  static {
    SHOWN.put("reward", "reward %.3f");
    SHOWN.put("loss", "loss %.4f");
    SHOWN.put("kl", "KL %.2e");
    SHOWN.put("grad_norm", "gradient %.2e");
    SHOWN.put("completions/mean_length", "length %.1f");
    SHOWN.put("frac_reward_zero_std", "equal groups %.2f");
    SHOWN.put("geometry/changed", "changed %.4f");
    SHOWN.put("geometry/hidden", "hidden by bf16 %.4f");
    SHOWN.put("geometry/relative_frobenius", "update %.2e of the weights");
    SHOWN.put("geometry/nss", "drift %.2e");
    SHOWN.put("geometry/nss/norm-matched", "(of a random update %.2e)");
    SHOWN.put("geometry/principal_energy", "principal energy %.4f");
    SHOWN.put("geometry/principal_energy/isotropic", "(by chance %.4f)");
  }

  private final PrintStream out;
  private final long steps;
  private final long every;

  /**
   * Creates the observer.
   *
   * @param out the stream to print to
   * @param steps the number of steps of the run
   * @param every the number of steps between two lines. Skipped steps are always printed
   */
  public ConsoleProgress(PrintStream out, long steps, long every) {
    this.out = out;
    this.steps = steps;
    this.every = every;
  }

  @Override
  public void on(TrainingEvent event) {
    boolean skipped = event instanceof TrainingEvent.StepSkipped;
    if (!skipped && event.step() % every != 0 && event.step() != steps) {
      return;
    }
    StringBuilder line = new StringBuilder();
    if (event instanceof TrainingEvent.StepSkipped step) {
      line.append("  skipped: ").append(PrintableText.name(step.reason()));
    }
    SHOWN.forEach(
        (name, format) -> {
          Double value = event.metrics().get(name);
          if (value != null) {
            line.append("  ").append(String.format(Locale.ROOT, format, value));
          }
        });
    if (line.length() > 0) {
      out.println("step " + event.step() + '/' + steps + line);
    }
  }
}
