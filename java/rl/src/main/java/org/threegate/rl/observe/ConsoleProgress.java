package org.threegate.rl.observe;

import java.io.PrintStream;
import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.function.LongSupplier;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.threegate.rl.event.TrainingEvent;
import org.threegate.rl.event.TrainingObserver;
import org.threegate.run.PrintableText;

/**
 * Prints one line per step to a console, with the tokens per second since the last line and the
 * time that is left.
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
    SHOWN.put("entropy", "entropy %.3f");
    SHOWN.put("kl", "KL %.2e");
    SHOWN.put("grad_norm", "gradient %.2e");
    SHOWN.put("completions/mean_length", "length %.1f");
    SHOWN.put("completions/clipped_ratio", "truncated %.2f");
    SHOWN.put("frac_reward_zero_std", "equal groups %.2f");
    SHOWN.put("geometry/changed", "changed %.4f");
    SHOWN.put("geometry/hidden", "hidden by bf16 %.4f");
    SHOWN.put("geometry/relative_frobenius", "update %.2e of the weights");
    SHOWN.put("geometry/nss", "drift %.2e");
    SHOWN.put("geometry/nss/norm-matched", "(of a random update %.2e)");
    SHOWN.put("geometry/principal_energy", "principal energy %.4f");
    SHOWN.put("geometry/principal_energy/isotropic", "(by chance %.4f)");
  }

  private static final Pattern ENVIRONMENT = Pattern.compile("environment/(.+)/mean");
  private static final int MOST_NAMED = 8;

  private final PrintStream out;
  private final long steps;
  private final long every;
  private final LongSupplier nanos;
  private Optional<Mark> first = Optional.empty();
  private Optional<Mark> last = Optional.empty();

  /** The clock and the count of tokens at a step. */
  private record Mark(long step, long nanos, double tokens) {}

  /**
   * Creates the observer.
   *
   * @param out the stream to print to
   * @param steps the number of steps of the run
   * @param every the number of steps between two lines. Skipped steps are always printed
   */
  public ConsoleProgress(PrintStream out, long steps, long every) {
    this(out, steps, every, System::nanoTime);
  }

  /**
   * Creates the observer with another clock.
   *
   * @param nanos returns nanoseconds
   */
  ConsoleProgress(PrintStream out, long steps, long every, LongSupplier nanos) {
    this.nanos = nanos;
    this.out = out;
    this.steps = steps;
    this.every = every;
  }

  @Override
  public void on(TrainingEvent event) {
    boolean skipped = event instanceof TrainingEvent.StepSkipped;
    boolean isStep = skipped || event instanceof TrainingEvent.StepTaken;
    Mark now =
        new Mark(
            event.step(),
            nanos.getAsLong(),
            event.metrics().getOrDefault("num_tokens", Double.NaN));
    if (isStep && first.isEmpty()) {
      first = Optional.of(now);
      last = first;
    }
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
    named(event)
        .forEach(
            (name, value) -> line.append(String.format(Locale.ROOT, "  %s %.3f", name, value)));
    if (isStep) {
      line.append(pace(now));
      last = Optional.of(now);
    }
    if (line.length() > 0) {
      out.println("step " + event.step() + '/' + steps + line);
    }
  }

  /** Returns the means of some metrics of an environment, by the names that it gives them. */
  private static Map<String, Double> named(TrainingEvent event) {
    Map<String, Double> named = new LinkedHashMap<>();
    event
        .metrics()
        .forEach(
            (name, value) -> {
              Matcher own = ENVIRONMENT.matcher(name);
              if (own.matches() && named.size() < MOST_NAMED && !Double.isNaN(value)) {
                String of = PrintableText.name(own.group(1));
                named.put(of.equals("tokens") ? "environment tokens" : of, value);
              }
            });
    return named;
  }

  /** Returns the rate since the last line, and the time that is left at the mean rate so far. */
  private String pace(Mark now) {
    StringBuilder pace = new StringBuilder();
    Mark before = last.orElse(now);
    double rate = (now.tokens() - before.tokens()) / ((now.nanos() - before.nanos()) / 1e9);
    if (Double.isFinite(rate)) {
      pace.append(String.format(Locale.ROOT, "  %.0f tokens/s", rate));
    }
    Mark begin = first.orElse(now);
    if (now.step() > begin.step() && now.step() < steps) {
      double each = (now.nanos() - begin.nanos()) / 1e9 / (now.step() - begin.step());
      long left = Math.round(each * (steps - now.step()));
      pace.append(
          String.format(
              Locale.ROOT, "  %d:%02d:%02d left", left / 3600, left / 60 % 60, left % 60));
    }
    return pace.toString();
  }
}
