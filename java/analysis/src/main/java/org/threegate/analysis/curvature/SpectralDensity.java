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

  /**
   * A quadrature rule: nodes, and weights with sum 1.
   *
   * @param nodes values at which a function is evaluated
   * @param weights weight of each node
   */
  public record Rule(double[] nodes, double[] weights) {
    /** Copies the arrays. */
    public Rule {
      nodes = nodes.clone();
      weights = weights.clone();
    }

    /** {@return a copy of the nodes} */
    @Override
    public double[] nodes() {
      return nodes.clone();
    }

    /** {@return a copy of the weights, one per node} */
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

    /** {@return a copy of the means, one per point} */
    @Override
    public double[] mean() {
      return mean.clone();
    }

    /** {@return a copy of the standard errors, one per point} */
    @Override
    public double[] se() {
      return se.clone();
    }
  }

  /** Copies the list. */
  public SpectralDensity {
    rules = List.copyOf(rules);
  }

  /**
   * Adds probes. Probes are numbered continuously, so a run in parts gives the same result as a
   * single run.
   *
   * @param operator symmetric operator, the same for all probes
   * @param probes number of probes to add
   * @param steps Lanczos steps per probe
   * @param seed seed of all probes
   * @param progress receives the probes that are done
   * @return a density with the probes of this one and the new ones
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

  /**
   * {@return the distribution of a function of the eigenvalues, such as their logarithms}
   *
   * @param function function that is applied to every node
   */
  public SpectralDensity map(DoubleUnaryOperator function) {
    return new SpectralDensity(
        dimension,
        rules.stream()
            .map(
                rule ->
                    new Rule(Arrays.stream(rule.nodes()).map(function).toArray(), rule.weights()))
            .toList());
  }

  /**
   * Estimates the sum of a function over all eigenvalues.
   *
   * @param function function of an eigenvalue
   * @return the sum over all eigenvalues, with its standard error
   */
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
   * {@return the density, smoothed by a normal kernel}
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
