package org.threegate.analysis.statistics;

import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * A claim with its verdict, see {@link Judge}.
 *
 * @param id identifier, as in reports
 * @param verdict the verdict for the first setting
 * @param statement the claim as a sentence
 * @param seen summary of the measured values and their null models, as text
 * @param evidence the numbers behind the verdict, for the first setting
 * @param settings the verdict for each setting, such as each rank and mask, in the order of the
 *     options
 */
public record Finding(
    String id,
    Verdict verdict,
    String statement,
    String seen,
    Evidence evidence,
    List<Setting> settings) {
  /** Copies the list. */
  public Finding {
    settings = List.copyOf(settings);
  }

  /**
   * The verdict for one setting.
   *
   * @param name rank and mask, such as {@code rank 10 %, α 0.5}
   * @param verdict verdict for this setting alone
   * @param effect effect beyond the closest null; empty if nothing could be tested
   */
  public record Setting(String name, Verdict verdict, Optional<Effect> effect) {}

  /**
   * The numbers behind a verdict.
   *
   * @param votes numbers of matrices for and against, each tested alone
   * @param means means over the tested matrices
   * @param naive pooled effect beyond the naive reference; empty if there is none
   * @param nulls pooled effect beyond each null model, the closest first
   * @param bound the smallest effect of interest, as a ratio or odds ratio
   * @param byKind effect beyond the closest null by kind of matrix, sorted by name
   * @param excluded description of excluded matrices with the reason; empty text if none
   */
  public record Evidence(
      Votes votes,
      Means means,
      Optional<PooledEffect> naive,
      List<Beyond> nulls,
      double bound,
      Map<String, Kind> byKind,
      String excluded) {
    /** Copies the list. */
    public Evidence {
      nulls = List.copyOf(nulls);
    }
  }

  /**
   * The effect beyond one null model.
   *
   * @param model name of the null model
   * @param draws smallest number of draws of a matrix; 0 for closed forms
   * @param medianT median over matrices of the signed distance from the null, in standard errors
   * @param pooled pooled effect
   */
  public record Beyond(String model, int draws, double medianT, PooledEffect pooled) {}

  /**
   * The matrices of one kind.
   *
   * @param votes numbers of matrices for and against
   * @param pooled effect beyond the closest null
   */
  public record Kind(Votes votes, PooledEffect pooled) {}

  /**
   * Numbers of matrices.
   *
   * @param matrices number of tested matrices
   * @param supporting number of matrices that are significantly beyond all nulls for the claim
   * @param contrary number of matrices that are significantly beyond all nulls against it
   */
  public record Votes(int matrices, int supporting, int contrary) {
    static final Votes NONE = new Votes(0, 0, 0);

    Votes plus(int direction) {
      return new Votes(
          matrices + 1, supporting + (direction > 0 ? 1 : 0), contrary + (direction < 0 ? 1 : 0));
    }
  }

  /**
   * Means over matrices.
   *
   * @param observed weighted mean of the measure
   * @param nullMean weighted mean of the measure under the closest null
   * @param naiveMean weighted mean of the naive value; empty if there is none
   */
  public record Means(double observed, double nullMean, Optional<Double> naiveMean) {}

  /** {@return whether the settings give different verdicts} */
  public boolean dependsOnSetting() {
    return settings.stream().anyMatch(setting -> setting.verdict() != verdict);
  }

  /** {@return the claim and a summary of its measured values, as one line} */
  public String text() {
    return statement + ": " + seen;
  }
}
