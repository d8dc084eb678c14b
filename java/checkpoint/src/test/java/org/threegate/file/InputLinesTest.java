package org.threegate.file;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.threegate.run.InvalidInputException;

class InputLinesTest {
  @TempDir Path directory;

  private Path file(byte[] content) throws IOException {
    return Files.write(directory.resolve("lines"), content);
  }

  private static List<String> all(InputLines open) {
    try (InputLines lines = open) {
      List<String> all = new ArrayList<>();
      for (Optional<String> line = lines.next(); line.isPresent(); line = lines.next()) {
        all.add(lines.number() + " " + line.get());
      }
      return all;
    }
  }

  @Test
  void linesAreReadOneAfterAnother() throws IOException {
    Path file = file("one\r\n\nthree ü\nlast".getBytes(StandardCharsets.UTF_8));
    assertThat(all(InputLines.open(file, 100)))
        .containsExactly("1 one", "2 ", "3 three ü", "4 last");
    assertThat(all(InputLines.open(file(new byte[0]), 100))).isEmpty();
  }

  @Test
  void noLineIsLongerThanIsAllowed() throws IOException {
    Path file = file("12345\n123456\n".getBytes(StandardCharsets.UTF_8));
    assertThat(all(InputLines.open(file, 6))).hasSize(2);
    assertThatThrownBy(() -> all(InputLines.open(file, 5)))
        .isInstanceOf(InvalidInputException.class)
        .hasMessageContainingAll("lines:2", "longer than 5 bytes");
  }

  @Test
  void aSparseFileOfATerabyteIsNotRead() throws IOException {
    Path file = directory.resolve("sparse");
    try (RandomAccessFile sparse = new RandomAccessFile(file.toFile(), "rw")) {
      sparse.setLength(1L << 40);
    }
    assertThatThrownBy(() -> InputLines.open(file, 5))
        .isInstanceOf(InvalidInputException.class)
        .hasMessageContaining("larger than");
    try (RandomAccessFile sparse = new RandomAccessFile(file.toFile(), "rw")) {
      sparse.setLength(1L << 35);
    }
    assertThatThrownBy(() -> all(InputLines.open(file, 1 << 20)))
        .isInstanceOf(InvalidInputException.class)
        .hasMessageContaining("longer than");
  }

  @Test
  void whatIsNoTextIsRefusedUnlessARunWasKilled() throws IOException {
    Path file = file(new byte[] {'a', '\n', 'b', (byte) 0xc3});
    assertThatThrownBy(() -> all(InputLines.open(file, 100)))
        .isInstanceOf(InvalidInputException.class)
        .hasMessageContainingAll("lines:2", "not valid UTF-8");
    assertThat(all(InputLines.ofRun(file, 100))).containsExactly("1 a", "2 b\ufffd");
    assertThatThrownBy(() -> InputLines.open(directory, 100))
        .isInstanceOf(InvalidInputException.class)
        .hasMessageContaining("a directory");
  }
}
