package org.threegate.patch;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;
import org.threegate.checkpoint.Checkpoint;
import org.threegate.checkpoint.InvalidInputException;
import org.threegate.checkpoint.SafetensorsWriter;
import org.threegate.checkpoint.TensorType;
import org.threegate.kernel.Context;
import org.threegate.testing.NativeLeaks;
import org.threegate.testing.Seeds;

/** Whenever it is interrupted, the files are the old version or, after recovery, the new one. */
@ExtendWith(NativeLeaks.class)
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
    after = Files.readAllBytes(tuned.resolve("model.safetensors"));
    patch = directory.resolve("patch.safetensors");
    try (Context context = Context.open();
        Checkpoint from = Checkpoint.open(context, model);
        Checkpoint to = Checkpoint.open(context, tuned)) {
      WeightPatch.create(
          context, from, to, patch, WeightPatch.Options.PLANAR, WeightPatch.Progress.NONE);
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

  @Test
  void filesBecomeTheNewVersion() throws IOException {
    try (Context context = Context.open()) {
      assertThat(PatchInPlace.recover(context, model)).isFalse();
      PatchInPlace.apply(context, model, patch, WeightPatch.Progress.NONE);
      assertThat(now()).isEqualTo(after);
      assertThat(model.resolve(PatchInPlace.JOURNAL)).doesNotExist();
      assertThatThrownBy(() -> PatchInPlace.apply(context, model, patch, WeightPatch.Progress.NONE))
          .isInstanceOf(InvalidInputException.class)
          .hasMessageContaining("of another base");
      assertThat(now()).isEqualTo(after);
    }
  }

  /** Any part of the writes may have reached the disk when the journal is found again. */
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
        assertThat(PatchInPlace.recover(context, model)).isTrue();
        assertThat(now()).isEqualTo(after);
      }
    }
  }

  /** The journal of this patch. */
  private byte[] journal(Context context) throws IOException {
    PatchInPlace.prepare(
        context, model, patch, WeightPatch.Digests.REQUIRED, WeightPatch.Progress.NONE);
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
        assertThatThrownBy(() -> PatchInPlace.recover(context, model))
            .isInstanceOf(InvalidInputException.class)
            .hasMessageContaining("is damaged");
        assertThat(now()).isEqualTo(before);
        assertThatThrownBy(
                () -> PatchInPlace.apply(context, model, patch, WeightPatch.Progress.NONE))
            .hasMessageContaining("has to be completed first");
      }
    }
  }
}
