package org.threegate.analysis.diff;

import java.util.List;
import org.threegate.kernel.Mask;

/**
 * Entries of a set, such as the changed ones, on a coarse grid: cell (r, c) holds the entries (i,
 * j) with ⌊i·rows/m⌋ = r and ⌊j·columns/n⌋ = c.
 *
 * @param changed row-major
 */
public record ChangeMap(int rows, int columns, long[] changed) {
  /** The largest number of rows, and of columns, of a map. */
  public static final int LARGEST_SIDE = 48;

  /**
   * Returns the sum of the maps of several masks.
   *
   * @param masks at least one, all of the same shape
   */
  public static ChangeMap of(List<Mask> masks) {
    int rows = (int) Math.min(masks.get(0).rows(), LARGEST_SIDE);
    int columns = (int) Math.min(masks.get(0).columns(), LARGEST_SIDE);
    long[] cells = new long[rows * columns];
    for (Mask mask : masks) {
      long[] own = mask.map(rows, columns);
      for (int i = 0; i < cells.length; i++) {
        cells[i] += own[i];
      }
    }
    return new ChangeMap(rows, columns, cells);
  }

  /** Whether it has a count for each cell. */
  boolean isWhole() {
    return (long) rows * columns == changed.length;
  }

  /** The same of the transposed matrix. */
  public ChangeMap transposed() {
    long[] cells = new long[changed.length];
    for (int i = 0; i < rows; i++) {
      for (int j = 0; j < columns; j++) {
        cells[j * rows + i] = changed[i * columns + j];
      }
    }
    return new ChangeMap(columns, rows, cells);
  }
}
