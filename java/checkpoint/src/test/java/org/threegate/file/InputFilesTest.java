package org.threegate.file;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.threegate.run.InvalidInputException;

@Timeout(60)
class InputFilesTest {
  @TempDir Path directory;

  private static void refused(Path path, String why) {
    assertThatThrownBy(() -> InputFiles.text(path, 1000))
        .isInstanceOf(InvalidInputException.class)
        .hasMessageContaining(path.getFileName().toString())
        .hasMessageContaining(why);
  }

  @Test
  void readsARegularFileOfAnAllowedSize() throws IOException {
    Path file = Files.writeString(directory.resolve("note.json"), "x".repeat(1000));
    assertThat(InputFiles.text(file, 1000)).hasSize(1000);
    assertThat(InputFiles.bytes(Files.createSymbolicLink(directory.resolve("link"), file), 1000))
        .hasSize(1000);
  }

  @Test
  void refusesAPipeWithoutWaiting() throws Exception {
    Path pipe = directory.resolve("pipe.json");
    Process make = new ProcessBuilder("mkfifo", pipe.toString()).start();
    assertThat(make.waitFor(30, TimeUnit.SECONDS) && make.exitValue() == 0).isTrue();
    refused(pipe, "a pipe or a device");
  }

  @Test
  void refusesDevicesDirectoriesAndWhatIsMissing() {
    refused(Path.of("/dev/zero"), "a pipe or a device");
    refused(directory, "a directory");
    refused(directory.resolve("none"), "no such file");
  }

  @Test
  void refusesASparseFileWithoutReadingIt() throws IOException {
    Path sparse = directory.resolve("sparse.json");
    try (RandomAccessFile file = new RandomAccessFile(sparse.toFile(), "rw")) {
      file.setLength(1L << 40);
    }
    refused(sparse, "larger than 1000 bytes");
  }

  @Test
  void doesNotBelieveASizeOfNothing() {
    // Files in /proc report a size of zero.
    assertThat(InputFiles.bytes(Path.of("/proc/self/stat"), 10_000)).isNotEmpty();
    assertThatThrownBy(() -> InputFiles.bytes(Path.of("/proc/self/status"), 10))
        .isInstanceOf(InvalidInputException.class)
        .hasMessageContaining("larger than 10 bytes");
  }

  @Test
  void refusesWhatIsNoText() throws IOException {
    refused(Files.write(directory.resolve("bytes"), new byte[] {(byte) 0xFF}), "not valid UTF-8");
  }

  @Test
  void takesOnlyPlainNames() {
    assertThat(FileNames.plain("model-00001-of-00002.safetensors", "index")).isNotEmpty();
    for (String name :
        new String[] {
          "",
          ".",
          "..",
          ".hidden",
          "../up",
          "/etc/passwd",
          "a/b",
          "a\\b",
          "a\0b",
          "a\nb",
          "\uD800",
          "x".repeat(256)
        }) {
      assertThatThrownBy(() -> FileNames.plain(name, "index.json"))
          .isInstanceOf(InvalidInputException.class)
          .hasMessageStartingWith("index.json: names the file");
    }
  }
}
