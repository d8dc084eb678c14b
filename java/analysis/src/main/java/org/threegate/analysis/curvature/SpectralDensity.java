package org.threegate.analysis.curvature;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.function.DoubleUnaryOperator;
import org.threegate.run.Progress;

/**
 * The distribution of the eigenvalues of an operator, by stochastic Lanczos quadrature (Ubaru, Chen
 * and Saad, SIAM J. Matrix Anal. Appl. 38(4), 2017). Each probe gives one quadrature rule. Errors
 * are estimated from the spread over probes.
 *
 * <pre>{@code
 * CurvatureOperator matrix = new ExplicitOperator(new double[] {2, 1, 1, 3}, 2);
 * SpectralDensity density = SpectralDensity.EMPTY.extend(matrix, 4, 2, 1, Progress.NONE);
 * Estimate trace = density.sum(value -> value);
 * SpectralDensity.Curve curve = density.curve(new double[] {1, 2, 3, 4}, 0.2);
 * }</pre>
 *
 * @param dimension dimension of the operator; 0 before the first probe
 * @param rules one quadrature rule per probe
 */
public record SpectralDensity(int dimension, List<Rule> rules) {
  /** A density without probes. */
  public static final SpectralDensity EMPTY = new SpectralDensity(0, List.of());

  /** A quadrature rule: nodes, and weights with sum 1. */
  public record Rule(double[] nodes, double[] weights) {
    /** Copies the arrays. */
    public Rule {
      nodes = nodes.clone();
      weights = weights.clone();
    }

    @Override
    public double[] nodes() {
      return nodes.clone();
    }

    @Override
    public double[] weights() {
      return weights.clone();
    }
  }

  /**
   * The density: share of eigenvalues per unit of value.
   *
   * @param mean mean over probes at each point
   * @param se standard error of the mean at each point
   */
  public record Curve(double[] mean, double[] se) {
    /** Copies the arrays. */
    public Curve {
      mean = mean.clone();
      se = se.clone();
    }

    @Override
    public double[] mean() {
      return mean.clone();
    }

    @Override
    public double[] se() {
      return se.clone();
    }
  }

  public SpectralDensity {
    rules = List.copyOf(rules);
  }

  /**
   * Adds probes. Probes are numbered continuously, so a run in parts gives the same result as a
   * single run.
   *
   * @param probes number of probes to add
   * @param steps Lanczos steps per probe
   */
  public SpectralDensity extend(
      CurvatureOperator operator, int probes, int steps, long seed, Progress progress) {
    List<Rule> all = new ArrayList<>(rules);
    for (int i = 0; i < probes; i++) {
      progress.at("", i, probes);
      double[] start = Vectors.signs(operator.dimension(), seed, all.size());
      Lanczos lanczos = Lanczos.start(operator, start);
      lanczos.extend(steps, Progress.NONE);
      Lanczos.Result found = lanczos.result(0);
      all.add(new Rule(found.values(), found.weights()));
    }
    return new SpectralDensity(operator.dimension(), all);
  }

  /** Returns the distribution of a function of the eigenvalues, such as their logarithms. */
  public SpectralDensity map(DoubleUnaryOperator function) {
    return new SpectralDensity(
        dimension,
        rules.stream()
            .map(
                rule ->
                    new Rule(Arrays.stream(rule.nodes()).map(function).toArray(), rule.weights()))
            .toList());
  }

  /** Estimates the sum of a function over all eigenvalues. */
  public Estimate sum(DoubleUnaryOperator function) {
    double[] samples = new double[rules.size()];
    for (int i = 0; i < samples.length; i++) {
      samples[i] = dimension * integral(rules.get(i), function);
    }
    return Estimate.of(samples);
  }

  private static double integral(Rule rule, DoubleUnaryOperator function) {
    double sum = 0;
    for (int i = 0; i < rule.nodes.length; i++) {
      sum += rule.weights[i] * function.applyAsDouble(rule.nodes[i]);
    }
    return sum;
  }

  /**
   * Returns the density, smoothed by a normal kernel.
   *
   * @param places points at which to evaluate it
   * @param width standard deviation of the kernel
   */
  public Curve curve(double[] places, double width) {
    double[] mean = new double[places.length];
    double[] errors = new double[places.length];
    for (int i = 0; i < places.length; i++) {
      double place = places[i];
      DoubleUnaryOperator bump =
          value -> {
            double distance = (value - place) / width;
            return Math.exp(-distance * distance / 2) / (width * Math.sqrt(2 * Math.PI));
          };
      Estimate share =
          Estimate.of(rules.stream().mapToDouble(rule -> integral(rule, bump)).toArray());
      mean[i] = share.value();
      errors[i] = share.se();
    }
    return new Curve(mean, errors);
  }
}
