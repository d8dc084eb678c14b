package org.threegate.analysis.nullmodel;

import java.util.Arrays;
import org.threegate.analysis.statistics.NullEstimate;

/**
 * Measures of the random updates of one null model at one rank. Arrays have one element per draw.
 *
 * @param model null model of the updates
 * @param nss spectral drift NSS
 * @param rSpec spectral ratio r_spec
 * @param angles angles between the leading subspaces before and after
 * @param energy energy shares of the update in the leading directions
 */
public record NullDraws(
    NullModel model, double[] nss, double[] rSpec, Angles angles, EnergyShares energy) {
  /** Copies the arrays. */
  public NullDraws {
    nss = nss.clone();
    rSpec = rSpec.clone();
  }

  /** {@return a copy of the spectral drifts, one per draw} */
  @Override
  public double[] nss() {
    return nss.clone();
  }

  /** {@return a copy of the spectral ratios, one per draw} */
  @Override
  public double[] rSpec() {
    return rSpec.clone();
  }

  /**
   * Principal angles in radians.
   *
   * @param largestLeft largest left angle of each draw
   * @param largestRight largest right angle of each draw
   * @param bandLeft mean and standard deviation over draws of each left angle: 2 x k
   * @param bandRight mean and standard deviation over draws of each right angle; 2 x k
   */
  public record Angles(
      double[] largestLeft, double[] largestRight, double[][] bandLeft, double[][] bandRight) {
    /** Copies the arrays. */
    public Angles {
      largestLeft = largestLeft.clone();
      largestRight = largestRight.clone();
      bandLeft = Arrays.stream(bandLeft).map(double[]::clone).toArray(double[][]::new);
      bandRight = Arrays.stream(bandRight).map(double[]::clone).toArray(double[][]::new);
    }

    /** {@return a copy of the largest left angles, one per draw} */
    @Override
    public double[] largestLeft() {
      return largestLeft.clone();
    }

    /** {@return a copy of the largest right angles, one per draw} */
    @Override
    public double[] largestRight() {
      return largestRight.clone();
    }

    /** {@return a copy of the means and standard deviations of the left angles, 2 x k} */
    @Override
    public double[][] bandLeft() {
      return Arrays.stream(bandLeft).map(double[]::clone).toArray(double[][]::new);
    }

    /** {@return a copy of the means and standard deviations of the right angles, 2 x k} */
    @Override
    public double[][] bandRight() {
      return Arrays.stream(bandRight).map(double[]::clone).toArray(double[][]::new);
    }
  }

  /**
   * Shares of the update's energy in the leading directions.
   *
   * @param principal share in the leading directions of both sides
   * @param left share in the leading left directions
   * @param right share in the leading right directions
   */
  public record EnergyShares(double[] principal, double[] left, double[] right) {
    /** Copies the arrays. */
    public EnergyShares {
      principal = principal.clone();
      left = left.clone();
      right = right.clone();
    }

    /** {@return a copy of the shares in the leading directions of both sides, one per draw} */
    @Override
    public double[] principal() {
      return principal.clone();
    }

    /** {@return a copy of the shares in the leading left directions, one per draw} */
    @Override
    public double[] left() {
      return left.clone();
    }

    /** {@return a copy of the shares in the leading right directions, one per draw} */
    @Override
    public double[] right() {
      return right.clone();
    }
  }

  /**
   * Estimates mean and standard deviation from one of the arrays.
   *
   * @param draws one of the arrays of this record, with one element per draw
   * @return the distribution of the measure under this null model
   */
  public NullEstimate estimate(double[] draws) {
    return NullEstimate.of(model.label(), draws);
  }

  /** {@return the largest left angle of each draw, in radians} */
  public double[] angleU() {
    return angles.largestLeft();
  }

  /** {@return the largest right angle of each draw, in radians} */
  public double[] angleV() {
    return angles.largestRight();
  }

  /** {@return the share of energy in the leading directions of both sides, one per draw} */
  public double[] principalEnergy() {
    return energy.principal();
  }

  /** {@return the share of energy in the leading left directions, one per draw} */
  public double[] leftEnergy() {
    return energy.left();
  }

  /** {@return the share of energy in the leading right directions, one per draw} */
  public double[] rightEnergy() {
    return energy.right();
  }

  /** {@return the mean and standard deviation over draws of each left angle, 2 x k, in radians} */
  public double[][] bandLeft() {
    return angles.bandLeft();
  }

  /** {@return the mean and standard deviation over draws of each right angle, 2 x k, in radians} */
  public double[][] bandRight() {
    return angles.bandRight();
  }

  /** {@return the draws for the transposed matrices} */
  public NullDraws transposed() {
    return new NullDraws(
        model,
        nss,
        rSpec,
        new Angles(angles.largestRight, angles.largestLeft, angles.bandRight, angles.bandLeft),
        new EnergyShares(energy.principal, energy.right, energy.left));
  }
}
