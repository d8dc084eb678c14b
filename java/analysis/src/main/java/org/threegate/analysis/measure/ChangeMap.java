package org.threegate.analysis.measure;

/**
 * Entries of a set, such as the changed ones, on a coarse grid: cell (r, c) holds the entries (i,
 * j) with ⌊i·rows/m⌋ = r and ⌊j·columns/n⌋ = c.
 *
 * @param changed row-major
 */
public record ChangeMap(int rows, int columns, long[] changed) {
  /** Whether it has a count for each cell. */
  boolean isWhole() {
    return (long) rows * columns == changed.length;
  }

  /** The same of the transposed matrix. */
  ChangeMap transposed() {
    long[] cells = new long[changed.length];
    for (int i = 0; i < rows; i++) {
      for (int j = 0; j < columns; j++) {
        cells[j * rows + i] = changed[i * columns + j];
      }
    }
    return new ChangeMap(columns, rows, cells);
  }
}
