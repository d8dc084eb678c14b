package org.threegate.kernel;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;

/** Tests masks without the native library. */
class MaskTest {
  @Test
  void bitsBeyondTheColumnsAreRefused() {
    assertThatThrownBy(() -> new Mask(1, 10, new long[] {-1L}))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("row 0 has bits beyond its 10 columns");
    assertThatThrownBy(() -> new Mask(3, 65, new long[] {0, 1, -1, 0, -1, 2}))
        .hasMessage("row 2 has bits beyond its 65 columns");
    assertThat(new Mask(1, 10, new long[] {0x3ff}).count()).isEqualTo(10);
    assertThat(new Mask(2, 64, new long[] {-1, -1}).count()).isEqualTo(128);
  }

  @Test
  void entriesOutsideOfTheMaskAreRefused() {
    Mask mask = new Mask(1, 1024, new long[16]);
    for (long column : new long[] {1024, 5000, -1, Long.MIN_VALUE, Long.MAX_VALUE}) {
      assertThatThrownBy(() -> mask.contains(0, column))
          .isInstanceOf(IndexOutOfBoundsException.class);
    }
    for (long row : new long[] {1, -1, 1L << 32, Long.MIN_VALUE, Long.MAX_VALUE}) {
      assertThatThrownBy(() -> mask.contains(row, 0)).isInstanceOf(IndexOutOfBoundsException.class);
    }
  }

  @Test
  void theWordsAreCopiedInAndOut() {
    long[] words = {5, 0};
    Mask mask = new Mask(2, 3, words);
    words[0] = 0;
    mask.words()[1] = 7;
    assertThat(mask.words()).containsExactly(5, 0);
    assertThat(mask).isEqualTo(new Mask(2, 3, new long[] {5, 0})).hasToString("2 of 2 x 3 entries");
    assertThat(mask.hashCode()).isEqualTo(new Mask(2, 3, new long[] {5, 0}).hashCode());
    assertThat(mask)
        .isNotEqualTo(new Mask(2, 3, new long[] {5, 1}))
        .isNotEqualTo(new Mask(2, 4, new long[] {5, 0}));
  }

  @Test
  void shapesThatNoMaskHasAreRefused() {
    for (long[] shape :
        new long[][] {
          {-1, 0}, {5, -5}, {1, Long.MAX_VALUE}, {Long.MAX_VALUE, 64}, {1L << 32, 1L << 38}, {2, 65}
        }) {
      assertThatThrownBy(() -> new Mask(shape[0], shape[1], new long[0]))
          .isInstanceOf(IllegalArgumentException.class);
    }
    Mask empty = new Mask(Integer.MAX_VALUE, 0, new long[0]);
    assertThatThrownBy(empty::rowCounts).isInstanceOf(IllegalArgumentException.class);
    assertThatThrownBy(() -> new Mask(2, 3, new long[2]).map(3, 1))
        .hasMessage("a map of 3 x 1 cells; the mask has 2 x 3 entries");
  }

  /** Every part, and every range that is not a part, of masks of a few shapes. */
  @Test
  void partsAreThoseOfTheEntries() {
    Random random = new Random(5);
    for (long[] shape : new long[][] {{0, 0}, {3, 0}, {0, 3}, {3, 5}, {2, 64}, {2, 70}}) {
      boolean[][] entries = new boolean[(int) shape[0]][(int) shape[1]];
      Mask mask = random(entries, shape[1], random);
      List<long[]> rows = ranges(shape[0]);
      List<long[]> columns = shape[1] < 10 ? ranges(shape[1]) : someRanges(shape[1], random);
      for (long[] row : rows) {
        for (long[] column : columns) {
          if (isPart(row, shape[0]) && isPart(column, shape[1])) {
            Mask part = mask.slice(row[0], row[1], column[0], column[1]);
            assertThat(part.rows()).isEqualTo(row[1] - row[0]);
            assertThat(part.columns()).isEqualTo(column[1] - column[0]);
            for (long i = 0; i < part.rows(); i++) {
              for (long j = 0; j < part.columns(); j++) {
                assertThat(part.contains(i, j))
                    .isEqualTo(entries[(int) (row[0] + i)][(int) (column[0] + j)]);
              }
            }
          } else {
            assertThatThrownBy(() -> mask.slice(row[0], row[1], column[0], column[1]))
                .isInstanceOf(IndexOutOfBoundsException.class);
          }
        }
      }
    }
  }

  private static boolean isPart(long[] range, long length) {
    return 0 <= range[0] && range[0] <= range[1] && range[1] <= length;
  }

  private static List<long[]> ranges(long length) {
    List<long[]> ranges = new ArrayList<>();
    ranges.add(new long[] {0, Long.MAX_VALUE});
    ranges.add(new long[] {Long.MIN_VALUE, 0});
    for (long begin = -1; begin <= length + 1; begin++) {
      for (long end = -1; end <= length + 1; end++) {
        ranges.add(new long[] {begin, end});
      }
    }
    return ranges;
  }

  private static List<long[]> someRanges(long length, Random random) {
    List<long[]> ranges = new ArrayList<>(List.of(new long[] {0, length}, new long[] {1, 65}));
    for (int i = 0; i < 20; i++) {
      ranges.add(new long[] {random.nextLong(length + 2) - 1, random.nextLong(length + 2)});
    }
    return ranges;
  }

  private static Mask random(boolean[][] entries, long columns, Random random) {
    int perRow = (int) ((columns + 63) / 64);
    long[] words = new long[entries.length * perRow];
    for (int i = 0; i < entries.length; i++) {
      for (int j = 0; j < columns; j++) {
        entries[i][j] = random.nextBoolean();
        if (entries[i][j]) {
          words[i * perRow + j / 64] |= 1L << j;
        }
      }
    }
    return new Mask(entries.length, columns, words);
  }
}
