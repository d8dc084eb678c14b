package org.threegate.checkpoint;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

@Timeout(60)
class AtomicFilesTest {
  @TempDir Path directory;

  @Test
  void leavesWhatWasThereWhenWritingFails() throws IOException {
    Path file = Files.writeString(directory.resolve("file"), "old");
    assertThatThrownBy(
            () ->
                AtomicFiles.write(
                    file,
                    out -> {
                      out.write(ByteBuffer.allocate(10));
                      throw new IOException("full");
                    }))
        .hasMessage("full");
    assertThat(file).hasContent("old");
    assertThat(AtomicFiles.list(directory)).containsExactly(file);
  }

  @Test
  void removesWhatAKilledRunLeft() throws IOException {
    Path file = directory.resolve("file");
    Path model = directory.resolve("model");
    Files.writeString(AtomicFiles.temporary(file), "half");
    Files.createDirectory(AtomicFiles.temporary(model));
    Files.writeString(AtomicFiles.temporary(model).resolve("shard"), "half");
    Files.writeString(directory.resolve(".file.lock"), "");
    AtomicFiles.write(file, out -> out.write(ByteBuffer.wrap(new byte[] {'n'})));
    AtomicFiles.writeDirectory(model, to -> Files.writeString(to.resolve("config.json"), "{}"));
    assertThat(AtomicFiles.list(directory)).containsExactlyInAnyOrder(file, model);
    assertThat(AtomicFiles.list(model)).containsExactly(model.resolve("config.json"));
  }

  @Test
  void doesNotFollowALinkInThePlaceOfItsTemporaryFile() throws IOException {
    Path victim = Files.writeString(directory.resolve("victim"), "precious");
    Path file = directory.resolve("file");
    Files.createSymbolicLink(AtomicFiles.temporary(file), victim);
    AtomicFiles.write(file, out -> out.write(ByteBuffer.wrap(new byte[] {'n'})));
    assertThat(victim).hasContent("precious");
    assertThat(file).hasContent("n");
  }

  @Test
  void refusesASecondWriter() throws IOException {
    Path file = directory.resolve("file");
    OutputLock held = OutputLock.of(file);
    assertThatThrownBy(() -> AtomicFiles.write(file, out -> {}))
        .isInstanceOf(InvalidInputException.class)
        .hasMessageContaining("another run is writing it");
    held.close();
    held.close();
    AtomicFiles.write(file, out -> {});
    assertThat(AtomicFiles.list(directory)).containsExactly(file);
  }

  @Test
  void refusesASecondProcess() throws Exception {
    Path file = directory.resolve("file");
    try (OutputLock held = OutputLock.of(file)) {
      assertThat(child(held.output())).isEqualTo(2);
      assertThat(child(file)).isEqualTo(2); // the first one's end did not release it
    }
    assertThat(child(file)).isZero();
    assertThat(AtomicFiles.list(directory)).isEmpty();
  }

  private static int child(Path file) throws Exception {
    return new ProcessBuilder(
            Path.of(System.getProperty("java.home"), "bin", "java").toString(),
            "-cp",
            System.getProperty("java.class.path"),
            Locking.class.getName(),
            file.toString())
        .inheritIO()
        .start()
        .waitFor();
  }

  /** Takes a lock; exits with 2 when it is refused. */
  static final class Locking {
    public static void main(String[] arguments) throws IOException {
      try (OutputLock held = OutputLock.of(Path.of(arguments[0]))) {
        System.out.println("locked " + held.output());
      } catch (InvalidInputException e) {
        System.exit(2);
      }
    }
  }
}
