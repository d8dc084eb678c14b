package org.threegate.analysis.diff;

import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import org.threegate.analysis.statistics.RatioProfile;
import org.threegate.analysis.statistics.Totals;

/**
 * What the diff found in one tensor. Rows are outputs, also where the file stores them as columns.
 *
 * @param name of the tensor
 * @param layer its number, where the tensor is in one
 * @param kind label of the part that the tensor plays in the model
 * @param stored how both sides are stored
 * @param totals counts and sums over all entries
 * @param ulpHistogram number of changed entries by their distance in units in the last place
 * @param places where the changed entries are
 * @param seconds spent in the kernel
 */
public record TensorDiff(
    String name,
    OptionalInt layer,
    String kind,
    Stored stored,
    Totals totals,
    long[] ulpHistogram,
    Places places,
    double seconds) {
  /**
   * How a tensor is stored.
   *
   * @param dtypeBase name of the dtype before training
   * @param dtypeTuned name of the dtype after training
   * @param shape as outputs, inputs for a matrix
   * @param transposed whether the file stores inputs as rows
   */
  public record Stored(String dtypeBase, String dtypeTuned, List<Long> shape, boolean transposed) {}

  /**
   * Where the changed entries are.
   *
   * @param rowChanged changed entries by row; for matrices of up to {@link
   *     DiffMeasurement#LONGEST_PROFILE} rows
   * @param columnChanged changed entries by column, likewise
   * @param heads changed entries by attention head
   * @param map changed entries on a coarse grid; for matrices
   */
  public record Places(
      Optional<long[]> rowChanged,
      Optional<long[]> columnChanged,
      List<HeadCount> heads,
      Optional<ChangeMap> map) {
    /** No places, as of a vector. */
    public static final Places NONE =
        new Places(Optional.empty(), Optional.empty(), List.of(), Optional.empty());
  }

  public String dtypeBase() {
    return stored.dtypeBase();
  }

  public String dtypeTuned() {
    return stored.dtypeTuned();
  }

  /** Returns the shape: outputs and inputs for a matrix. */
  public List<Long> shape() {
    return stored.shape();
  }

  public boolean transposed() {
    return stored.transposed();
  }

  public Optional<long[]> rowChanged() {
    return places.rowChanged();
  }

  public Optional<long[]> columnChanged() {
    return places.columnChanged();
  }

  public List<HeadCount> heads() {
    return places.heads();
  }

  public Optional<ChangeMap> map() {
    return places.map();
  }

  /** Ratios of changed entries by row, beside their null. */
  public Optional<RatioProfile> rowProfile() {
    return rowChanged().map(counts -> RatioProfile.of(counts, shape().get(1)));
  }

  /** Ratios of changed entries by column, beside their null. */
  public Optional<RatioProfile> columnProfile() {
    return columnChanged().map(counts -> RatioProfile.of(counts, shape().get(0)));
  }
}
