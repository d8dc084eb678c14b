package org.threegate.kernel;

import java.util.Objects;
import org.threegate.buffer.NativeBuffer;

/**
 * A set of entries of a matrix, with one bit for each. Bit j mod 64 of word i · ceil(columns/64) +
 * j/64 is entry (i, j), as in {@link Bf16Diff.Result#mask}. Bits beyond the columns are 0.
 */
public record Mask(long rows, long columns, long[] words) {
  /**
   * @throws IllegalArgumentException if the number of words does not fit the shape
   */
  public Mask {
    if (rows < 0 || columns < 0) {
      throw new IllegalArgumentException("no mask of " + rows + " x " + columns + " entries");
    }
    if (words.length != Math.multiplyExact(rows, wordsPerRow(columns))) {
      throw new IllegalArgumentException(
          words.length + " words for " + rows + " x " + columns + " entries");
    }
  }

  private static long wordsPerRow(long columns) {
    return columns / 64 + (columns % 64 == 0 ? 0 : 1);
  }

  /** Returns the number of words of a mask with a shape. */
  static int wordCount(long rows, long columns) {
    return Math.toIntExact(Math.multiplyExact(rows, wordsPerRow(columns)));
  }

  /** Returns the number of entries in the set. */
  public long count() {
    long count = 0;
    for (long word : words) {
      count += Long.bitCount(word);
    }
    return count;
  }

  public boolean contains(long row, long column) {
    Objects.checkIndex(row, rows);
    Objects.checkIndex(column, columns);
    return (words[(int) (row * wordsPerRow(columns) + column / 64)] >>> column & 1) != 0;
  }

  /** Returns the part in rows and columns from {@code begin} to before {@code end}. */
  public Mask slice(long rowBegin, long rowEnd, long columnBegin, long columnEnd) {
    if (rowBegin < 0
        || rowEnd > rows
        || rowBegin > rowEnd
        || columnBegin < 0
        || columnEnd > columns
        || columnBegin > columnEnd) {
      throw new IndexOutOfBoundsException(
          "rows " + rowBegin + " to " + rowEnd + ", columns " + columnBegin + " to " + columnEnd);
    }
    Mask part =
        new Mask(
            rowEnd - rowBegin,
            columnEnd - columnBegin,
            new long[wordCount(rowEnd - rowBegin, columnEnd - columnBegin)]);
    long perRow = wordsPerRow(part.columns);
    for (long row = rowBegin; row < rowEnd; row++) {
      for (long column = columnBegin; column < columnEnd; column++) {
        if (contains(row, column)) {
          long at = column - columnBegin;
          part.words[(int) ((row - rowBegin) * perRow + at / 64)] |= 1L << at;
        }
      }
    }
    return part;
  }

  /** Returns the number of entries in each row. */
  public long[] rowCounts() {
    long[] counts = new long[Math.toIntExact(rows)];
    long perRow = wordsPerRow(columns);
    for (int i = 0; i < words.length; i++) {
      counts[(int) (i / perRow)] += Long.bitCount(words[i]);
    }
    return counts;
  }

  /** Returns the number of entries in each column. */
  public long[] columnCounts() {
    long[] counts = new long[Math.toIntExact(columns)];
    long perRow = wordsPerRow(columns);
    for (int i = 0; i < words.length; i++) {
      int first = (int) (i % perRow * 64);
      for (long rest = words[i]; rest != 0; rest &= rest - 1) {
        counts[first + Long.numberOfTrailingZeros(rest)]++;
      }
    }
    return counts;
  }

  /**
   * Returns the number of entries in each cell of a map, row by row. Entry (i, j) lies in cell (i ·
   * mapRows / rows, j · mapColumns / columns), as in {@link Bf16Diff.Result#map}.
   */
  public long[] map(int mapRows, int mapColumns) {
    long[] cells = new long[Math.multiplyExact(mapRows, mapColumns)];
    long perRow = wordsPerRow(columns);
    for (int i = 0; i < words.length; i++) {
      long row = i / perRow;
      int cell = (int) (row * mapRows / rows) * mapColumns;
      long first = i % perRow * 64;
      for (long rest = words[i]; rest != 0; rest &= rest - 1) {
        long column = first + Long.numberOfTrailingZeros(rest);
        cells[cell + (int) (column * mapColumns / columns)]++;
      }
    }
    return cells;
  }

  NativeBuffer copyTo(Context context) {
    NativeBuffer buffer = context.allocate(8L * words.length);
    writeTo(buffer, 0);
    return buffer;
  }

  void writeTo(NativeBuffer buffer, long offset) {
    buffer.putLongs(offset, words);
  }

  void requireShape(Mask other) {
    if (other.rows != rows || other.columns != columns) {
      throw new IllegalArgumentException(
          other.rows + " x " + other.columns + " entries; this mask has " + rows + " x " + columns);
    }
  }

  static Mask copyOf(NativeBuffer buffer, long offset, long rows, long columns) {
    return new Mask(rows, columns, buffer.getLongs(offset, wordCount(rows, columns)));
  }
}
