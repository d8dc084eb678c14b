package org.threegate.analysis.study;

import java.util.List;
import org.threegate.analysis.statistics.NullEstimate;
import org.threegate.analysis.statistics.SmallestEffect;
import org.threegate.analysis.statistics.Verdict;

/**
 * A claim with its measured values and its verdict.
 *
 * @param id identifier, as in {@code study.json}
 * @param source section of the paper that makes the claim
 * @param statement the claim, as a sentence
 * @param verdict verdict on the claim
 * @param seen measured values and null models, in one or two sentences
 * @param limits limits of the evidence from a study of this scale
 * @param contrasts differences from controls that the verdict follows from; empty if it follows
 *     from findings on single updates
 * @param plot values of each way of training
 */
public record StudyClaim(
    String id,
    String source,
    String statement,
    Verdict verdict,
    String seen,
    String limits,
    List<Contrast> contrasts,
    Plot plot) {
  /** Copies the list. */
  public StudyClaim {
    contrasts = List.copyOf(contrasts);
  }

  StudyClaim with(Verdict judged, String summary) {
    return new StudyClaim(id, source, statement, judged, summary, limits, contrasts, plot);
  }

  /**
   * Values to plot.
   *
   * @param measure name and unit of the measure
   * @param scale scale of the effects of the measure
   * @param logarithmic whether to use a logarithmic axis
   * @param points one point per way of training
   */
  public record Plot(
      String measure, SmallestEffect.Scale scale, boolean logarithmic, List<Point> points) {
    /** Copies the list. */
    public Plot {
      points = List.copyOf(points);
    }
  }

  /**
   * A value with its null models.
   *
   * @param label title of the way of training
   * @param value value of the measure, the mean over seeds
   * @param se standard error between seeds, or of the sample for a single run; NaN if unknown
   * @param nulls distributions of the measure under null models
   */
  public record Point(String label, double value, double se, List<NullEstimate> nulls) {
    /** Copies the list. */
    public Point {
      nulls = List.copyOf(nulls);
    }
  }
}
