package org.threegate.analysis.calibration;

import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import org.threegate.analysis.statistics.Verdict;

/**
 * Two runs from one base, of which it is known what they share. Both sides are stored in bf16.
 *
 * @param name name in tables
 * @param description what the runs are, as a phrase
 * @param truth what is true of them
 * @param maker makes the update of a matrix in one of the runs
 */
record KnownRuns(String name, String description, Truth truth, Maker maker) implements Known {
  /** Number of runs. */
  static final int COUNT = 2;

  /** Share of the entries that both runs leave alone where they share a set. */
  static final double LEFT_ALONE = 0.2;

  private static final String CLAIM = "runs-agree";

  /** Makes the update of one matrix in one run. */
  interface Maker {
    /**
     * Returns the update.
     *
     * @param matrix the base, as it is stored
     * @param shared yields the same numbers in all runs
     * @param own yields other numbers in each run
     */
    Weights of(Principal matrix, SplittableRandom shared, SplittableRandom own);
  }

  static List<KnownRuns> all() {
    return List.of(
        nothing(
            "runs-independent",
            "two runs of independent Gaussian noise",
            (matrix, shared, own) -> KnownUpdate.noise(matrix.weights(), own)),
        profile("runs-weak-profile", "sizes that differ by 15 %", 0.15),
        profile("runs-strong-profile", "sizes that differ by a factor of 2", 0.7),
        nothing(
            "runs-norms",
            "two runs whose noise is larger in rows of small norm",
            (matrix, shared, own) -> {
              Weights base = matrix.weights();
              double[] norms = base.rowRms();
              return base.like(
                      (i, j) -> Weights.gaussian(own) / Math.max(norms[i], Double.MIN_NORMAL))
                  .scaledTo(KnownUpdate.STEP * base.rms());
            }),
        nothing(
            "runs-magnitudes",
            "two runs whose noise is larger in small weights",
            (matrix, shared, own) -> {
              Weights base = matrix.weights();
              double rms = base.rms();
              return base.like(
                      (i, j) -> Weights.gaussian(own) / (0.1 + Math.abs(base.at(i, j)) / rms))
                  .scaledTo(KnownUpdate.STEP * rms);
            }),
        new KnownRuns(
            "runs-shared-set",
            "two runs that leave the same fifth of the entries alone",
            new Truth(Map.of(CLAIM, Verdict.SUPPORTED)),
            (matrix, shared, own) -> {
              Weights noise = KnownUpdate.noise(matrix.weights(), own);
              return noise.like((i, j) -> shared.nextDouble() < LEFT_ALONE ? 0 : noise.at(i, j));
            }));
  }

  private static KnownRuns nothing(String name, String description, Maker maker) {
    return new KnownRuns(name, description, Truth.NOTHING, maker);
  }

  /** Two runs that share only how much each row and each column moves. */
  private static KnownRuns profile(String name, String sizes, double deviation) {
    return nothing(
        name,
        "two runs that share only row and column " + sizes,
        (matrix, shared, own) -> {
          Weights base = matrix.weights();
          double[] rows = lognormal(base.rows(), deviation, shared);
          double[] columns = lognormal(base.columns(), deviation, shared);
          return base.like((i, j) -> rows[i] * columns[j] * Weights.gaussian(own))
              .scaledTo(KnownUpdate.STEP * base.rms());
        });
  }

  private static double[] lognormal(int count, double deviation, SplittableRandom random) {
    double[] values = new double[count];
    for (int i = 0; i < count; i++) {
      values[i] = Math.exp(deviation * Weights.gaussian(random));
    }
    return values;
  }
}
