package org.threegate.report;

import java.util.List;
import org.threegate.analysis.diff.ChangeMap;

/**
 * The share of changed entries in each cell of a grid over a matrix.
 *
 * @param cells one byte for each cell, row by row; 255 means that all entries changed
 */
record MapJson(int rows, int columns, byte[] cells) {
  private static final double SCALE = 255;

  /**
   * Scales counts to shares.
   *
   * @param shape rows and columns of the matrix
   * @param sets number of sets of changes that the counts are summed over
   */
  static MapJson of(ChangeMap map, List<Long> shape, int sets) {
    long[] changed = map.changed();
    byte[] cells = new byte[changed.length];
    long[] heights = extents(map.rows(), shape.get(0));
    long[] widths = extents(map.columns(), shape.get(1));
    for (int i = 0; i < cells.length; i++) {
      long height = heights[i / map.columns()];
      long width = widths[i % map.columns()];
      cells[i] = (byte) Math.round(SCALE * changed[i] / ((double) height * width * sets));
    }
    return new MapJson(map.rows(), map.columns(), cells);
  }

  /** Returns how many of {@code count} indices fall into each cell. */
  private static long[] extents(int cells, long count) {
    long[] extents = new long[cells];
    for (int cell = 0; cell < cells; cell++) {
      extents[cell] = first(cell + 1, cells, count) - first(cell, cells, count);
    }
    return extents;
  }

  private static long first(long cell, long cells, long count) {
    return Math.addExact(Math.multiplyExact(cell, count), cells - 1) / cells;
  }
}
