package org.threegate.analysis.diff;

import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import org.threegate.analysis.statistics.Claim;
import org.threegate.analysis.statistics.RatioProfile;
import org.threegate.analysis.statistics.Totals;
import org.threegate.checkpoint.weight.Weight;

/**
 * The diff of one tensor. Rows are outputs, even if the file stores them as columns.
 *
 * @param name name of the tensor
 * @param layer layer number; empty for a tensor outside the layers
 * @param kind label of the tensor's role in the model
 * @param stored how both sides are stored
 * @param totals counts and sums over all entries
 * @param ulpHistogram number of changed entries by their distance in units in the last place
 * @param places positions of the changed entries
 * @param seconds seconds spent in the kernel
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
  /** Copies the arrays. */
  public TensorDiff {
    ulpHistogram = ulpHistogram.clone();
  }

  /** {@return a copy of the histogram} */
  @Override
  public long[] ulpHistogram() {
    return ulpHistogram.clone();
  }

  /**
   * How a tensor is stored.
   *
   * @param dtypeBase name of the dtype before training
   * @param dtypeTuned name of the dtype after training
   * @param shape shape; for a matrix: outputs, inputs
   * @param transposed whether the file stores inputs as rows
   */
  public record Stored(String dtypeBase, String dtypeTuned, List<Long> shape, boolean transposed) {}

  /** {@return whether one side only is quantized, so that the difference is mostly quantization} */
  public boolean isQuantizedOnOneSide() {
    return Weight.isQuantized(stored.dtypeBase()) != Weight.isQuantized(stored.dtypeTuned());
  }

  /**
   * Positions of the changed entries.
   *
   * @param rowChanged number of changed entries per row; for matrices of up to {@link
   *     DiffMeasurement#LONGEST_PROFILE} rows
   * @param columnChanged number of changed entries per column, under the same limit
   * @param heads number of changed entries per attention head
   * @param map changed entries on a coarse grid; empty for vectors
   */
  public record Places(
      Optional<long[]> rowChanged,
      Optional<long[]> columnChanged,
      List<HeadCount> heads,
      Optional<ChangeMap> map) {
    /** Copies the arrays. */
    public Places {
      rowChanged = rowChanged.map(long[]::clone);
      columnChanged = columnChanged.map(long[]::clone);
    }

    /** {@return a copy of the numbers of changed entries, one per row} */
    @Override
    public Optional<long[]> rowChanged() {
      return rowChanged.map(long[]::clone);
    }

    /** {@return a copy of the numbers of changed entries, one per column} */
    @Override
    public Optional<long[]> columnChanged() {
      return columnChanged.map(long[]::clone);
    }

    /** Empty counts, used for vectors. */
    public static final Places NONE =
        new Places(Optional.empty(), Optional.empty(), List.of(), Optional.empty());
  }

  /** {@return the kind and layer of the tensor, for tests over several tensors} */
  public Claim.Place place() {
    return Claim.Place.of(kind, name);
  }

  /** {@return the name of the dtype before training} */
  public String dtypeBase() {
    return stored.dtypeBase();
  }

  /** {@return the name of the dtype after training} */
  public String dtypeTuned() {
    return stored.dtypeTuned();
  }

  /** {@return the shape; for a matrix: outputs, inputs} */
  public List<Long> shape() {
    return stored.shape();
  }

  /** {@return whether the file stores inputs as rows} */
  public boolean transposed() {
    return stored.transposed();
  }

  /** {@return the number of changed entries of each row; empty if they were not counted} */
  public Optional<long[]> rowChanged() {
    return places.rowChanged();
  }

  /** {@return the number of changed entries of each column; empty if they were not counted} */
  public Optional<long[]> columnChanged() {
    return places.columnChanged();
  }

  /** {@return the number of changed entries of each attention head} */
  public List<HeadCount> heads() {
    return places.heads();
  }

  /** {@return the changed entries on a coarse grid; empty for vectors} */
  public Optional<ChangeMap> map() {
    return places.map();
  }

  /** {@return the ratios of changed entries per row, with their null model} */
  public Optional<RatioProfile> rowProfile() {
    return rowChanged().map(counts -> RatioProfile.of(counts, shape().get(1)));
  }

  /** {@return the ratios of changed entries per column, with their null model} */
  public Optional<RatioProfile> columnProfile() {
    return columnChanged().map(counts -> RatioProfile.of(counts, shape().get(0)));
  }
}
