package org.threegate.analysis.mask;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;
import org.threegate.analysis.geometry.GeometryOptions;
import org.threegate.checkpoint.Checkpoint;
import org.threegate.checkpoint.Ranges;
import org.threegate.checkpoint.SafetensorsFile;
import org.threegate.checkpoint.SafetensorsWriter;
import org.threegate.checkpoint.TensorType;
import org.threegate.kernel.Context;
import org.threegate.kernel.Control;
import org.threegate.kernel.Mask;
import org.threegate.run.Progress;
import org.threegate.testing.NativeLeaks;

/** Tests that the mask of a part names the entries of the stored tensor that it selects. */
@ExtendWith(NativeLeaks.class)
class PartMasksTest {
  private static final String FUSED = "gpt_neox.layers.0.attention.query_key_value.weight";
  private static final String EXPERTS = "gpt_neox.layers.0.mlp.experts.gate_up_proj";

  @TempDir Path directory;

  /** The first half of the columns holds small entries, so that half of each part is low. */
  private static byte[] entries(int count, int columns) {
    ByteBuffer bytes = ByteBuffer.allocate(4 * count).order(ByteOrder.LITTLE_ENDIAN);
    for (int i = 0; i < count; i++) {
      bytes.putFloat(i % columns < columns / 2 ? 1e-3f * (i + 1) : 1 + i);
    }
    return bytes.array();
  }

  private static Ranges ranges(JsonNode part, String side) {
    JsonNode range = part.path(side);
    assertThat(range).hasSize(4);
    return new Ranges(
        range.get(0).asLong(), range.get(1).asLong(), range.get(2).asLong(), range.get(3).asLong());
  }

  @Test
  void theMetadataPlacesMasksOfPartsInTheirWeights() throws IOException {
    Path model = Files.createDirectories(directory.resolve("model"));
    new SafetensorsWriter()
        .tensor(FUSED, TensorType.F32, List.of(12L, 4L), entries(48, 4))
        .tensor(EXPERTS, TensorType.F32, List.of(2L, 6L, 4L), entries(48, 4))
        .write(model.resolve("model.safetensors"));
    Files.writeString(
        model.resolve("config.json"),
        "{\"model_type\":\"gpt_neox\",\"num_attention_heads\":2,\"hidden_size\":4}");
    Path file = directory.resolve("mask.safetensors");
    MaskOptions options =
        new MaskOptions(
            MaskKind.LOW,
            new GeometryOptions(List.of(1), List.of(), List.of(0.5), List.of(), 0, 1e-6, 0));
    try (Context context = Context.open(Context.Device.CPU, 1);
        Control control = Control.open(context);
        Checkpoint checkpoint = Checkpoint.open(context, model)) {
      new MaskWriter(options, Map.of(), file)
          .compute(context, MaskFile.matrices(checkpoint, name -> true), Progress.NONE, control);
      MaskFile written = MaskFile.read(context, file);
      assertThat(written.provenance()).doesNotContainKey("parts");
      Map<String, Mask> masks =
          written.entries().stream()
              .collect(Collectors.toMap(MaskFile.Entry::name, MaskFile.Entry::mask));
      assertThat(masks)
          .containsOnlyKeys(
              FUSED + "[q]",
              FUSED + "[k]",
              FUSED + "[v]",
              EXPERTS + "[0][gate]",
              EXPERTS + "[0][up]",
              EXPERTS + "[1][gate]",
              EXPERTS + "[1][up]");
      try (SafetensorsFile raw = SafetensorsFile.open(context, file)) {
        JsonNode parts = new ObjectMapper().readTree(raw.metadata().get("parts"));
        for (String weight : List.of(FUSED, EXPERTS)) {
          boolean[][] whole = new boolean[12][4];
          int seen = 0;
          for (Map.Entry<String, JsonNode> part : parts.properties()) {
            if (part.getValue().path("weight").asText().equals(weight)) {
              Ranges rows = ranges(part.getValue(), "rows");
              Ranges columns = ranges(part.getValue(), "columns");
              Mask mask = masks.get(part.getKey());
              for (int i = 0; i < rows.size(); i++) {
                for (int j = 0; j < columns.size(); j++) {
                  whole[(int) rows.at(i)][(int) columns.at(j)] = mask.contains(i, j);
                  seen++;
                }
              }
            }
          }
          assertThat(seen).isEqualTo(48);
          for (boolean[] row : whole) {
            assertThat(row).as(weight).containsExactly(true, true, false, false);
          }
        }
        assertThat(ranges(parts.path(FUSED + "[k]"), "rows")).isEqualTo(new Ranges(2, 2, 6, 2));
        assertThat(ranges(parts.path(EXPERTS + "[1][up]"), "rows")).isEqualTo(Ranges.of(9, 12));
      }
    }
  }
}
