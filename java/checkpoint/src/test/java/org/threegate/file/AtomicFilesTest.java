package org.threegate.file;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.threegate.run.InvalidInputException;

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
  void refusesASecondWriter() throws Exception {
    Path file = directory.resolve("file");
    OutputLock held = OutputLock.of(file);
    assertThat(elsewhere(file))
        .isInstanceOf(InvalidInputException.class)
        .hasMessageContaining("another run is writing it");
    // The holder of the lock may write, and still holds the lock afterwards.
    AtomicFiles.write(file, out -> {});
    assertThat(elsewhere(file)).hasMessageContaining("another run is writing it");
    held.close();
    held.close();
    assertThat(elsewhere(file)).hasMessage("written");
    assertThat(AtomicFiles.list(directory)).containsExactly(file);
  }

  /** Returns the result of writing a file in another thread, as an exception. */
  private static Exception elsewhere(Path file) throws Exception {
    return CompletableFuture.supplyAsync(
            () -> {
              try {
                AtomicFiles.write(file, out -> {});
                return new Exception("written");
              } catch (IOException | RuntimeException e) {
                return e;
              }
            })
        .get(1, TimeUnit.MINUTES);
  }

  @Test
  void replacedFilesKeepTheirModeAndLinksTheirTargets() throws IOException {
    Path file = Files.writeString(directory.resolve("file"), "old");
    Path target = Files.writeString(directory.resolve("target"), "old");
    Path link = Files.createSymbolicLink(directory.resolve("link"), target);
    var mode = PosixFilePermissions.fromString("r--r-----");
    Files.setPosixFilePermissions(file, mode);
    Files.setPosixFilePermissions(target, mode);
    AtomicFiles.write(file, out -> out.write(ByteBuffer.wrap(new byte[] {'n'})));
    AtomicFiles.write(link, out -> out.write(ByteBuffer.wrap(new byte[] {'n'})));
    assertThat(file).hasContent("n");
    assertThat(Files.getPosixFilePermissions(file)).isEqualTo(mode);
    assertThat(target).hasContent("old");
    assertThat(Files.getPosixFilePermissions(target)).isEqualTo(mode);
    assertThat(link).hasContent("n");
    assertThat(Files.isSymbolicLink(link)).isFalse();
  }

  @Test
  void directoriesAreRemovedAndWhatLinksLeadToStays() throws IOException {
    Path victim = Files.createDirectory(directory.resolve("victim"));
    Path kept = Files.writeString(victim.resolve("precious"), "p");
    Path model = directory.resolve("model");
    Files.createSymbolicLink(AtomicFiles.temporary(model), victim);
    AtomicFiles.writeDirectory(
        model,
        to -> {
          Files.createSymbolicLink(to.resolve("link"), victim);
          Files.createDirectory(to.resolve("below"));
          Files.writeString(to.resolve("below").resolve("file"), "f");
        });
    AtomicFiles.deleteDirectory(model);
    assertThat(kept).hasContent("p");
    assertThat(AtomicFiles.list(directory)).containsExactly(victim);
  }

  @Test
  void filesOfADirectoryAreReplacedAndOthersStay() throws IOException {
    Path report = directory.resolve("report");
    AtomicFiles.Filling filling =
        to -> {
          Files.writeString(to.resolve("data"), "new");
          Files.writeString(to.resolve("index"), "new");
        };
    AtomicFiles.updateDirectory(report, "index", filling);
    Files.writeString(report.resolve("data"), "old");
    Files.writeString(report.resolve("notes"), "mine");
    AtomicFiles.updateDirectory(report, "index", filling);
    assertThat(report.resolve("data")).hasContent("new");
    assertThat(report.resolve("notes")).hasContent("mine");
    assertThat(AtomicFiles.list(report)).hasSize(3);
    assertThat(AtomicFiles.list(directory)).containsExactly(report);
  }

  @Test
  void leftoversGoAndWhatIsBeingWrittenStays() throws IOException {
    Path kept = Files.writeString(directory.resolve("state"), "s");
    Files.writeString(directory.resolve(".other.lock"), "");
    Files.writeString(directory.resolve(".partial-gone-4711"), "half");
    Files.createDirectory(directory.resolve(".partial-whole"));
    AtomicFiles.write(
        directory.resolve("new"),
        out -> {
          AtomicFiles.removeLeftovers(directory);
          assertThat(AtomicFiles.temporary(directory.resolve("new"))).exists();
        });
    assertThat(AtomicFiles.list(directory))
        .containsExactlyInAnyOrder(kept, directory.resolve("new"));
  }

  @Test
  void refusesASecondProcess() throws Exception {
    Path file = directory.resolve("file");
    try (OutputLock held = OutputLock.of(file)) {
      assertThat(child(held.output())).isEqualTo(2);
      assertThat(child(file)).isEqualTo(2); // the end of the first process did not release it
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

  /** Takes a lock, and exits with 2 if it is refused. */
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
