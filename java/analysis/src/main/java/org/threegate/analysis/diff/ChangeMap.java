package org.threegate.analysis.diff;

import java.util.List;
import org.threegate.kernel.Mask;

/**
 * Counts of a set of entries, such as the changed ones, on a coarse grid. Cell (r, c) counts the
 * entries (i, j) with ⌊i·rows/m⌋ = r and ⌊j·columns/n⌋ = c.
 *
 * @param rows number of rows of the grid
 * @param columns number of columns of the grid
 * @param changed counts in row-major order, length rows x columns
 */
public record ChangeMap(int rows, int columns, long[] changed) {
  /** Copies the arrays. */
  public ChangeMap {
    changed = changed.clone();
  }

  /** {@return a copy of the counts, in row-major order} */
  @Override
  public long[] changed() {
    return changed.clone();
  }

  /** Largest number of rows or columns of a map. */
  public static final int LARGEST_SIDE = 48;

  /**
   * {@return the sum of the maps of several masks}
   *
   * @param masks masks of the same shape; at least one
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

  /** Returns whether there is a non-negative count for each cell. */
  boolean isWhole() {
    return (long) rows * columns == changed.length;
  }

  /** {@return the map of the transposed matrix} */
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
