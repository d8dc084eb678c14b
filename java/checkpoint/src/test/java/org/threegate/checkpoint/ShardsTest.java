package org.threegate.checkpoint;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;
import org.threegate.kernel.Context;
import org.threegate.run.InvalidInputException;
import org.threegate.testing.NativeLeaks;

/** Tests indexes that disagree with their shards. */
@ExtendWith(NativeLeaks.class)
class ShardsTest {
  @TempDir Path directory;

  @BeforeEach
  void index() throws IOException {
    Files.writeString(
        directory.resolve("model.safetensors.index.json"),
        "{\"weight_map\":{\"a\":\"1.safetensors\",\"b\":\"2.safetensors\"}}");
    shard("1.safetensors", "a");
  }

  private void shard(String file, String... tensors) throws IOException {
    SafetensorsWriter writer = new SafetensorsWriter();
    for (String tensor : tensors) {
      writer.tensor(tensor, TensorType.BF16, List.of(1L), new byte[2]);
    }
    writer.write(directory.resolve(file));
  }

  /** Libraries load all tensors of a shard, so that an index cannot hide one. */
  @Test
  void aTensorThatTheIndexDoesNotNameIsRead() throws IOException {
    shard("2.safetensors", "b", "c");
    try (Context context = Context.open(Context.Device.CPU, 1);
        Checkpoint checkpoint = Checkpoint.open(context, directory)) {
      assertThat(checkpoint.tensors()).containsOnlyKeys("a", "b", "c");
    }
  }

  @Test
  void aTensorInTwoShardsIsRefused() throws IOException {
    shard("2.safetensors", "b", "a");
    try (Context context = Context.open(Context.Device.CPU, 1)) {
      assertThatThrownBy(() -> Checkpoint.open(context, directory))
          .isInstanceOf(InvalidInputException.class)
          .hasMessageContaining(
              "tensor \"a\" is stored in 1.safetensors and in 2.safetensors, and libraries differ");
    }
  }
}
