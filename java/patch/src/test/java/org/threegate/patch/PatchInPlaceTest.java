package org.threegate.patch;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.zip.CRC32C;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;
import org.threegate.checkpoint.Checkpoint;
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
 * Tests that files have the old version or, after recovery, the new one, whenever a patch is
 * interrupted.
 */
@ExtendWith(NativeLeaks.class)
@Tag("binding")
class PatchInPlaceTest {
  private static final int TENSORS = 5;
  private static final int BYTES = 40_000;

  @TempDir Path directory;
  private Path model;
  private Path patch;
  private byte[] before;
  private byte[] after;

  @BeforeEach
  void write() throws IOException {
    Random random = Seeds.random("PatchInPlaceTest");
    List<byte[]> old = new ArrayList<>();
    for (int i = 0; i < TENSORS; i++) {
      byte[] bytes = new byte[BYTES];
      random.nextBytes(bytes);
      old.add(bytes);
    }
    model = Files.createDirectory(directory.resolve("model"));
    Path tuned = Files.createDirectory(directory.resolve("tuned"));
    write(model, old);
    for (byte[] bytes : old.subList(1, TENSORS)) {
      for (int i = 0; i < bytes.length; i += 1 + random.nextInt(200)) {
        bytes[i] ^= 1;
      }
    }
    write(tuned, old);
    before = Files.readAllBytes(model.resolve("model.safetensors"));
    makePatch(tuned);
  }

  /** Makes {@link #patch} and {@link #after} of another version. */
  private void makePatch(Path tuned) throws IOException {
    after = Files.readAllBytes(tuned.resolve("model.safetensors"));
    patch = directory.resolve("patch.safetensors");
    Files.deleteIfExists(patch);
    try (Context context = Context.open();
        Checkpoint from = Checkpoint.open(context, model);
        Checkpoint to = Checkpoint.open(context, tuned)) {
      new PatchCreator(context, PatchOptions.of(PatchFormat.PLANAR))
          .create(from, to, patch, Progress.NONE);
    }
  }

  private static void write(Path to, List<byte[]> tensors) throws IOException {
    SafetensorsWriter writer = new SafetensorsWriter();
    for (int i = 0; i < tensors.size(); i++) {
      writer.tensor("t" + i, TensorType.BF16, List.of(BYTES / 2L), tensors.get(i));
    }
    writer.write(to.resolve("model.safetensors"));
  }

  private byte[] now() throws IOException {
    return Files.readAllBytes(model.resolve("model.safetensors"));
  }

  /** Changes one of so many elements of all tensors but the first. */
  private void changeOneOf(int step) throws IOException {
    Path tuned = directory.resolve("tuned");
    byte[] changed = before.clone();
    int data = before.length - TENSORS * BYTES;
    for (int at = data + BYTES; at < changed.length; at += 2 * step) {
      changed[at] ^= 1;
    }
    Files.write(tuned.resolve("model.safetensors"), changed);
    makePatch(tuned);
  }

  @Test
  void filesBecomeTheNewVersion() throws IOException {
    try (Context context = Context.open()) {
      assertThat(new PatchInPlace(context, model).recover()).isFalse();
      new PatchInPlace(context, model).apply(patch, Progress.NONE);
      assertThat(now()).isEqualTo(after);
      assertThat(model.resolve(PatchInPlace.JOURNAL)).doesNotExist();
      assertThatThrownBy(() -> new PatchInPlace(context, model).apply(patch, Progress.NONE))
          .isInstanceOf(InvalidInputException.class)
          .hasMessageContaining("from another base");
      assertThat(now()).isEqualTo(after);
    }
  }

  /** Any part of the writes may have reached the disk when the journal is found. */
  @Test
  void interruptedWritesAreCompleted() throws IOException {
    Random random = Seeds.random("interruptedWritesAreCompleted");
    try (Context context = Context.open()) {
      byte[] journal = journal(context);
      for (int trial = 0; trial < 50; trial++) {
        byte[] mixed = before.clone();
        int torn = random.nextInt(mixed.length);
        System.arraycopy(after, 0, mixed, 0, torn);
        for (int page = 0; page + 512 < mixed.length; page += 512) {
          if (random.nextInt(3) == 0) {
            System.arraycopy(after, page, mixed, page, 512);
          }
        }
        Files.write(model.resolve("model.safetensors"), mixed);
        Files.write(model.resolve(PatchInPlace.JOURNAL), journal);
        assertThat(new PatchInPlace(context, model).recover()).isTrue();
        assertThat(now()).isEqualTo(after);
      }
    }
  }

  /** Returns the journal of the patch without patching the files. */
  private byte[] journal(Context context) throws IOException {
    new PatchInPlace(context, model).prepare(patch, DigestPolicy.REQUIRED, Progress.NONE);
    assertThat(now()).isEqualTo(before);
    Path journal = model.resolve(PatchInPlace.JOURNAL);
    byte[] bytes = Files.readAllBytes(journal);
    Files.delete(journal);
    return bytes;
  }

  @Test
  void damagedJournalsAreNotBelieved() throws IOException {
    try (Context context = Context.open()) {
      byte[] journal = journal(context);
      Files.write(model.resolve("model.safetensors"), before);
      Random random = Seeds.random("damagedJournalsAreNotBelieved");
      for (int trial = 0; trial < 60; trial++) {
        byte[] damaged =
            trial % 3 == 0
                ? Arrays.copyOf(journal, random.nextInt(journal.length))
                : journal.clone();
        if (trial % 3 != 0) {
          damaged[random.nextInt(damaged.length)] ^= (byte) (1 << random.nextInt(8));
        }
        Files.write(model.resolve(PatchInPlace.JOURNAL), damaged);
        assertThatThrownBy(() -> new PatchInPlace(context, model).recover())
            .isInstanceOf(InvalidInputException.class)
            .hasMessageContaining("is damaged");
        assertThat(now()).isEqualTo(before);
        assertThatThrownBy(() -> new PatchInPlace(context, model).apply(patch, Progress.NONE))
            .hasMessageContaining("has to be completed first");
      }
    }
  }

  /** What is written is the journal and the changed blocks; here, each block changes. */
  @Test
  void journalsOfManyChangesAreSmall() throws IOException {
    try (Context context = Context.open()) {
      int blocks = (TENSORS - 1) * BYTES;
      int fixed = firstPart() + JournalFormat.TAIL;
      for (int step : new int[] {1, 2, 5, 10, 31, 33, 100}) {
        Files.write(model.resolve("model.safetensors"), before);
        changeOneOf(step);
        int bytes = journal(context).length - fixed;
        double most = Math.min(3.0 / step, 1.0 / step + 1.0 / 16) + 0.01;
        assertThat(bytes).as("one of " + step).isLessThanOrEqualTo((int) (most * blocks));
        if (step >= 5) {
          assertThat(bytes).isLessThanOrEqualTo((int) (0.3 * blocks));
        }
        interruptedWritesAreCompleted();
      }
    }
  }

  @Test
  void bitmapsOfOthersAreHeldAgainstTheCheckpoint() throws IOException {
    changeOneOf(3);
    try (Context context = Context.open()) {
      byte[] journal = journal(context);
      int part = firstPart();
      int bits = part + JournalFormat.PART_HEAD;
      int elements = BYTES / 2;
      assertThat(ByteBuffer.wrap(journal).getInt(part + 12)).isEqualTo(2 | JournalFormat.BITMAP);
      int[][] forged = {
        {part + 12, 1 | JournalFormat.BITMAP},
        {part + 12, 3 | JournalFormat.BITMAP},
        {part + 12, JournalFormat.BITMAP},
        {part + 12, 2},
        {part + 12, 2 | JournalFormat.BITMAP << 1},
        {part + 16, (elements + 2) / 3 - 1},
        {part + 16, (elements + 2) / 3 + 1},
        {part + 16, 0},
        {part + 16, elements + 1},
        {part + 16, -1},
      };
      for (int[] own : forged) {
        byte[] other = journal.clone();
        ByteBuffer.wrap(other).putInt(own[0], own[1]);
        assertRefused(context, signed(other), "is damaged");
      }
      byte[] more = journal.clone();
      more[bits] ^= 2; // element 1, which does not change
      assertRefused(context, signed(more), "is damaged");
      byte[] less = journal.clone();
      less[bits] ^= 1; // element 0, which changes
      assertRefused(context, signed(less), "is damaged");
      byte[] beyond = less.clone();
      beyond[bits + elements / 8] ^= 1;
      assertRefused(context, signed(beyond), "is damaged");
      byte[] another = less.clone();
      another[bits] ^= 2;
      assertRefused(context, signed(another), "not the one that the journal beside it was made");
    }
  }

  @Test
  void forgedBitmapsLeadToTheVersionOfTheDigestsOrNothing() throws IOException {
    changeOneOf(4);
    nothingButTheVersionOfTheDigestsComesOfAForgedJournal();
  }

  /** Returns the journal with a correct checksum. Anyone can compute it. */
  private static byte[] signed(byte[] journal) {
    CRC32C sum = new CRC32C();
    sum.update(journal, 0, journal.length - Long.BYTES);
    ByteBuffer.wrap(journal).putLong(journal.length - Long.BYTES, sum.getValue());
    return journal;
  }

  private void assertRefused(Context context, byte[] journal, String why) throws IOException {
    Files.write(model.resolve(PatchInPlace.JOURNAL), journal);
    assertThatThrownBy(() -> new PatchInPlace(context, model).recover())
        .isInstanceOf(InvalidInputException.class)
        .hasMessageContaining(why);
    assertThat(now()).isEqualTo(before);
  }

  /** Returns the offset of the first part. It follows four digests of 32 characters each. */
  private static int firstPart() {
    return 4 + 32 + 32 + 4 + 4 + 4 * (8 + 32);
  }

  @Test
  void journalsOfOthersAreHeldAgainstTheCheckpoint() throws IOException {
    try (Context context = Context.open()) {
      byte[] journal = journal(context);
      int part = firstPart();
      // Offsets and values of fields. The fields of a part are tensor, first element, width and
      // count. The last offsets are those of the number and the length of digests.
      int[][] forged = {
        {part, -2},
        {part, TENSORS},
        {part, Integer.MAX_VALUE},
        {part + 4, -1},
        {part + 8, 1},
        {part + 4, 1 << 20},
        {part + 12, 0},
        {part + 12, -1},
        {part + 12, 3},
        {part + 12, 4},
        {part + 12, 8},
        {part + 16, -1},
        {part + 16, Integer.MAX_VALUE},
        {part + 16, 1 << 30},
        {68, -1},
        {68, 3},
        {72, -1},
        {72, 5},
        {72, Integer.MAX_VALUE},
        {76, -1},
        {76, TENSORS},
        {80, -1},
        {80, Integer.MAX_VALUE},
        {80, 257},
      };
      for (int[] own : forged) {
        byte[] other = journal.clone();
        ByteBuffer.wrap(other).putInt(own[0], own[1]);
        assertRefused(context, signed(other), "is damaged");
      }
      byte[] beyond = journal.clone();
      ByteBuffer.wrap(beyond).order(ByteOrder.LITTLE_ENDIAN).putInt(part + 20, BYTES / 2);
      assertRefused(context, signed(beyond), "is damaged");
      assertRefused(context, new byte[0], "is damaged");
      assertRefused(context, "TGP2\0\0\0\0\0\0\0\0\0\0\0\0".getBytes(UTF_8), "another version");
      byte[] elsewhere = journal.clone();
      elsewhere[4] ^= 1;
      assertRefused(context, signed(elsewhere), "belongs to other files");
    }
  }

  /**
   * Flips bits of a journal and corrects its checksum. Recovery leads to the new version, or it
   * refuses the journal and keeps the old one.
   */
  @Test
  void nothingButTheVersionOfTheDigestsComesOfAForgedJournal() throws IOException {
    Random random = Seeds.random("nothingButTheVersionOfTheDigests");
    try (Context context = Context.open()) {
      byte[] journal = journal(context);
      int refused = 0;
      for (int trial = 0; trial < 500; trial++) {
        byte[] forged = journal.clone();
        for (int flips = random.nextInt(3); flips >= 0; flips--) {
          forged[4 + 32 + random.nextInt(forged.length - 36)] ^= (byte) (1 << random.nextInt(8));
        }
        Files.write(model.resolve("model.safetensors"), before);
        Files.write(model.resolve(PatchInPlace.JOURNAL), signed(forged));
        try {
          new PatchInPlace(context, model).recover();
          assertThat(now()).isEqualTo(after);
        } catch (InvalidInputException e) {
          assertThat(now()).isEqualTo(before);
          refused++;
        }
      }
      assertThat(refused).isGreaterThan(400);
    }
  }

  /** The headers are equal but one weight differs. Recovery does not overwrite it. */
  @Test
  void journalsOfAnotherVersionAreRefused() throws IOException {
    try (Context context = Context.open()) {
      byte[] journal = journal(context);
      // Elements of two bytes are written whole. The patch therefore keeps only those that are
      // equal in both versions.
      int kept = before.length - 2;
      while (before[kept] != after[kept] || before[kept + 1] != after[kept + 1]) {
        kept -= 2;
      }
      before[kept] ^= 1;
      Files.write(model.resolve("model.safetensors"), before);
      assertRefused(context, journal, "not the one that the journal beside it was made for");
    }
  }

  @Test
  void linksAndOtherNamesOfWeightsAreRefused() throws IOException {
    Path weights = model.resolve("model.safetensors");
    Path blob = Files.createDirectories(directory.resolve("blobs")).resolve("b10b");
    Files.setPosixFilePermissions(weights, PosixFilePermissions.fromString("r--r--r--"));
    Files.move(weights, blob);
    Files.createSymbolicLink(weights, Path.of("../blobs/b10b"));
    try (Context context = Context.open()) {
      assertThatThrownBy(() -> new PatchInPlace(context, model).apply(patch, Progress.NONE))
          .isInstanceOf(InvalidInputException.class)
          .hasMessageContaining("is a link to another file, which other models may share");
      assertThat(AtomicFiles.list(model)).containsExactly(weights);
      Files.delete(weights);
      Files.createLink(weights, blob);
      assertThatThrownBy(() -> new PatchInPlace(context, model).apply(patch, Progress.NONE))
          .isInstanceOf(InvalidInputException.class)
          .hasMessageContaining("has 2 names (hard links), which other models may share");
      assertThat(now()).isEqualTo(before);
      Files.delete(blob);
      var mode = PosixFilePermissions.fromString("rw-r-----");
      Files.setPosixFilePermissions(weights, mode);
      new PatchInPlace(context, model).apply(patch, Progress.NONE);
      assertThat(now()).isEqualTo(after);
      assertThat(Files.getPosixFilePermissions(weights)).isEqualTo(mode);
    }
  }

  @Test
  void journalsThatAreNoFilesAreRefused() throws IOException {
    try (Context context = Context.open()) {
      byte[] journal = journal(context);
      Path real = Files.write(directory.resolve("journal"), journal);
      Files.createSymbolicLink(model.resolve(PatchInPlace.JOURNAL), real);
      assertThatThrownBy(() -> new PatchInPlace(context, model).recover())
          .hasMessageContaining("is damaged");
      Files.delete(model.resolve(PatchInPlace.JOURNAL));
      Files.createDirectory(model.resolve(PatchInPlace.JOURNAL));
      assertThatThrownBy(() -> new PatchInPlace(context, model).recover())
          .hasMessageContaining("is damaged");
      assertThat(now()).isEqualTo(before);
    }
  }

  /** A user whose command was killed runs the same command again. */
  @Test
  void theSamePatchIsNotAppliedTwice() throws IOException {
    try (Context context = Context.open()) {
      byte[] journal = journal(context);
      Files.write(model.resolve(PatchInPlace.JOURNAL), journal);
      Files.writeString(AtomicFiles.temporary(model.resolve(PatchInPlace.JOURNAL)), "half");
      DigestPolicy digests = DigestPolicy.REQUIRED;
      assertThat(new PatchInPlace(context, model).recoverAndApply(patch, digests, Progress.NONE))
          .isTrue();
      assertThat(now()).isEqualTo(after);
      assertThat(AtomicFiles.list(model)).containsExactly(model.resolve("model.safetensors"));
      Files.write(model.resolve("model.safetensors"), before);
      assertThat(new PatchInPlace(context, model).recoverAndApply(patch, digests, Progress.NONE))
          .isFalse();
      assertThat(now()).isEqualTo(after);
    }
  }

  @Test
  void oneAtATimePatchesAModel() throws Exception {
    try (OutputLock held = OutputLock.of(model.resolve(PatchInPlace.JOURNAL));
        Context context = Context.open()) {
      assertThat(held.output()).doesNotExist();
      assertThat(
              CompletableFuture.supplyAsync(
                      () -> {
                        try {
                          new PatchInPlace(context, model).apply(patch, Progress.NONE);
                          return "patched";
                        } catch (IOException | RuntimeException e) {
                          return e.getMessage();
                        }
                      })
                  .get(1, TimeUnit.MINUTES))
          .contains("another run is writing it");
      assertThat(now()).isEqualTo(before);
    }
  }
}
