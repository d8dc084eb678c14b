package org.threegate.patch;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.threegate.checkpoint.Checkpoint;
import org.threegate.checkpoint.SafetensorsWriter;
import org.threegate.checkpoint.TensorType;
import org.threegate.file.AtomicFiles;
import org.threegate.kernel.Context;
import org.threegate.run.Progress;
import org.threegate.testing.DyingDisk;
import org.threegate.testing.Seeds;

/**
 * Tests processes that are killed at each change of the disk, or by a signal at a random time.
 * After recovery the model has the old or the new version, and no other files are left.
 */
@Timeout(600)
class KilledPatchesTest {
  private static final int TENSORS = 3;
  private static final int BYTES = 60_000;

  /** Number of kills of each kind. */
  private static final int KILLS = Integer.getInteger("threegate.test.kills", 6);

  /** Publishing takes long, so it is killed only at one change out of this many. */
  private static final int STRIDE = Math.max(1, 246 / KILLS);

  @TempDir Path directory;
  private final Random random = Seeds.random("KilledPatchesTest");
  private Path model;
  private Path versions;
  private Path served;
  private final byte[][] weights = new byte[TENSORS][BYTES];

  @BeforeEach
  void write() throws IOException {
    model = Files.createDirectory(directory.resolve("model"));
    versions = directory.resolve("versions");
    served = directory.resolve("served");
    for (byte[] own : weights) {
      random.nextBytes(own);
    }
    store(model, weights);
    Files.writeString(model.resolve("config.json"), "{}");
  }

  private static void store(Path model, byte[][] weights) throws IOException {
    SafetensorsWriter writer = new SafetensorsWriter();
    for (int i = 0; i < weights.length; i++) {
      writer.tensor("w" + i, TensorType.BF16, List.of(BYTES / 2L), weights[i]);
    }
    writer.write(weights(model));
  }

  private static Path weights(Path model) {
    return model.resolve("model.safetensors");
  }

  private static void move(byte[][] weights, Random random) {
    for (byte[] own : weights) {
      for (int i = 0; i < own.length; i += 9000 + random.nextInt(9000)) {
        own[i] ^= (byte) (1 + random.nextInt(255));
      }
    }
  }

  private Path patch(Context context, Path from, Path to, String name) throws IOException {
    Path patch = directory.resolve(name);
    try (Checkpoint before = Checkpoint.open(context, from);
        Checkpoint after = Checkpoint.open(context, to)) {
      new PatchCreator(context, PatchOptions.of(PatchFormat.PLANAR))
          .create(before, after, patch, Progress.NONE);
    }
    return patch;
  }

  private Path tuned() throws IOException {
    Path tuned = Files.createDirectory(directory.resolve("tuned"));
    move(weights, random);
    store(tuned, weights);
    return tuned;
  }

  private static void apply(Context context, Path model, Path patch) throws IOException {
    new PatchInPlace(context, model).recoverAndApply(patch, DigestPolicy.REQUIRED, Progress.NONE);
  }

  @Test
  void inPlaceAtEachChange() throws IOException {
    inPlaceAtEachChange(this::tuned, 3);
  }

  /** The journal has bitmaps, and each tensor is written in one call. */
  @Test
  void inPlaceAtEachChangeOfManyElements() throws IOException {
    inPlaceAtEachChange(
        () -> {
          Path tuned = Files.createDirectory(directory.resolve("tuned"));
          for (byte[] own : weights) {
            for (int i = 0; i < own.length; i += 6) {
              own[i] ^= 1;
            }
          }
          store(tuned, weights);
          return tuned;
        },
        1);
  }

  /** Makes another version of the model. */
  private interface Change {
    Path tuned() throws IOException;
  }

  private void inPlaceAtEachChange(Change change, int leastMixed) throws IOException {
    byte[] before = Files.readAllBytes(weights(model));
    Path tuned = change.tuned();
    byte[] after = Files.readAllBytes(weights(tuned));
    try (Context context = Context.open(Context.Device.CPU, 1)) {
      Path patch = patch(context, model, tuned, "patch.safetensors");
      int mixed = 0;
      int changes = 0;
      for (boolean dead = true; dead; changes++) {
        Files.write(weights(model), before);
        DyingDisk disk = new DyingDisk(changes, random);
        try {
          apply(context, disk.path(model), patch);
        } catch (DyingDisk.Death e) {
          assertThat(disk.isDead()).isTrue();
        }
        dead = disk.isDead();
        byte[] now = Files.readAllBytes(weights(model));
        boolean isOld = Arrays.equals(now, before);
        boolean isNew = Arrays.equals(now, after);
        mixed += isOld || isNew ? 0 : 1;
        boolean completed = new PatchInPlace(context, model).recover();
        assertThat(isOld || isNew || completed).isTrue();
        assertThat(Files.readAllBytes(weights(model)))
            .isEqualTo(isOld && !completed ? before : after);
        if (isOld && !completed) {
          apply(context, model, patch);
        }
        assertThat(Files.readAllBytes(weights(model))).isEqualTo(after);
        Files.deleteIfExists(model.resolve("..threegate-patch-journal.lock"));
        assertThat(AtomicFiles.list(model)).hasSize(2);
      }
      assertThat(mixed).as("kills inside the writes to the weights").isGreaterThan(leastMixed);
      System.out.println(
          "in place: killed at each of " + changes + " changes, " + mixed + " inside");
    }
  }

  /** A user whose command was killed runs the same command again. */
  @Test
  void inPlaceAtEachChangeAndAgain() throws IOException {
    byte[] before = Files.readAllBytes(weights(model));
    Path tuned = tuned();
    byte[] after = Files.readAllBytes(weights(tuned));
    try (Context context = Context.open(Context.Device.CPU, 1)) {
      Path patch = patch(context, model, tuned, "patch.safetensors");
      for (int changes = 0; ; changes++) {
        Files.write(weights(model), before);
        DyingDisk disk = new DyingDisk(changes, random);
        try {
          apply(context, disk.path(model), patch);
          break;
        } catch (DyingDisk.Death e) {
          byte[] now = Files.readAllBytes(weights(model));
          boolean isDone =
              Arrays.equals(now, after) && !new PatchInPlace(context, model).isInterrupted();
          if (!isDone) {
            apply(context, model, patch);
            assertThat(AtomicFiles.list(model)).hasSize(2);
          }
          assertThat(Files.readAllBytes(weights(model))).isEqualTo(after);
          Files.deleteIfExists(model.resolve("..threegate-patch-journal.lock"));
        }
      }
    }
  }

  private static PatchPublisher.Options options(PatchFormat format) {
    return new PatchPublisher.Options(format, ChecksumFormat.XXH3_128, 3, 1);
  }

  @ParameterizedTest
  @EnumSource(names = {"PLANAR", "DISK_DELTA_OVERWRITE"})
  void publishersAndSubscribersAtEachChange(PatchFormat format) throws IOException {
    try (Context context = Context.open(Context.Device.CPU, 1)) {
      int killed = 0;
      for (int changes = random.nextInt(STRIDE); ; changes += STRIDE) {
        AtomicFiles.deleteDirectory(versions);
        AtomicFiles.deleteDirectory(served);
        DyingDisk disk = new DyingDisk(changes, random);
        try {
          PatchPublisher publisher =
              PatchPublisher.open(context, disk.path(versions), model, options(format));
          for (int i = 0; i < 4; i++) {
            move(weights, random);
            store(model, weights);
            publisher.publish(model);
            new PatchSubscriber(context, disk.path(versions), disk.path(served)).update();
          }
          break;
        } catch (DyingDisk.Death e) {
          killed++;
        }
        if (!VersionDirectory.versions(Files.createDirectories(versions)).isEmpty()) {
          new PatchSubscriber(context, versions, served).update();
        }
        PatchPublisher publisher = PatchPublisher.open(context, versions, model, options(format));
        // A version that was complete when the publisher was killed counts as published.
        move(weights, random);
        store(model, weights);
        for (int i = 0; i < 3; i++) {
          publisher.publish(model);
        }
        long last = new PatchSubscriber(context, versions, served).update();
        assertThat(last).isEqualTo(publisher.version());
        assertThat(Files.mismatch(weights(served), weights(model))).isEqualTo(-1);
        assertThat(names(directory)).containsOnly("model", "served", "versions");
        assertThat(names(served))
            .containsOnly("model.safetensors", "config.json", ".threegate-version");
        assertThat(names(versions))
            .allMatch(name -> name.equals(".published") || name.matches("weight_v\\d{6}"));
      }
      System.out.println("published and followed: killed " + killed + " times");
    }
  }

  private static List<String> names(Path directory) throws IOException {
    return AtomicFiles.list(directory).stream().map(path -> path.getFileName().toString()).toList();
  }

  /** Starts a child process of this test. */
  private Process child(String... arguments) throws IOException {
    List<String> command =
        new ArrayList<>(
            List.of(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "-XX:TieredStopAtLevel=1",
                "-Xshare:auto"));
    for (String property : List.of("threegate.binding", "threegate.native")) {
      if (System.getProperty(property) != null) {
        command.add("-D" + property + "=" + System.getProperty(property));
      }
    }
    command.addAll(List.of("-cp", System.getProperty("java.class.path"), Child.class.getName()));
    command.addAll(List.of(arguments));
    return new ProcessBuilder(command).redirectError(ProcessBuilder.Redirect.INHERIT).start();
  }

  /** Waits until the child has begun, and kills it at most this many milliseconds later. */
  private void kill(Process child, int millis) throws Exception {
    assertThat(child.getInputStream().read()).isEqualTo('!');
    TimeUnit.MICROSECONDS.sleep(random.nextInt(1000 * millis));
    assertThat(child.isAlive()).isTrue();
    child.destroyForcibly().waitFor();
  }

  @Test
  void inPlaceBySignals() throws Exception {
    byte[] before = Files.readAllBytes(weights(model));
    Path tuned = tuned();
    byte[] after = Files.readAllBytes(weights(tuned));
    int completed = 0;
    try (Context context = Context.open(Context.Device.CPU, 1)) {
      Path there = patch(context, model, tuned, "there.safetensors");
      Path back = patch(context, tuned, model, "back.safetensors");
      for (int i = 0; i < KILLS; i++) {
        kill(child("apply", model.toString(), there.toString(), back.toString()), 300);
        boolean interrupted = new PatchInPlace(context, model).recover();
        completed += interrupted ? 1 : 0;
        byte[] now = Files.readAllBytes(weights(model));
        assertThat(now).isIn(before, after);
        boolean isOld = Arrays.equals(now, before);
        apply(context, model, isOld ? there : back);
        assertThat(Files.readAllBytes(weights(model))).isEqualTo(isOld ? after : before);
        assertThat(names(model)).containsOnly("model.safetensors", "config.json");
      }
    }
    System.out.println("in place: " + KILLS + " signals, " + completed + " inside the writes");
  }

  @Test
  void followersBesideALivePublisherBySignals() throws Exception {
    try (Context context = Context.open(Context.Device.CPU, 1)) {
      PatchPublisher.open(context, versions, model, options(PatchFormat.PLANAR));
      Process publisher =
          child("publish", versions.toString(), directory.resolve("live").toString());
      try {
        assertThat(publisher.getInputStream().read()).isEqualTo('!');
        for (int i = 0; i < KILLS; i++) {
          kill(child("follow", versions.toString(), served.toString()), 300);
          // The follower continues to an existing version. The update compares digests, so the bits
          // are right.
          long version = new PatchSubscriber(context, versions, served).update();
          assertThat(version).isPositive();
          assertThat(names(directory))
              .isSubsetOf("model", "served", "versions", ".versions.lock", "live");
          assertThat(names(served)).contains("model.safetensors", ".threegate-version");
        }
      } finally {
        publisher.destroyForcibly().waitFor();
      }
      PatchPublisher last =
          PatchPublisher.open(context, versions, model, options(PatchFormat.PLANAR));
      last.publish(model);
      assertThat(new PatchSubscriber(context, versions, served).update()).isEqualTo(last.version());
      assertThat(Files.mismatch(weights(served), weights(model))).isEqualTo(-1);
      assertThat(names(versions))
          .allMatch(name -> name.equals(".published") || name.matches("weight_v\\d{6}"));
      System.out.println("followed: " + KILLS + " signals up to version " + last.version());
    }
  }

  /** The program that is killed. */
  static final class Child {
    public static void main(String[] arguments) throws IOException {
      try (Context context = Context.open(Context.Device.CPU, 1)) {
        switch (arguments[0]) {
          case "apply" -> apply(context, arguments);
          case "follow" -> follow(context, arguments);
          default -> publish(context, arguments);
        }
      }
    }

    private static void begun() {
      System.out.print('!');
      System.out.flush();
    }

    /** Applies a patch and its inverse in turn. */
    private static void apply(Context context, String... arguments) throws IOException {
      Path model = Path.of(arguments[1]);
      Path there = Path.of(arguments[2]);
      Path back = Path.of(arguments[3]);
      boolean isOld;
      try (Checkpoint now = Checkpoint.open(context, model);
          WeightPatch patch = WeightPatch.open(context, back)) {
        isOld = new PatchVerifier(patch).isResult(now);
      }
      begun();
      while (true) {
        KilledPatchesTest.apply(context, model, isOld ? there : back);
        isOld = !isOld;
      }
    }

    private static void follow(Context context, String... arguments) throws IOException {
      PatchSubscriber subscriber =
          new PatchSubscriber(context, Path.of(arguments[1]), Path.of(arguments[2]));
      begun();
      while (true) {
        subscriber.update();
      }
    }

    private static void publish(Context context, String... arguments) throws IOException {
      Path versions = Path.of(arguments[1]);
      Path live = Files.createDirectory(Path.of(arguments[2]));
      Random random = new Random(1);
      byte[][] weights = new byte[TENSORS][BYTES];
      PatchPublisher publisher =
          PatchPublisher.open(context, versions, live, options(PatchFormat.PLANAR));
      for (boolean begun = false; ; begun = true) {
        move(weights, random);
        store(live, weights);
        publisher.publish(live);
        if (!begun) {
          begun();
        }
      }
    }
  }
}
