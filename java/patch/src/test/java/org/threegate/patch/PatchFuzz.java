package org.threegate.patch;

import com.github.luben.zstd.Zstd;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import org.threegate.buffer.NativeBuffer;
import org.threegate.checkpoint.Checkpoint;
import org.threegate.checkpoint.SafetensorsWriter;
import org.threegate.checkpoint.TensorType;
import org.threegate.kernel.Context;
import org.threegate.run.InvalidInputException;
import org.threegate.run.Progress;

/**
 * Fuzz target for Jazzer. Any patch is either applied or refused with a message, and no native
 * objects remain. The first byte selects a kind of input: the other bytes are a file, or the
 * contents that a patch of one format has for a tensor. Fuzzing thus reaches the code that reads
 * the contents, too. The corpus has one input of each kind, written byte by byte after
 * docs/patches.md.
 */
public final class PatchFuzz {
  static final int KINDS = 5;
  private static final int BYTES = 600;

  private static final Path DIRECTORY;
  private static final Path BASE;

  static {
    try {
      DIRECTORY = Files.createTempDirectory("threegate-fuzz");
      BASE = DIRECTORY.resolve("base.safetensors");
      byte[] weights = new byte[BYTES];
      for (int i = 0; i < BYTES; i++) {
        weights[i] = (byte) (31 * i);
      }
      new SafetensorsWriter()
          .tensor("w", TensorType.BF16, List.of(BYTES / 2L), weights)
          .tensor("v", TensorType.U8, List.of(7L), Arrays.copyOf(weights, 7))
          .write(BASE);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private PatchFuzz() {}

  public static void fuzzerTestOneInput(byte[] data) throws IOException {
    if (data.length == 0) {
      return;
    }
    Path patch = patch(Math.floorMod(data[0], KINDS), Arrays.copyOfRange(data, 1, data.length));
    long objects = Context.liveObjects();
    try (Context context = Context.open(Context.Device.CPU, 1);
        Checkpoint base = Checkpoint.open(context, BASE)) {
      read(context, base, patch);
    }
    if (Context.liveObjects() != objects || NativeBuffer.leaks() != 0) {
      throw new AssertionError("native objects remain");
    }
  }

  private static void read(Context context, Checkpoint base, Path path) throws IOException {
    try (WeightPatch patch = WeightPatch.open(context, path, DigestPolicy.IF_PRESENT)) {
      patch
          .entries()
          .forEach(
              entry -> {
                if (base.tensors().containsKey(entry.name())) {
                  patch.forEachEntry(base.tensors().get(entry.name()), (begin, entries) -> {});
                }
              });
      new PatchVerifier(patch).verify(base, Progress.NONE);
    } catch (InvalidInputException e) {
      if (e.getMessage().indexOf('\n') >= 0) {
        throw new AssertionError("the message has several lines", e);
      }
    }
  }

  private static Path patch(int kind, byte[] contents) throws IOException {
    Path file = DIRECTORY.resolve("patch.safetensors");
    Path delta = DIRECTORY.resolve("delta");
    SafetensorsWriter writer = new SafetensorsWriter();
    switch (kind) {
      case 0 -> {
        return Files.write(file, contents);
      }
      case 1 -> {
        byte[] frame = Zstd.compress(contents, 1);
        describe(writer, PatchFormat.PLANAR.metadataName())
            .tensor("w", TensorType.U8, List.of((long) frame.length), frame)
            .write(file);
        return file;
      }
      case 2 -> {
        // Half of the bytes are gaps, the others are values.
        int entries = contents.length / 4;
        describe(writer, PatchFormat.SPARSE.metadataName())
            .metadata("model_version", "1")
            .metadata("encoding", "gaps")
            .tensor(
                "w.idx",
                TensorType.U16,
                List.of((long) entries),
                Arrays.copyOf(contents, 2 * entries))
            .tensor(
                "w.val",
                TensorType.BF16,
                List.of((long) entries),
                Arrays.copyOfRange(contents, 2 * entries, 4 * entries))
            .write(file);
        return file;
      }
      default -> {
        Files.createDirectories(delta);
        byte[] frame = Zstd.compress(contents, 1);
        writer
            .metadata("w", "0")
            .tensor("w", TensorType.U8, List.of((long) frame.length), frame)
            .write(delta.resolve(PatchMetadata.SHARD));
        Files.writeString(
            delta.resolve(PatchMetadata.INDEX),
            "{\"metadata\":{\"version\":1,\"base_version\":0,\"delta_encoding\":\""
                + (kind == 3 ? "xor" : "overwrite")
                + "\",\"compression_format\":\"zstd\",\"checksum_format\":\"xxh3-128\"},\"weight_map\":{\"w\":\""
                + PatchMetadata.SHARD
                + "\"}}");
        return delta;
      }
    }
  }

  private static SafetensorsWriter describe(SafetensorsWriter writer, String format) {
    return writer
        .metadata("format", format)
        .metadata("version", "1")
        .metadata("base_version", "0")
        .metadata("checksum_format", "xxh3-128");
  }
}
