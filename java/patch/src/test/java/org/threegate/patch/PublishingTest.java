package org.threegate.patch;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Random;
import java.util.concurrent.Callable;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.threegate.checkpoint.SafetensorsWriter;
import org.threegate.checkpoint.TensorType;
import org.threegate.file.AtomicFiles;
import org.threegate.file.OutputLock;
import org.threegate.kernel.Context;
import org.threegate.run.InvalidInputException;
import org.threegate.run.Progress;
import org.threegate.testing.NativeLeaks;
import org.threegate.testing.Seeds;

/**
 * Tests that a subscriber gets the publisher's bytes, whatever it missed, or reports why it cannot.
 */
@ExtendWith(NativeLeaks.class)
class PublishingTest {
  private static final int BYTES = 20_000;

  @TempDir Path directory;
  private final byte[] weights = new byte[BYTES];

  private Path model() throws IOException {
    Path model = Files.createDirectories(directory.resolve("model"));
    new SafetensorsWriter()
        .tensor("w", TensorType.BF16, List.of(BYTES / 2L), weights)
        .write(model.resolve("model.safetensors"));
    return model;
  }

  private void move(Random random) {
    for (int i = 0; i < BYTES; i += 1 + random.nextInt(100)) {
      weights[i] ^= (byte) (1 + random.nextInt(3));
    }
  }

  private static void assertSame(Path served, Path model) throws IOException {
    assertThat(
            Files.mismatch(served.resolve("model.safetensors"), model.resolve("model.safetensors")))
        .isEqualTo(-1);
  }

  @ParameterizedTest
  @EnumSource(PatchFormat.class)
  void everyVersionIsFollowed(PatchFormat format) throws IOException {
    Random random = Seeds.random("everyVersionIsFollowed" + format);
    random.nextBytes(weights);
    Path versions = directory.resolve("versions");
    PatchPublisher.Options options =
        new PatchPublisher.Options(format, ChecksumFormat.XXH3_128, 4, 2);
    try (Context context = Context.open()) {
      PatchPublisher publisher = PatchPublisher.open(context, versions, model(), options);
      PatchSubscriber steady = new PatchSubscriber(context, versions, directory.resolve("steady"));
      PatchSubscriber lazy = new PatchSubscriber(context, versions, directory.resolve("lazy"));
      assertThat(steady.version()).isZero();
      for (int version = 2; version <= 14; version++) {
        move(random);
        assertThat(publisher.publish(model())).isEqualTo(version);
        assertThat(steady.update()).isEqualTo(version);
        assertSame(directory.resolve("steady"), model());
        if (version % 5 == 0) {
          // Versions that this subscriber has not seen are deleted by now.
          assertThat(lazy.update()).isEqualTo(version);
          assertSame(directory.resolve("lazy"), model());
        }
        if (version == 6) {
          // Another process continues to publish.
          publisher = PatchPublisher.open(context, versions, directory.resolve("none"), options);
        }
      }
      assertThat(VersionDirectory.versions(versions)).containsExactly(9L, 10L, 11L, 12L, 13L, 14L);
      assertThat(steady.update()).isEqualTo(14);
      PatchSubscriber late = new PatchSubscriber(context, versions, directory.resolve("late"));
      assertThat(late.update()).isEqualTo(14);
      assertSame(directory.resolve("late"), model());
      try (var left = Files.list(versions)) {
        assertThat(left).noneMatch(path -> path.getFileName().toString().contains("partial"));
      }
    }
  }

  @Test
  void whatCannotBeFollowedIsSaid() throws IOException {
    Random random = Seeds.random("whatCannotBeFollowedIsSaid");
    random.nextBytes(weights);
    Path versions = directory.resolve("versions");
    try (Context context = Context.open()) {
      PatchPublisher publisher =
          PatchPublisher.open(context, versions, model(), PatchPublisher.Options.DEFAULT);
      Path served = directory.resolve("served");
      PatchSubscriber subscriber = new PatchSubscriber(context, versions, served);
      assertThat(subscriber.update()).isEqualTo(1);
      byte[] first = Files.readAllBytes(served.resolve("model.safetensors"));
      move(random);
      publisher.publish(model());
      byte[] second = Files.readAllBytes(model().resolve("model.safetensors"));
      // A version that is still being written does not count.
      Files.createDirectory(versions.resolve("weight_v000003"));
      assertThat(subscriber.update()).isEqualTo(2);
      Files.delete(versions.resolve("weight_v000003"));
      move(random);
      publisher.publish(model());
      move(random);
      publisher.publish(model());
      Path third = VersionDirectory.version(versions, 3).resolve(VersionDirectory.PATCH);
      byte[] whole = Files.readAllBytes(third);
      byte[] torn = java.util.Arrays.copyOf(whole, whole.length - 9);
      Files.write(third, torn);
      assertThatThrownBy(subscriber::update).isInstanceOf(InvalidInputException.class);
      assertThat(Files.readAllBytes(served.resolve("model.safetensors"))).isEqualTo(second);
      assertThat(subscriber.version()).isEqualTo(2);
      AtomicFiles.deleteDirectory(third.getParent());
      assertThatThrownBy(subscriber::update)
          .hasMessageContaining("version 3 is missing, and no later version is a full checkpoint")
          .hasMessageContaining("the model has version 2");
      // The same state results if a subscriber is killed between writing the weights and recording
      // their version.
      Files.createDirectory(third.getParent());
      Files.write(third, whole);
      new PatchInPlace(context, served).apply(third, Progress.NONE);
      assertThat(subscriber.version()).isEqualTo(2);
      assertThat(subscriber.update()).isEqualTo(4);
      assertSame(served, model());
      assertThat(first).isNotEqualTo(second);
      // Files of another origin are not overwritten.
      Path other = Files.createDirectory(directory.resolve("other"));
      Path mine = Files.writeString(other.resolve("model.safetensors"), "mine");
      assertThatThrownBy(() -> new PatchSubscriber(context, versions, other).update())
          .isInstanceOf(InvalidInputException.class)
          .hasMessageContaining("no recorded version");
      assertThat(mine).hasContent("mine");
      Files.delete(mine);
      assertThat(new PatchSubscriber(context, versions, other).update()).isEqualTo(4);
      assertSame(other, model());
      Path empty = Files.createDirectory(directory.resolve("empty"));
      assertThatThrownBy(() -> new PatchSubscriber(context, empty, served).update())
          .hasMessageContaining("has no version of a model");
      Files.move(VersionDirectory.version(versions, 4), VersionDirectory.version(versions, 5));
      AtomicFiles.deleteDirectory(VersionDirectory.version(versions, 1));
      PatchSubscriber late = new PatchSubscriber(context, versions, directory.resolve("late"));
      assertThatThrownBy(late::update).hasMessageContaining("no full checkpoint to begin with");
      assertThatThrownBy(
              () -> new PatchPublisher.Options(PatchFormat.PLANAR, ChecksumFormat.BLAKE3, 0, 1))
          .hasMessageContaining("at least 1");
    }
  }

  @Test
  void notesOfVersionsAreNotBelieved() throws IOException {
    Path versions = directory.resolve("versions");
    try (Context context = Context.open()) {
      PatchPublisher.open(context, versions, model(), PatchPublisher.Options.DEFAULT);
      Path served = directory.resolve("served");
      PatchSubscriber subscriber = new PatchSubscriber(context, versions, served);
      assertThat(subscriber.update()).isEqualTo(1);
      Path note = served.resolve(".threegate-version");
      for (String text :
          List.of("-1", "0", "01", "", "1\n2", "\u0663", "9223372036854775808", "1".repeat(65))) {
        Files.writeString(note, text);
        assertThatThrownBy(subscriber::update).isInstanceOf(InvalidInputException.class);
      }
      Files.writeString(note, "999999999999999999");
      assertThatThrownBy(subscriber::update)
          .isInstanceOf(InvalidInputException.class)
          .hasMessageContaining("is version 999999999999999999, but the last version in");
      Files.delete(note);
      Files.createSymbolicLink(note, Path.of("/dev/zero"));
      assertThatThrownBy(subscriber::update)
          .isInstanceOf(InvalidInputException.class)
          .hasMessageContaining("a pipe or a device");
      assertSame(served, model());
    }
  }

  @Test
  void shardsOfAPatchAreInItsDirectory() throws IOException {
    Path delta = Files.createDirectory(directory.resolve("delta"));
    try (Context context = Context.open()) {
      for (String shard :
          List.of("../model/model.safetensors", "/etc/passwd", "", ".", "a\\u0000b")) {
        Files.writeString(
            delta.resolve(PatchMetadata.INDEX),
            "{\"metadata\": {\"version\": 2, \"base_version\": 1, \"delta_encoding\": \"xor\","
                + " \"checksum_format\": \"adler32\"}, \"weight_map\": {\"w\": \""
                + shard
                + "\"}}");
        assertThatThrownBy(() -> WeightPatch.open(context, delta))
            .isInstanceOf(InvalidInputException.class)
            .hasMessageContaining("not a plain file name");
      }
    }
  }

  @Test
  void linksToVersionsAndModelsStayWhatTheyAre() throws IOException {
    Path versions = directory.resolve("versions");
    PatchPublisher.Options options =
        new PatchPublisher.Options(PatchFormat.PLANAR, ChecksumFormat.XXH3_128, 1, 1);
    Path place = Files.createDirectory(directory.resolve("place"));
    Path link = Files.createSymbolicLink(directory.resolve("link"), place);
    try (Context context = Context.open()) {
      PatchPublisher publisher = PatchPublisher.open(context, versions, model(), options);
      Path first = VersionDirectory.version(versions, 1);
      Path moved = Files.move(first, directory.resolve("moved"));
      Files.createSymbolicLink(first, moved);
      PatchSubscriber subscriber = new PatchSubscriber(context, versions, link);
      assertThat(subscriber.update()).isEqualTo(1);
      publisher.publish(model());
      assertThat(first).doesNotExist();
      assertThat(moved.resolve("model.safetensors")).exists();
      assertThat(subscriber.update()).isEqualTo(2);
      assertThat(Files.isSymbolicLink(link)).isTrue();
      assertSame(place, model());
    }
  }

  /** Returns the result of work in another thread, or the message of its exception. */
  private static String elsewhere(Callable<Long> work) throws Exception {
    return CompletableFuture.supplyAsync(
            () -> {
              try {
                return "version " + work.call();
              } catch (Exception e) {
                return e.getMessage();
              }
            })
        .get(1, TimeUnit.MINUTES);
  }

  @Test
  void oneAtATimePublishesAndFollows() throws Exception {
    Path versions = directory.resolve("versions");
    Path served = directory.resolve("served");
    try (Context context = Context.open()) {
      PatchPublisher publisher =
          PatchPublisher.open(context, versions, model(), PatchPublisher.Options.DEFAULT);
      Path model = model();
      PatchSubscriber subscriber = new PatchSubscriber(context, versions, served);
      try (OutputLock publishing = OutputLock.of(versions);
          OutputLock following = OutputLock.of(served)) {
        assertThat(elsewhere(() -> publisher.publish(model)))
            .startsWith(publishing.output().toString())
            .contains("another run is writing it");
        assertThat(elsewhere(subscriber::update))
            .startsWith(following.output().toString())
            .contains("another run is writing it");
        assertThat(served).doesNotExist();
      }
      assertThat(elsewhere(() -> publisher.publish(model))).isEqualTo("version 2");
      assertThat(elsewhere(subscriber::update)).isEqualTo("version 2");
    }
  }
}
