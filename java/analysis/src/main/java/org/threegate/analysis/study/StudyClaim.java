package org.threegate.analysis.study;

import java.util.List;
import org.threegate.analysis.statistics.NullEstimate;
import org.threegate.analysis.statistics.Verdict;

/**
 * A claim, what was seen of it, and what may be said.
 *
 * @param id as in {@code study.json}
 * @param source where it is claimed
 * @param statement the claim, as a sentence
 * @param verdict what may be said
 * @param seen the numbers, each beside its null, a sentence or two
 * @param limits what a study of this scale cannot say about it
 * @param plot what is seen of each run
 */
public record StudyClaim(
    String id,
    String source,
    String statement,
    Verdict verdict,
    String seen,
    String limits,
    Plot plot) {
  /**
   * Values to be plotted.
   *
   * @param measure what they are values of
   * @param logarithmic whether they span decades
   * @param points one of each run
   */
  public record Plot(String measure, boolean logarithmic, List<Point> points) {
    public Plot {
      points = List.copyOf(points);
    }
  }

  /**
   * A value beside its null models.
   *
   * @param label of the run
   * @param value of the measure
   * @param se standard error; not a number where none is known
   * @param nulls what null models give
   */
  public record Point(String label, double value, double se, List<NullEstimate> nulls) {
    public Point {
      nulls = List.copyOf(nulls);
    }
  }
}
