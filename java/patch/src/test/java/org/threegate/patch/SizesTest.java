package org.threegate.patch;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.threegate.checkpoint.Checkpoint;
import org.threegate.checkpoint.SafetensorsWriter;
import org.threegate.checkpoint.TensorType;
import org.threegate.kernel.Context;
import org.threegate.run.InvalidInputException;
import org.threegate.run.Progress;
import org.threegate.testing.JsonMutations;
import org.threegate.testing.NativeLeaks;

/** Tests that the sizes and names stated in a patch are checked against its data and its base. */
@ExtendWith(NativeLeaks.class)
class SizesTest {
  private static final int BYTES = 200;

  @TempDir Path directory;
  private Path before;
  private Path after;

  @BeforeEach
  void models() throws Exception {
    before = model("before", 1);
    after = model("after", 3);
  }

  private Path model(String name, int step) throws Exception {
    byte[] weights = new byte[BYTES];
    for (int i = 0; i < BYTES; i += step) {
      weights[i] = (byte) (31 * i);
    }
    Path file = directory.resolve(name + ".safetensors");
    new SafetensorsWriter().tensor("w", TensorType.BF16, List.of(BYTES / 2L), weights).write(file);
    return file;
  }

  private Path patch(Context context, PatchFormat format) throws Exception {
    Path out = directory.resolve(format.isDirectory() ? "patch" : "patch.safetensors");
    try (Checkpoint base = Checkpoint.open(context, before);
        Checkpoint tuned = Checkpoint.open(context, after)) {
      new PatchCreator(context, PatchOptions.of(format).withVersions(new PatchVersions(1, 2)))
          .create(base, tuned, out, Progress.NONE);
    }
    return out;
  }

  private void verify(Context context, Path patch) throws Exception {
    try (Checkpoint base = Checkpoint.open(context, before);
        WeightPatch opened = WeightPatch.open(context, patch)) {
      new PatchVerifier(opened).verify(base, Progress.NONE);
    }
  }

  @ParameterizedTest
  @EnumSource(names = {"DISK_DELTA_XOR", "DISK_DELTA_OVERWRITE"})
  void noFieldOfAnIndexIsBelieved(PatchFormat format) throws Exception {
    try (Context context = Context.open()) {
      Path patch = patch(context, format);
      Path index = patch.resolve(PatchMetadata.INDEX);
      int refused =
          JsonMutations.requireReadOrRefused(
              Files.readString(index),
              InvalidInputException.class,
              "patch",
              text -> {
                Files.writeString(index, text);
                verify(context, patch);
              });
      assertThat(refused).isGreaterThan(50);
    }
  }

  /** Changes the metadata of a patch that is a file, and the shapes of its tensors. */
  @ParameterizedTest
  @EnumSource(names = {"SPARSE", "PLANAR"})
  void noFieldOfAFileIsBelieved(PatchFormat format) throws Exception {
    try (Context context = Context.open()) {
      Path patch = patch(context, format);
      byte[] bytes = Files.readAllBytes(patch);
      int end = Long.BYTES + (int) little(bytes).getLong(0);
      int refused =
          JsonMutations.requireReadOrRefused(
              new String(bytes, Long.BYTES, end - Long.BYTES, StandardCharsets.UTF_8),
              InvalidInputException.class,
              "patch.safetensors",
              text -> {
                Files.write(patch, withHeader(text, Arrays.copyOfRange(bytes, end, bytes.length)));
                verify(context, patch);
              });
      assertThat(refused).isGreaterThan(200);
    }
  }

  private static ByteBuffer little(byte[] bytes) {
    return ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
  }

  private static byte[] withHeader(String text, byte[] data) {
    byte[] header = text.getBytes(StandardCharsets.UTF_8);
    byte[] all = new byte[Long.BYTES + header.length + data.length];
    little(all).putLong(header.length).put(header).put(data);
    return all;
  }
}
