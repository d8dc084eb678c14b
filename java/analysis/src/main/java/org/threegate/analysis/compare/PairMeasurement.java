package org.threegate.analysis.compare;

import java.util.Collection;
import java.util.List;
import java.util.Optional;
import org.threegate.analysis.geometry.GeometryMeasurement;
import org.threegate.analysis.geometry.GeometryOptions;
import org.threegate.analysis.geometry.TensorGeometry;
import org.threegate.analysis.pairing.TensorPair;
import org.threegate.analysis.pairing.WeightPair;
import org.threegate.kernel.Context;
import org.threegate.kernel.Control;
import org.threegate.run.MemoryBudget;

/**
 * Measures the geometry of one pair of tensors, and estimates the work of measuring it.
 *
 * <pre>{@code
 * try (Checkpoint before = Checkpoint.open(context, base);
 *     Checkpoint after = Checkpoint.open(context, tuned)) {
 *   for (WeightPair shared : Pairing.of(before, after, name -> true).pairs()) {
 *     try (TensorPair pair = shared.open(context)) {
 *       PairMeasurement.geometry(context, pair, GeometryOptions.DEFAULT, control)
 *           .ifPresent(geometry -> System.out.println(geometry.spectra().size() + " ranks"));
 *     }
 *   }
 * }
 * }</pre>
 */
public final class PairMeasurement {
  // Bytes for each entry of the square of the short side, of the triplets and of the matrix.
  private static final double SQUARES = 72;
  private static final double TRIPLETS = 64;
  private static final double COPIES = 10;

  // The Krylov space of a matrix without a square: its vectors beyond twice the triplets, bytes for
  // each entry of them, bytes of its blocks for each entry of a side, and bytes of its tiles.
  private static final double ROOM = 2112;
  private static final double SPACE = 8;
  private static final double BLOCKS = 3072;
  private static final double TILES = 1.5e8;

  /** Decompositions of a matrix without a square: three, and four draws of three null models. */
  private static final double DECOMPOSITIONS = 15;

  private PairMeasurement() {}

  /**
   * Measures the geometry of the update of a pair.
   *
   * @param context context that runs the kernels
   * @param pair pair to measure
   * @param options geometry to measure
   * @param control cancels the measurement
   * @return the geometry; empty for tensors without geometry, such as vectors
   */
  public static Optional<TensorGeometry> geometry(
      Context context, TensorPair pair, GeometryOptions options, Control control) {
    if (pair.dimensions() < 2) {
      return Optional.empty();
    }
    return Optional.of(GeometryMeasurement.of(context, pair, options, control));
  }

  /**
   * Estimates the cost of measuring a pair. Floating-point operations and bytes count equally.
   *
   * @param pair pair to measure
   * @param geometry whether its geometry is measured
   * @return the cost, as a number of operations
   */
  public static long cost(WeightPair pair, boolean geometry) {
    double shorter = Math.min(pair.rows(), pair.columns());
    double longer = Math.max(pair.rows(), pair.columns());
    if (!geometry || pair.dimensions() < 2 || shorter == 0) {
      return pair.bytes();
    }
    if (shorter > GeometryMeasurement.LONGEST_WHOLE_SIDE) {
      // Each vector of a space is multiplied with the matrix and its transpose.
      return pair.bytes() + (long) (DECOMPOSITIONS * 4 * ROOM * shorter * longer);
    }
    // Three decompositions; null models cost about as much again.
    return pair.bytes() + (long) (6 * shorter * shorter * (longer + 4 * shorter));
  }

  /**
   * {@return the work and the memory of measuring the geometry of pairs}
   *
   * @param pairs pairs to measure; those without geometry are left out
   * @param options geometry to measure
   */
  public static List<MemoryBudget.Item> items(
      Collection<WeightPair> pairs, GeometryOptions options) {
    return pairs.stream()
        .filter(pair -> memory(pair, options) > 0)
        .map(pair -> new MemoryBudget.Item(pair.name(), cost(pair, true), memory(pair, options)))
        .toList();
  }

  /**
   * Estimates the native memory for measuring the geometry of a pair, without the pair itself.
   *
   * @param pair pair to measure
   * @param options geometry to measure
   * @return number of bytes; 0 for pairs whose geometry is not measured
   */
  public static long memory(WeightPair pair, GeometryOptions options) {
    return pair.dimensions() < 2 ? 0 : memory(pair.rows(), pair.columns(), options);
  }

  /** Estimates the native memory for the geometry of a matrix. */
  static long memory(long rows, long columns, GeometryOptions options) {
    long shorter = Math.min(rows, columns);
    long longer = Math.max(rows, columns);
    if (shorter == 0 || !GeometryMeasurement.decomposes(shorter, options)) {
      return 0;
    }
    double triplets = GeometryMeasurement.triplets(shorter, options);
    double space = 2 * triplets + ROOM;
    // The Gram matrix and what its eigenproblem needs, or a space and its projected problem.
    double solver =
        shorter > GeometryMeasurement.LONGEST_WHOLE_SIDE
            ? SPACE * space * (shorter + 3 * space) + BLOCKS * (shorter + longer) + TILES
            : SQUARES * shorter * shorter;
    // Triplets of three matrices and their workspace, and copies of the update.
    return (long) (solver + TRIPLETS * triplets * (shorter + longer) + COPIES * shorter * longer);
  }
}
