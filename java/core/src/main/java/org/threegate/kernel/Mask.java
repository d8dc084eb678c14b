package org.threegate.kernel;

import java.util.Arrays;
import java.util.List;
import java.util.function.LongBinaryOperator;
import org.threegate.buffer.NativeBuffer;

/**
 * A set of entries of a matrix, one bit each: bit j mod 64 of word i · ceil(columns/64) + j/64 is
 * entry (i, j), as in {@link Bf16Diff.Result#mask}. Bits beyond the columns are 0.
 */
public record Mask(long rows, long columns, long[] words) {
  /**
   * @throws IllegalArgumentException when the number of words is not that of the shape
   */
  public Mask {
    if (words.length != Math.multiplyExact(rows, wordsPerRow(columns))) {
      throw new IllegalArgumentException(
          words.length + " words for " + rows + " x " + columns + " entries");
    }
  }

  private static long wordsPerRow(long columns) {
    return (columns + 63) / 64;
  }

  /** Words that a mask of this shape has. */
  static int wordCount(long rows, long columns) {
    return Math.toIntExact(Math.multiplyExact(rows, wordsPerRow(columns)));
  }

  /** Number of entries in the set. */
  public long count() {
    long count = 0;
    for (long word : words) {
      count += Long.bitCount(word);
    }
    return count;
  }

  public boolean contains(long row, long column) {
    return (words[Math.toIntExact(row * wordsPerRow(columns) + column / 64)] >>> column & 1) != 0;
  }

  public Mask and(Mask other) {
    return combine(other, (a, b) -> a & b);
  }

  public Mask or(Mask other) {
    return combine(other, (a, b) -> a | b);
  }

  /** Entries of this set that are not in the other. */
  public Mask andNot(Mask other) {
    return combine(other, (a, b) -> a & ~b);
  }

  /** Entries that are not in the set. */
  public Mask complement() {
    long[] result = words.clone();
    long perRow = wordsPerRow(columns);
    long last = columns % 64 == 0 ? -1L : (1L << columns % 64) - 1;
    for (int i = 0; i < result.length; i++) {
      result[i] = ~result[i] & (i % perRow == perRow - 1 ? last : -1L);
    }
    return new Mask(rows, columns, result);
  }

  /** Number of entries in both sets. */
  public long countCommon(Mask other) {
    requireShape(other);
    long count = 0;
    for (int i = 0; i < words.length; i++) {
      count += Long.bitCount(words[i] & other.words[i]);
    }
    return count;
  }

  /** The part in rows and columns from {@code begin} to before {@code end}. */
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

  /** Entries of the set by row. */
  public long[] rowCounts() {
    long[] counts = new long[Math.toIntExact(rows)];
    long perRow = wordsPerRow(columns);
    for (int i = 0; i < words.length; i++) {
      counts[(int) (i / perRow)] += Long.bitCount(words[i]);
    }
    return counts;
  }

  /** Entries of the set by column. */
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

  /** How many entries are in exactly 0, 1, … of several sets of one shape. */
  public static long[] memberships(List<Mask> masks) {
    Mask any = masks.get(0);
    masks.forEach(any::requireShape);
    long[] counts = new long[masks.size() + 1];
    int planes = 32 - Integer.numberOfLeadingZeros(masks.size());
    long[] sums = new long[planes]; // bit i of a count is in plane i, an entry a lane
    for (int word = 0; word < any.words.length; word++) {
      Arrays.fill(sums, 0);
      for (Mask mask : masks) {
        long carry = mask.words[word];
        for (int plane = 0; plane < planes; plane++) {
          long sum = sums[plane] ^ carry;
          carry &= sums[plane];
          sums[plane] = sum;
        }
      }
      for (int count = 1; count < counts.length; count++) {
        long lanes = -1L;
        for (int plane = 0; plane < planes; plane++) {
          lanes &= (count >> plane & 1) == 1 ? sums[plane] : ~sums[plane];
        }
        counts[count] += Long.bitCount(lanes);
      }
    }
    counts[0] = any.rows * any.columns - Arrays.stream(counts).sum();
    return counts;
  }

  /**
   * Entries of the set in each cell of a map, row-major: entry (i, j) lies in cell (i · mapRows /
   * rows, j · mapColumns / columns), as in {@link Bf16Diff.Result#map}.
   */
  public long[] map(int mapRows, int mapColumns) {
    long[] cells = new long[mapRows * mapColumns];
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

  private Mask combine(Mask other, LongBinaryOperator operator) {
    requireShape(other);
    long[] result = new long[words.length];
    for (int i = 0; i < result.length; i++) {
      result[i] = operator.applyAsLong(words[i], other.words[i]);
    }
    return new Mask(rows, columns, result);
  }

  private void requireShape(Mask other) {
    if (other.rows != rows || other.columns != columns) {
      throw new IllegalArgumentException(
          other.rows + " x " + other.columns + " entries; this mask has " + rows + " x " + columns);
    }
  }

  NativeBuffer copyTo(Context context) {
    NativeBuffer buffer = context.allocate(8L * words.length);
    for (int i = 0; i < words.length; i++) {
      buffer.putLong(8L * i, words[i]);
    }
    return buffer;
  }

  static Mask copyOf(NativeBuffer buffer, long rows, long columns) {
    long[] words = new long[wordCount(rows, columns)];
    for (int i = 0; i < words.length; i++) {
      words[i] = buffer.getLong(8L * i);
    }
    return new Mask(rows, columns, words);
  }
}
