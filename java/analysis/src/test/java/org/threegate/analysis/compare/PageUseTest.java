package org.threegate.analysis.compare;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.threegate.analysis.pairing.Pairing;
import org.threegate.analysis.pairing.WeightPair;
import org.threegate.checkpoint.Checkpoint;
import org.threegate.checkpoint.SafetensorsWriter;
import org.threegate.checkpoint.Tensor;
import org.threegate.checkpoint.TensorType;
import org.threegate.kernel.Context;

class PageUseTest {
  @TempDir Path directory;

  /** Pages that a later part reads again must stay in memory. */
  @Test
  void pagesAreGivenBackAfterTheLastPart() throws IOException {
    new SafetensorsWriter()
        .tensor(
            "model.layers.0.mlp.gate_up_proj.weight", TensorType.F32, List.of(4L, 2L), new byte[32])
        .tensor("model.norm.weight", TensorType.F32, List.of(2L), new byte[8])
        .write(directory.resolve("model.safetensors"));
    Files.writeString(directory.resolve("config.json"), "{\"model_type\":\"phi3\"}");
    try (Context context = Context.open(Context.Device.CPU, 1);
        Checkpoint checkpoint = Checkpoint.open(context, directory)) {
      List<WeightPair> pairs = Pairing.of(checkpoint, checkpoint, name -> true).pairs();
      PageUse use = new PageUse(pairs);
      assertThat(pairs).hasSize(3);
      for (WeightPair pair : pairs) {
        List<String> done = use.lastReadBy(pair).stream().map(Tensor::name).toList();
        if (pair.name().endsWith("[gate]")) {
          assertThat(done).isEmpty();
        } else {
          assertThat(done).containsExactly(pair.name().replace("[up]", ""));
        }
      }
    }
  }
}
