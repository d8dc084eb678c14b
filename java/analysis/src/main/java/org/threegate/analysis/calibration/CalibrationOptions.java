package org.threegate.analysis.calibration;

import org.threegate.analysis.geometry.GeometryOptions;
import org.threegate.analysis.statistics.SmallestEffect;

/**
 * Options of a calibration.
 *
 * @param layers largest number of layers, at least 1
 * @param side largest number of rows and columns of a matrix; larger ones are cropped. At least 16
 * @param seeds number of updates of each kind
 * @param geometry what to measure; its seed is the seed of the calibration
 * @param smallest smallest effects of interest
 */
public record CalibrationOptions(
    int layers, int side, int seeds, GeometryOptions geometry, SmallestEffect smallest) {
  /** Smallest side of a matrix that is calibrated. */
  static final int LEAST_SIDE = 16;

  /** Default options: up to three layers, 256 rows and columns, one update of each kind. */
  public static final CalibrationOptions DEFAULT =
      new CalibrationOptions(3, 256, 1, GeometryOptions.DEFAULT, SmallestEffect.DEFAULT);

  /**
   * Options that take longer: up to six layers, 512 rows and columns, three updates of each kind.
   */
  public static final CalibrationOptions FULL =
      new CalibrationOptions(6, 512, 3, GeometryOptions.DEFAULT, SmallestEffect.DEFAULT);

  /**
   * Validates the options.
   *
   * @throws IllegalArgumentException if one of them is out of its range
   */
  public CalibrationOptions {
    if (layers < 1 || seeds < 1 || side < LEAST_SIDE) {
      throw new IllegalArgumentException(
          "layers and seeds must be at least 1, and the side at least " + LEAST_SIDE);
    }
  }
}
