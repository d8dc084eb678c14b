package org.threegate.analysis.statistics;

import org.apache.commons.statistics.distribution.NormalDistribution;
import org.apache.commons.statistics.distribution.TDistribution;

/**
 * An estimate whose standard error is itself estimated, so that Student's distribution applies.
 *
 * <pre>{@code
 * StudentEstimate measured = StudentEstimate.difference(new StudentEstimate(1.5, 0.2, 4), new StudentEstimate(0.9, 0.1, 19));
 * System.out.println(measured.interval(0.95) + ", p = " + measured.pValue());
 * }</pre>
 *
 * @param value the estimate
 * @param error its standard error; NaN if it is unknown
 * @param freedom degrees of freedom of the error; infinite if the error is known exactly
 */
public record StudentEstimate(double value, double error, double freedom) {
  private static final double LEVEL = 0.05;

  /** From this number on, Student's distribution is normal for this purpose. */
  private static final double MOST_COUNTED = 10_000;

  /**
   * {@return the difference of two independent estimates, with the degrees of freedom of Welch and
   * Satterthwaite}
   *
   * @param first the estimate from which the other one is subtracted
   * @param second the estimate to subtract
   */
  public static StudentEstimate difference(StudentEstimate first, StudentEstimate second) {
    double ofFirst = first.error * first.error;
    double ofSecond = second.error * second.error;
    double variance = ofFirst + ofSecond;
    double spread = ofFirst * ofFirst / first.freedom + ofSecond * ofSecond / second.freedom;
    return new StudentEstimate(
        first.value - second.value,
        Math.sqrt(variance),
        spread > 0 ? variance * variance / spread : Double.POSITIVE_INFINITY);
  }

  /**
   * {@return what a further draw of a distribution is expected to be} The error covers the scatter
   * of the draw and that of the mean: sd² (1 + 1/d) for d draws.
   *
   * @param draws independent draws, at least 2
   * @throws IllegalArgumentException if there are fewer than two draws
   */
  public static StudentEstimate ofDraws(double[] draws) {
    if (draws.length < 2) {
      throw new IllegalArgumentException(draws.length + " draws; at least 2 are required");
    }
    NullEstimate moments = NullEstimate.of("draws", draws);
    double error = moments.sd() * Math.sqrt(1 + 1.0 / draws.length);
    return new StudentEstimate(moments.mean(), error, draws.length - 1.0);
  }

  private boolean isKnown() {
    return error >= 0 && freedom > 0;
  }

  /** Returns the probability that the t-statistic exceeds a number. */
  double survival(double t) {
    return Double.isInfinite(freedom)
        ? NormalDistribution.of(0, 1).survivalProbability(t)
        : TDistribution.of(freedom).survivalProbability(t);
  }

  static double quantile(double probability, double freedom) {
    return Double.isInfinite(freedom)
        ? NormalDistribution.of(0, 1).inverseCumulativeProbability(probability)
        : TDistribution.of(freedom).inverseCumulativeProbability(probability);
  }

  /** {@return the two-sided p-value of the hypothesis that the true value is 0} */
  public double pValue() {
    return pValue(0);
  }

  /**
   * {@return the two-sided p-value of the hypothesis that the true value is this one} It is 1 if
   * the error is unknown.
   *
   * @param hypothesis the value under the hypothesis
   */
  public double pValue(double hypothesis) {
    if (!isKnown()) {
      return 1;
    }
    double distance = Math.abs(value - hypothesis);
    if (error == 0) {
      return distance == 0 ? 1 : 0;
    }
    return Math.min(1, 2 * survival(distance / error));
  }

  /**
   * {@return the confidence interval} It is unbounded if the error is unknown.
   *
   * @param probability level of the interval, such as 0.95
   */
  public ClusteredMean.Interval interval(double probability) {
    if (!isKnown()) {
      return new ClusteredMean.Interval(Double.NEGATIVE_INFINITY, Double.POSITIVE_INFINITY);
    }
    double width = error * quantile((1 + probability) / 2, freedom);
    return new ClusteredMean.Interval(value - width, value + width);
  }

  /**
   * {@return the p-value of the hypothesis that the true value lies outside of an interval} This is
   * the larger p-value of two one-sided tests (Schuirmann, Journal of Pharmacokinetics and
   * Biopharmaceutics 15(6), 1987). Below 0.05 the true value is shown to lie within.
   *
   * @param low lower end of the interval
   * @param high upper end of the interval
   * @throws IllegalArgumentException if the interval is empty
   */
  public double equivalencePValue(double low, double high) {
    if (!(low < high)) {
      throw new IllegalArgumentException("no interval from " + low + " to " + high);
    }
    if (!isKnown()) {
      return 1;
    }
    if (error == 0) {
      return low < value && value < high ? 0 : 1;
    }
    return Math.max(survival((value - low) / error), survival((high - value) / error));
  }

  /**
   * Returns how many independent units would show that the true value differs from a bound. It
   * supposes that this estimate is the true value, and that the standard error shrinks with the
   * root of the number of units. The test is two-sided at 5 % with power {@link
   * PairedComparison#POWER}.
   *
   * @param units number of units behind this estimate, at least 1
   * @param bound the value to differ from
   * @return the smallest number, at least 2; infinite if the estimate is the bound or the error is
   *     unknown
   */
  public double unitsToSettle(int units, double bound) {
    double distance = Math.abs(value - bound);
    if (!isKnown() || !(distance > 0)) {
      return Double.POSITIVE_INFINITY;
    }
    double one = error * Math.sqrt(units) / distance; // error of one unit, in distances
    double normal = quantile(1 - LEVEL / 2, Double.POSITIVE_INFINITY);
    double power = quantile(PairedComparison.POWER, Double.POSITIVE_INFINITY);
    double count = Math.max(2, Math.ceil(Math.pow((normal + power) * one, 2)));
    while (count < MOST_COUNTED && needs(count - 1) * one > Math.sqrt(count)) {
      count++;
    }
    return count;
  }

  private static double needs(double freedom) {
    return quantile(1 - LEVEL / 2, freedom) + quantile(PairedComparison.POWER, freedom);
  }
}
