package org.threegate.bench;

import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.lang.management.ThreadMXBean;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import org.threegate.rl.verifier.MathematicalAnswers;

/**
 * Measures how many answers per second the mathematical verifier compares in one thread, on the
 * pairs of a table. Prints the rate, by the processor time of the thread, and quantiles of the time
 * per pair.
 */
public final class VerifierBench {
  private static final int WARM_UP = 5; // rounds
  private static final int ROUNDS = 10;

  private VerifierBench() {}

  /**
   * Runs the program.
   *
   * @param arguments a table of verdicts and pairs, such as {@code conformance.tsv}
   * @throws IOException when the table cannot be read
   */
  public static void main(String[] arguments) throws IOException {
    List<String[]> pairs =
        Files.readAllLines(Path.of(arguments[0])).stream()
            .filter(line -> !line.isBlank() && !line.startsWith("#"))
            .map(line -> line.split("\t"))
            .toList();
    long[] times = new long[pairs.size() * ROUNDS];
    int measured = 0;
    int equal = 0;
    ThreadMXBean threads = ManagementFactory.getThreadMXBean();
    for (int round = -WARM_UP; round < ROUNDS; round++) {
      for (String[] pair : pairs) {
        long begin = threads.getCurrentThreadCpuTime();
        MathematicalAnswers.Verdict verdict = MathematicalAnswers.compare(pair[1], pair[2]);
        long time = threads.getCurrentThreadCpuTime() - begin;
        equal += verdict == MathematicalAnswers.Verdict.EQUAL ? 1 : 0;
        if (round >= 0) {
          times[measured++] = time;
        }
      }
    }
    double seconds = Arrays.stream(times).sum() * 1e-9;
    Arrays.sort(times);
    System.out.printf(
        Locale.ROOT,
        "%d pairs, %d equal%n%.0f pairs per second; median %.0f us, 99 %% %.1f ms, slowest %.0f ms%n",
        pairs.size(),
        equal / (WARM_UP + ROUNDS),
        times.length / seconds,
        times[times.length / 2] * 1e-3,
        times[times.length * 99 / 100] * 1e-6,
        times[times.length - 1] * 1e-6);
  }
}
