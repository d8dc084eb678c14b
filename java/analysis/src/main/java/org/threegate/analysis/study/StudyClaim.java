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
 * @param seen the numbers, each beside its null, a sentence or two
 * @param limits what a study of this scale cannot say about it
 * @param measure what the points are values of
 * @param logarithmic whether they span decades
 * @param points to be plotted
 */
public record StudyClaim(
    String id,
    String source,
    String statement,
    Verdict verdict,
    String seen,
    String limits,
    String measure,
    boolean logarithmic,
    List<Point> points) {
  public StudyClaim {
    points = List.copyOf(points);
  }

  /**
   * @param se standard error; not a number where none is known
   */
  public record Point(String label, double value, double se, List<NullEstimate> nulls) {
    public Point {
      nulls = List.copyOf(nulls);
    }
  }
}
