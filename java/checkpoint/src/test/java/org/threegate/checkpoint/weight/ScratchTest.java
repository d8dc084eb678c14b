package org.threegate.checkpoint.weight;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;
import org.threegate.buffer.NativeBuffer;
import org.threegate.checkpoint.Tensor;
import org.threegate.checkpoint.TensorParts;
import org.threegate.checkpoint.TensorPiece;
import org.threegate.checkpoint.TensorType;
import org.threegate.kernel.Context;
import org.threegate.kernel.MappedFile;
import org.threegate.kernel.Operand;
import org.threegate.testing.NativeLeaks;
import org.threegate.testing.Seeds;

/** Tests that matrices in pieces are copied into memory that others have used before. */
@ExtendWith(NativeLeaks.class)
class ScratchTest {
  private static final int ROWS = 3001;
  private static final int COLUMNS = 1500;
  private static final int CUT = 1703;

  @TempDir Path directory;

  /** A matrix of bytes in a file, cut in two; {@code byRows} tells which dimension is cut. */
  private static TensorParts cut(MappedFile file, boolean byRows) {
    List<Long> space = List.of((long) ROWS, (long) COLUMNS);
    long cut = byRows ? CUT : COLUMNS / 3;
    List<Long> first = byRows ? List.of(cut, space.get(1)) : List.of(space.get(0), cut);
    List<Long> second =
        byRows ? List.of(ROWS - cut, space.get(1)) : List.of(space.get(0), COLUMNS - cut);
    List<Long> begin = byRows ? List.of(cut, 0L) : List.of(0L, cut);
    TensorPiece one = piece(file, 0, List.of(0L, 0L), first);
    TensorPiece other = piece(file, first.get(0) * first.get(1), begin, second);
    return new TensorParts("whole", space, space, List.of(one, other));
  }

  private static TensorPiece piece(MappedFile file, long at, List<Long> begin, List<Long> size) {
    Tensor tensor = new Tensor("piece at " + begin, TensorType.F8_E4M3, size, file, at);
    return new TensorPiece(tensor, begin, size, List.of(size.get(1), 1L));
  }

  private static byte[] expected(byte[] stored, boolean byRows) {
    if (byRows) {
      return stored;
    }
    byte[] whole = new byte[stored.length];
    int left = COLUMNS / 3;
    for (int i = 0; i < ROWS; i++) {
      System.arraycopy(stored, i * left, whole, i * COLUMNS, left);
      int right = COLUMNS - left;
      System.arraycopy(stored, ROWS * left + i * right, whole, i * COLUMNS + left, right);
    }
    return whole;
  }

  @Test
  void piecesAreCopiedByAnyNumberOfThreads() throws Exception {
    byte[] stored = new byte[ROWS * COLUMNS];
    Seeds.random("ScratchTest").nextBytes(stored);
    Path path = Files.write(directory.resolve("stored"), stored);
    for (int threads : new int[] {1, 3}) {
      try (Context context = Context.open(Context.Device.CPU, threads);
          MappedFile file = MappedFile.open(context, path);
          Scratch scratch = new Scratch(context)) {
        for (boolean byRows : new boolean[] {true, false}) {
          TensorParts whole = cut(file, byRows);
          byte[] expected = expected(stored, byRows);
          Values all = new Values.Joined(ROWS, COLUMNS, whole, 0);
          for (long from : new long[] {0, 1, CUT + 5, ROWS - 1}) {
            try (Values.Compared own = all.rows(from, ROWS).openToCompare(context, scratch)) {
              Operand operand = (Operand) own.entries();
              assertThat(operand.rows()).isEqualTo(ROWS - from);
              assertThat(operand.values().buffer().getBytes(0, (ROWS - from) * COLUMNS))
                  .as("%s threads, rows from %s, by rows: %s", threads, from, byRows)
                  .isEqualTo(Arrays.copyOfRange(expected, (int) from * COLUMNS, ROWS * COLUMNS));
            }
          }
        }
      }
    }
  }

  @Test
  void memoryIsUsedAgain() {
    try (Context context = Context.open(Context.Device.CPU, 1);
        Scratch scratch = new Scratch(context)) {
      NativeBuffer left = scratch.take(1000);
      NativeBuffer right = scratch.take(500);
      assertThat(right).isNotSameAs(left);
      scratch.give(left);
      scratch.give(right);
      assertThat(scratch.take(400)).as("the smallest that fits").isSameAs(right);
      assertThat(scratch.take(600)).isSameAs(left);
      scratch.give(left);
      scratch.give(right);
      long before = Context.liveObjects();
      NativeBuffer larger = scratch.take(2000);
      assertThat(Context.liveObjects()).as("one is freed for it").isEqualTo(before);
      scratch.give(larger);
      NativeBuffer large = scratch.take((1L << 28) + 1);
      scratch.give(large);
      assertThat(scratch.take(100)).as("very large memory is not kept").isNotSameAs(large);
      assertThat(Context.liveObjects()).isLessThanOrEqualTo(before);
      scratch.give(larger);
    }
  }
}
