package org.threegate.kernel;

import java.util.Arrays;
import java.util.Objects;
import org.threegate.buffer.NativeBuffer;

/**
 * A set of entries of a matrix, with one bit for each. Bit j mod 64 of word i · ceil(columns/64) +
 * j/64 is entry (i, j). Bits beyond the columns are 0. A mask cannot be changed.
 *
 * <p>Masks are equal if they have the same shape and the same entries.
 *
 * <pre>{@code
 * Mask mask = new Mask(2, 3, new long[] {0b101, 0b000});
 * System.out.println(mask.contains(0, 2) + ", " + mask.count() + " entries");
 * }</pre>
 */
public final class Mask {
  private final long rows;
  private final long columns;
  private final long[] words;

  /** A mask that owns its words. */
  private record Words(long[] own) {}

  /**
   * Creates a mask.
   *
   * @param rows number of rows
   * @param columns number of columns
   * @param words the bits, rows x ceil(columns/64) words, which are copied
   * @throws IllegalArgumentException if the number of words does not fit the shape, or a bit beyond
   *     the columns is set
   */
  public Mask(long rows, long columns, long[] words) {
    this(rows, columns, new Words(words.clone()));
  }

  private Mask(long rows, long columns, Words words) {
    this.rows = rows;
    this.columns = columns;
    this.words = words.own();
    if (wordCount(rows, columns) != this.words.length) {
      throw new IllegalArgumentException(
          this.words.length + " words for " + rows + " x " + columns + " entries");
    }
    requireNothingBeyond();
  }

  private void requireNothingBeyond() {
    int rest = (int) (columns % 64);
    if (rest == 0) {
      return;
    }
    int perRow = (int) wordsPerRow(columns);
    for (int last = perRow - 1; last < words.length; last += perRow) {
      if (words[last] >>> rest != 0) {
        throw new IllegalArgumentException(
            "row " + last / perRow + " has bits beyond its " + columns + " columns");
      }
    }
  }

  private static long wordsPerRow(long columns) {
    return columns / 64 + (columns % 64 == 0 ? 0 : 1);
  }

  /** Returns the number of words of a mask with a shape. */
  static int wordCount(long rows, long columns) {
    if (rows < 0 || columns < 0) {
      throw new IllegalArgumentException("no mask of " + rows + " x " + columns + " entries");
    }
    return Sizes.length(Sizes.product(rows, wordsPerRow(columns)));
  }

  /** {@return the number of rows} */
  public long rows() {
    return rows;
  }

  /** {@return the number of columns} */
  public long columns() {
    return columns;
  }

  /** {@return a copy of the bits, rows x ceil(columns/64) words} */
  public long[] words() {
    return words.clone();
  }

  /** Returns the number of words. */
  int wordCount() {
    return words.length;
  }

  /** {@return the number of entries in the set} */
  public long count() {
    long count = 0;
    for (long word : words) {
      count += Long.bitCount(word);
    }
    return count;
  }

  /**
   * {@return whether an entry is in the set}
   *
   * @param row row of the entry, from 0
   * @param column column of the entry, from 0
   * @throws IndexOutOfBoundsException if there is no such row or column
   */
  public boolean contains(long row, long column) {
    Objects.checkIndex(row, rows);
    Objects.checkIndex(column, columns);
    return (words[(int) (row * wordsPerRow(columns) + column / 64)] >>> column & 1) != 0;
  }

  /**
   * {@return the part in rows and columns from {@code begin} to before {@code end}}
   *
   * @param rowBegin first row
   * @param rowEnd row after the last one
   * @param columnBegin first column
   * @param columnEnd column after the last one
   * @throws IndexOutOfBoundsException if the part does not lie in the mask
   */
  public Mask slice(long rowBegin, long rowEnd, long columnBegin, long columnEnd) {
    Objects.checkFromToIndex(rowBegin, rowEnd, rows);
    Objects.checkFromToIndex(columnBegin, columnEnd, columns);
    long[] part = new long[wordCount(rowEnd - rowBegin, columnEnd - columnBegin)];
    long perRow = wordsPerRow(columnEnd - columnBegin);
    if (perRow > 0) {
      for (long row = rowBegin; row < rowEnd; row++) {
        for (long column = columnBegin; column < columnEnd; column++) {
          if (contains(row, column)) {
            long at = column - columnBegin;
            part[(int) ((row - rowBegin) * perRow + at / 64)] |= 1L << at;
          }
        }
      }
    }
    return new Mask(rowEnd - rowBegin, columnEnd - columnBegin, new Words(part));
  }

  /** {@return the number of entries in each row} */
  public long[] rowCounts() {
    long[] counts = new long[Sizes.length(rows)];
    long perRow = wordsPerRow(columns);
    for (int i = 0; i < words.length; i++) {
      counts[(int) (i / perRow)] += Long.bitCount(words[i]);
    }
    return counts;
  }

  /** {@return the number of entries in each column} */
  public long[] columnCounts() {
    long[] counts = new long[Sizes.length(columns)];
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
   * {@return the number of entries in each cell of a map, row by row} Entry (i, j) lies in cell (i
   * · mapRows / rows, j · mapColumns / columns), as in {@link Bf16Diff.Result#map}.
   *
   * @param mapRows rows of the map, at most those of the mask
   * @param mapColumns columns of the map, at most those of the mask
   * @throws IllegalArgumentException if the map has more rows or columns than the mask
   */
  public long[] map(int mapRows, int mapColumns) {
    if (mapRows < 0 || mapRows > rows || mapColumns < 0 || mapColumns > columns) {
      throw new IllegalArgumentException(
          "a map of "
              + mapRows
              + " x "
              + mapColumns
              + " cells; the mask has "
              + rows
              + " x "
              + columns
              + " entries");
    }
    long[] cells = new long[Sizes.length((long) mapRows * mapColumns)];
    if (cells.length == 0) {
      return cells;
    }
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

  @Override
  public boolean equals(Object other) {
    return other instanceof Mask mask
        && mask.rows == rows
        && mask.columns == columns
        && Arrays.equals(mask.words, words);
  }

  @Override
  public int hashCode() {
    return Objects.hash(rows, columns, Arrays.hashCode(words));
  }

  @Override
  public String toString() {
    return count() + " of " + rows + " x " + columns + " entries";
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
    return new Mask(rows, columns, new Words(buffer.getLongs(offset, wordCount(rows, columns))));
  }
}
