package org.threegate.checkpoint;

import java.util.Objects;

/**
 * Ranges of rows or of columns of a matrix that are equally long and equally far apart, such as the
 * rows of all keys in a matrix that holds query, key and value of one head after the other.
 *
 * <pre>{@code
 * Ranges odd = new Ranges(1, 1, 2, 4);
 * System.out.println(odd.size() + " rows, the last one is row " + odd.at(3));
 * }</pre>
 *
 * @param begin first row or column of the first range
 * @param length rows or columns of a range
 * @param step distance between the begins of two ranges; at least {@code length}
 * @param count number of ranges
 */
public record Ranges(long begin, long length, long step, long count) {
  /**
   * Checks the components.
   *
   * @throws IllegalArgumentException if there are no such ranges
   */
  public Ranges {
    if (begin < 0 || length < 1 || step < length || count < 1) {
      throw new IllegalArgumentException(
          "no " + count + " ranges of " + length + " from " + begin + ", " + step + " apart");
    }
    Math.addExact(begin, Math.addExact(Math.multiplyExact(count - 1, step), length));
  }

  /**
   * {@return a single range}
   *
   * @param begin first row or column
   * @param end row or column after the last one; greater than {@code begin}
   */
  public static Ranges of(long begin, long end) {
    return new Ranges(begin, end - begin, end - begin, 1);
  }

  /** {@return the number of rows or columns in all ranges} */
  public long size() {
    return length * count;
  }

  /** {@return the row or column after the last one} */
  public long end() {
    return begin + (count - 1) * step + length;
  }

  /** {@return whether the rows or columns follow each other without gaps} */
  public boolean gapless() {
    return count == 1 || step == length;
  }

  /**
   * {@return whether these are all rows or columns of a matrix}
   *
   * @param size number of rows or columns of the matrix
   */
  public boolean isAll(long size) {
    return gapless() && begin == 0 && size() == size;
  }

  /**
   * {@return the row or column at an index}
   *
   * @param index number of the row or column among those of the ranges, from 0
   */
  public long at(long index) {
    Objects.checkIndex(index, size());
    return begin + index / length * step + index % length;
  }
}
