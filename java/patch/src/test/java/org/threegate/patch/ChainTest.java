package org.threegate.patch;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.github.luben.zstd.EndDirective;
import com.github.luben.zstd.ZstdCompressCtx;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.threegate.checkpoint.Checkpoint;
import org.threegate.checkpoint.SafetensorsFile;
import org.threegate.checkpoint.SafetensorsWriter;
import org.threegate.checkpoint.Tensor;
import org.threegate.checkpoint.TensorType;
import org.threegate.file.AtomicFiles;
import org.threegate.kernel.Context;
import org.threegate.run.InvalidInputException;
import org.threegate.run.Progress;
import org.threegate.testing.NativeLeaks;
import org.threegate.testing.Seeds;

/**
 * Tests combinations of patches, patches of other writers, any number of threads, and tensors
 * beyond 32-bit positions.
 */
@ExtendWith(NativeLeaks.class)
class ChainTest {
  private static final int TENSORS = 5;
  private static final int BYTES = 3000;

  @TempDir Path directory;

  private final byte[][] weights = new byte[TENSORS][BYTES];

  private Path model(String name) throws IOException {
    Path model = directory.resolve(name);
    SafetensorsWriter writer = new SafetensorsWriter();
    for (int i = 0; i < TENSORS; i++) {
      writer.tensor("w" + i, TensorType.BF16, List.of(BYTES / 2L), weights[i].clone());
    }
    writer.write(model);
    return model;
  }

  /** Changes most tensors, but not the same ones each time. */
  private void move(Random random) {
    for (byte[] own : weights) {
      if (random.nextInt(3) > 0) {
        for (int i = 0; i < BYTES; i += 1 + random.nextInt(40)) {
          own[i] ^= (byte) (1 + random.nextInt(255));
        }
      }
    }
  }

  private Path create(Context context, Path from, Path to, PatchFormat format, int version)
      throws IOException {
    Path out = directory.resolve(format.label() + version + "-" + from.getFileName());
    try (Checkpoint before = Checkpoint.open(context, from);
        Checkpoint after = Checkpoint.open(context, to)) {
      new PatchCreator(
              context,
              PatchOptions.of(format).withVersions(new PatchVersions(version - 1, version)))
          .create(before, after, out, Progress.NONE);
    }
    return out;
  }

  private static byte[] bytes(Path patch) throws IOException {
    return Files.readAllBytes(
        Files.isDirectory(patch) ? patch.resolve(PatchMetadata.SHARD) : patch);
  }

  private void combine(Context context, Path base, List<Path> paths, PatchOptions options, Path out)
      throws IOException {
    List<WeightPatch> patches = new ArrayList<>();
    try (Checkpoint model = Checkpoint.open(context, base)) {
      for (Path path : paths) {
        patches.add(WeightPatch.open(context, path));
      }
      new PatchCombiner(context, options).combine(model, patches, out, Progress.NONE);
    } finally {
      patches.forEach(WeightPatch::close);
    }
  }

  /**
   * Combines patches of every format. The result equals a patch from the first model to the last
   * one.
   */
  @ParameterizedTest
  @EnumSource(PatchFormat.class)
  void patchesOfPatchesAreThoseOfTheirEnds(PatchFormat format) throws IOException {
    Random random = Seeds.random("patchesOfPatchesAreThoseOfTheirEnds" + format);
    for (byte[] own : weights) {
      random.nextBytes(own);
    }
    try (Context context = Context.open()) {
      Path base = model("model-0");
      List<Path> chain = new ArrayList<>();
      Path last = base;
      for (PatchFormat own : PatchFormat.values()) {
        move(random);
        int version = chain.size() + 1;
        Path next = model("model-" + version);
        chain.add(create(context, last, next, own, version));
        last = next;
      }
      PatchOptions options =
          PatchOptions.of(format)
              .withChecksum(ChecksumFormat.ADLER32)
              .withVersions(new PatchVersions(0, chain.size()));
      Path direct = directory.resolve("direct");
      try (Checkpoint before = Checkpoint.open(context, base);
          Checkpoint after = Checkpoint.open(context, last)) {
        new PatchCreator(context, options).create(before, after, direct, Progress.NONE);
      }
      Path combined = directory.resolve("combined");
      combine(context, base, chain, options, combined);
      assertThat(bytes(combined)).isEqualTo(bytes(direct));
      Path refused = directory.resolve("refused");
      assertThatThrownBy(
              () -> combine(context, base, List.of(chain.get(0), chain.get(2)), options, refused))
          .isInstanceOf(InvalidInputException.class)
          .hasMessageContaining("applies to version 2, but the patch before it leads to version 1");
      Path other = last;
      assertThatThrownBy(() -> combine(context, other, chain, options, refused))
          .isInstanceOf(InvalidInputException.class)
          .hasMessageContaining("from another base");
      assertThat(directory.resolve("refused").resolve(PatchMetadata.INDEX)).doesNotExist();
      try (var left = Files.list(directory)) {
        assertThat(left).noneMatch(path -> path.getFileName().toString().startsWith(".partial"));
      }
    }
  }

  @ParameterizedTest
  @EnumSource(PatchFormat.class)
  void bytesDoNotDependOnThreads(PatchFormat format) throws IOException {
    Random random = Seeds.random("bytesDoNotDependOnThreads" + format);
    Path base = model("base");
    move(random);
    Path tuned = model("tuned");
    byte[] alone = {};
    for (int threads : new int[] {1, 2, 7}) {
      try (Context context = Context.open(Context.Device.CPU, threads)) {
        Path out = create(context, base, tuned, format, 1);
        if (threads == 1) {
          alone = bytes(out);
        } else {
          assertThat(bytes(out)).as(threads + " threads").isEqualTo(alone);
        }
        if (Files.isDirectory(out)) {
          AtomicFiles.deleteDirectory(out);
        } else {
          Files.delete(out);
        }
      }
    }
    assertThat(alone).isNotEmpty();
  }

  /** A patch of TRL has raw positions, no digests, and only the version to which it leads. */
  @Test
  void sparsePatchesOfOtherWritersAreRead() throws IOException {
    Path base = model("base");
    byte[] positions = new byte[12];
    ByteBuffer.wrap(positions).order(ByteOrder.LITTLE_ENDIAN).putInt(0).putInt(7).putInt(1499);
    byte[] values = {1, 2, 3, 4, 5, 6};
    Path patch = directory.resolve("other.safetensors");
    new SafetensorsWriter()
        .metadata("format", "sparse_weight_patch")
        .metadata("version", "1")
        .metadata("sparse", "true")
        .metadata("model_version", "12")
        .tensor("w3.idx", TensorType.I32, List.of(3L), positions)
        .tensor("w3.val", TensorType.BF16, List.of(3L), values)
        .write(patch);
    try (Context context = Context.open();
        Checkpoint model = Checkpoint.open(context, base)) {
      assertThatThrownBy(() -> WeightPatch.open(context, patch))
          .isInstanceOf(InvalidInputException.class)
          .hasMessageContaining("\"digest.w3\" is missing");
      try (WeightPatch opened = WeightPatch.open(context, patch, DigestPolicy.IF_PRESENT)) {
        assertThat(opened.options().versions().target()).isEqualTo(12);
        assertThat(opened.options().versions().base()).isEqualTo(11);
        assertThat(opened.entries().get(0).digest()).isEmpty();
        Path out = directory.resolve("out");
        new PatchApplier(opened, model).apply(out, Progress.NONE);
        weights[3][0] = 1;
        weights[3][1] = 2;
        weights[3][14] = 3;
        weights[3][15] = 4;
        weights[3][2998] = 5;
        weights[3][2999] = 6;
        assertThat(Files.mismatch(out.resolve("base"), model("expected"))).isEqualTo(-1);
        // The patch can be rewritten as one that has digests.
        Path checked = directory.resolve("checked.safetensors");
        new PatchCombiner(context, PatchOptions.of(PatchFormat.PLANAR))
            .combine(model, List.of(opened), checked, Progress.NONE);
        try (WeightPatch again = WeightPatch.open(context, checked)) {
          new PatchVerifier(again).verify(model, Progress.NONE);
          assertThat(again.options().versions().target()).isEqualTo(12);
        }
      }
    }
  }

  /** The gaps fit 16 bits in one chunk but not in the next. All gaps therefore have 32 bits. */
  @Test
  void gapsAreAsWideAsTheWidestOne() throws IOException {
    byte[] before = new byte[ChunkLayout.CHUNK + 100_000];
    byte[] after = before.clone();
    int[] changed = {2, 7, 60_000, ChunkLayout.CHUNK + 90_000};
    for (int position : changed) {
      after[position] = 1;
    }
    Path base = directory.resolve("one.safetensors");
    Path tuned = directory.resolve("other.safetensors");
    List<Long> shape = List.of((long) before.length);
    new SafetensorsWriter().tensor("w", TensorType.U8, shape, before).write(base);
    new SafetensorsWriter().tensor("w", TensorType.U8, shape, after).write(tuned);
    try (Context context = Context.open()) {
      Path patch = create(context, base, tuned, PatchFormat.SPARSE, 1);
      try (SafetensorsFile file = SafetensorsFile.open(context, patch)) {
        Tensor gaps = file.tensors().get(0);
        assertThat(gaps.type()).isEqualTo(TensorType.U32);
        long position = -1;
        for (int i = 0; i < changed.length; i++) {
          position += 1 + file.tensors().get(0).file().buffer().getInt(gaps.offset() + 4L * i);
          assertThat(position).isEqualTo(changed[i]);
        }
      }
      try (Checkpoint model = Checkpoint.open(context, base);
          WeightPatch opened = WeightPatch.open(context, patch)) {
        new PatchVerifier(opened).verify(model, Progress.NONE);
      }
    }
  }

  /** A frame of a few bytes asks for a window of 128 MB. */
  @Test
  void framesGetNoMoreMemoryThanTheyMayNeed() throws IOException {
    Path base = model("base");
    ByteBuffer frame = ByteBuffer.allocateDirect(1000);
    try (ZstdCompressCtx zstd = new ZstdCompressCtx()) {
      zstd.setWindowLog(27);
      zstd.setContentSize(false);
      ByteBuffer contents = ByteBuffer.allocateDirect(4);
      zstd.compressDirectByteBufferStream(frame, contents, EndDirective.CONTINUE);
      assertThat(zstd.compressDirectByteBufferStream(frame, contents, EndDirective.END)).isTrue();
    }
    byte[] stored = new byte[frame.flip().remaining()];
    frame.get(stored);
    Path patch = directory.resolve("patch.safetensors");
    new SafetensorsWriter()
        .metadata("format", PatchFormat.PLANAR.metadataName())
        .metadata("version", "1")
        .metadata("base_version", "0")
        .metadata("checksum_format", "xxh3-128")
        .metadata("digest.w0", "")
        .metadata("base_digest.w0", "")
        .tensor("w0", TensorType.U8, List.of((long) stored.length), stored)
        .write(patch);
    try (Context context = Context.open();
        Checkpoint model = Checkpoint.open(context, base);
        WeightPatch opened = WeightPatch.open(context, patch)) {
      assertThatThrownBy(() -> new PatchVerifier(opened).verify(model, Progress.NONE))
          .isInstanceOf(InvalidInputException.class)
          .hasMessageContaining(
              "needs a window of 134217728 bytes, although its contents have at most 7504 bytes");
    }
  }

  private static final long HUGE = (1L << 32) + 10;

  /** Writes a file of zeros with a few other bytes. The file is sparse. */
  private static void writeHuge(Path path, long[] positions, int value) throws IOException {
    byte[] header =
        ("{\"w\":{\"dtype\":\"U8\",\"shape\":[" + HUGE + "],\"data_offsets\":[0," + HUGE + "]}}  ")
            .getBytes(StandardCharsets.UTF_8);
    try (FileChannel file =
        FileChannel.open(path, StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE)) {
      ByteBuffer begin = ByteBuffer.allocate(8 + header.length).order(ByteOrder.LITTLE_ENDIAN);
      FileIo.writeFully(file, begin.putLong(header.length).put(header).flip());
      long data = file.position();
      for (long position : positions) {
        file.write(ByteBuffer.wrap(new byte[] {(byte) value}), data + position);
      }
      file.write(ByteBuffer.wrap(new byte[] {0}), data + HUGE - 2);
      file.write(ByteBuffer.wrap(new byte[] {9}), data + HUGE - 1);
    }
  }

  /** Positions of more than 32 bits are supported. */
  @Test
  void tensorsMayHaveMoreThanTwoToThe32Elements() throws IOException {
    long[] changed = {3, (1L << 32) - 1, 1L << 32, (1L << 32) + 5};
    Path base = directory.resolve("base.safetensors");
    Path tuned = directory.resolve("tuned.safetensors");
    writeHuge(base, new long[] {17}, 1);
    writeHuge(tuned, new long[] {17}, 1);
    try (FileChannel file = FileChannel.open(tuned, StandardOpenOption.WRITE)) {
      long data = Files.size(tuned) - HUGE;
      for (long position : changed) {
        file.write(ByteBuffer.wrap(new byte[] {5}), data + position);
      }
    }
    try (Context context = Context.open()) {
      Path planar = create(context, base, tuned, PatchFormat.PLANAR, 1);
      assertThat(Files.size(planar)).isLessThan(10_000);
      Path sparse = create(context, base, tuned, PatchFormat.SPARSE, 1);
      try (Checkpoint model = Checkpoint.open(context, base);
          WeightPatch opened = WeightPatch.open(context, sparse)) {
        new PatchVerifier(opened).verify(model, Progress.NONE);
        List<Long> positions = new ArrayList<>();
        opened.forEachEntry(
            model.tensors().get("w"),
            (begin, entries) -> {
              for (long i = 0; i < entries.count(); i++) {
                positions.add(begin + entries.positions().getInt(4 * i));
              }
            });
        assertThat(positions).containsExactly(3L, (1L << 32) - 1, 1L << 32, (1L << 32) + 5);
      }
      assertThatThrownBy(() -> create(context, base, tuned, PatchFormat.DISK_DELTA_OVERWRITE, 1))
          .isInstanceOf(InvalidInputException.class)
          .hasMessageContaining("has 4 GiB or more");
      new PatchInPlace(context, base).apply(planar, Progress.NONE);
    }
    try (FileChannel file = FileChannel.open(base, StandardOpenOption.READ)) {
      long data = Files.size(base) - HUGE;
      for (long position : changed) {
        ByteBuffer one = ByteBuffer.allocate(1);
        FileIo.readFully(file, data + position, one);
        assertThat(one.get()).isEqualTo((byte) 5);
      }
    }
  }
}
