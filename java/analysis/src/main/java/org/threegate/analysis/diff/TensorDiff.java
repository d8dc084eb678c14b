package org.threegate.analysis.diff;

import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import org.threegate.analysis.statistics.RatioProfile;
import org.threegate.analysis.statistics.Totals;

/**
 * What the diff found in one tensor. Rows are outputs, also where the file stores them as columns.
 *
 * @param shape as outputs, inputs for a matrix
 * @param transposed whether the file stores inputs as rows
 * @param rowChanged changed entries by row; for matrices of up to {@link
 *     DiffMeasurement#LONGEST_PROFILE} rows
 * @param columnChanged changed entries by column, likewise
 * @param seconds spent in the kernel
 */
public record TensorDiff(
    String name,
    OptionalInt layer,
    String kind,
    String dtypeBase,
    String dtypeTuned,
    List<Long> shape,
    boolean transposed,
    Totals totals,
    long[] ulpHistogram,
    Optional<long[]> rowChanged,
    Optional<long[]> columnChanged,
    List<HeadCount> heads,
    Optional<ChangeMap> map,
    double seconds) {
  /** Ratios of changed entries by row, beside their null. */
  public Optional<RatioProfile> rowProfile() {
    return rowChanged.map(counts -> RatioProfile.of(counts, shape.get(1)));
  }

  /** Ratios of changed entries by column, beside their null. */
  public Optional<RatioProfile> columnProfile() {
    return columnChanged.map(counts -> RatioProfile.of(counts, shape.get(0)));
  }
}
