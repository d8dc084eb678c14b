package org.threegate.analysis.measure;

/**
 * Changed entries on a coarse grid: cell (r, c) holds the entries (i, j) with ⌊i·rows/m⌋ = r and
 * ⌊j·columns/n⌋ = c.
 *
 * @param changed row-major
 */
public record ChangeMap(int rows, int columns, long[] changed) {}
