package org.threegate.checkpoint;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.threegate.kernel.Context;
import org.threegate.kernel.MappedFile;

class BoxesTest {
  @TempDir Path directory;

  private static TensorPiece piece(MappedFile file, List<Long> begin, List<Long> size) {
    return new TensorPiece(
        new Tensor("a", TensorType.F32, size, file, 0), begin, size, Boxes.strides(size));
  }

  @Test
  @Timeout(20)
  void piecesAreAllCellsOfAGrid() throws Exception {
    Path path = Files.write(directory.resolve("x"), new byte[4]);
    try (Context context = Context.open(Context.Device.CPU, 1);
        MappedFile file = MappedFile.open(context, path)) {
      List<Long> space = List.of(4L, 6L);
      TensorPiece left = piece(file, List.of(0L, 0L), List.of(4L, 2L));
      TensorPiece right = piece(file, List.of(0L, 2L), List.of(4L, 4L));
      TensorPiece lower = piece(file, List.of(2L, 2L), List.of(2L, 4L));
      assertThat(Boxes.cover(space, List.of(left, right))).isTrue();
      assertThat(Boxes.cover(space, List.of(left))).isFalse();
      assertThat(Boxes.cover(space, List.of(right))).isFalse();
      assertThat(Boxes.cover(space, List.of(left, right, right))).isFalse();
      assertThat(Boxes.cover(space, List.of(left, right, lower))).isFalse();
      assertThat(Boxes.cover(space, List.of())).isFalse();
      assertThat(Boxes.cover(List.of(), List.of(piece(file, List.of(), List.of())))).isTrue();
      assertThat(Boxes.cover(List.of(), List.of())).isFalse();
      // Cells that are missing in the middle of a grid.
      List<TensorPiece> grid = new ArrayList<>();
      for (long i = 0; i < 300; i++) {
        for (long j = 0; j < 300; j++) {
          grid.add(piece(file, List.of(i, j), List.of(1L, 1L)));
        }
      }
      assertThat(Boxes.cover(List.of(300L, 300L), grid)).isTrue();
      grid.set(4500, grid.get(4501));
      assertThat(Boxes.cover(List.of(300L, 300L), grid)).isFalse();
      grid.remove(4500);
      assertThat(Boxes.cover(List.of(300L, 300L), grid)).isFalse();
    }
  }

  @Test
  void stridesAreThoseOfTheOrderOfTheIndexes() {
    assertThat(Boxes.strides(List.of(2L, 3L, 4L))).containsExactly(12L, 4L, 1L);
    assertThat(Boxes.strides(List.of())).isEmpty();
  }
}
