package org.threegate.analysis.mask;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;
import org.threegate.analysis.geometry.GeometryOptions;
import org.threegate.analysis.pairing.Pairing;
import org.threegate.analysis.statistics.Accounting;
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

  /** In a matrix of zeros all entries are tied, and no direction is principal. */
  @Test
  void matricesOfZerosHaveNoMaskAndAreNamed() throws IOException {
    byte[] experts = entries(48, 4);
    Arrays.fill(experts, 4 * 24, 4 * 36, (byte) 0); // gate of the second expert
    new SafetensorsWriter()
        .tensor("a.weight", TensorType.F32, List.of(3L, 4L), entries(12, 4))
        .tensor("b.weight", TensorType.F32, List.of(3L, 4L), new byte[48])
        .tensor("mlp.experts.gate_up_proj", TensorType.F32, List.of(2L, 6L, 4L), experts)
        .write(directory.resolve("model.safetensors"));
    Path file = directory.resolve("mask.safetensors");
    try (Context context = Context.open(Context.Device.CPU, 1);
        Control control = Control.open(context);
        Checkpoint checkpoint = Checkpoint.open(context, directory.resolve("model.safetensors"))) {
      for (MaskKind kind : MaskKind.values()) {
        List<String> expected =
            kind == MaskKind.RANDOM
                ? List.of()
                : List.of("b.weight", "mlp.experts.gate_up_proj[1][gate]");
        GeometryOptions half =
            new GeometryOptions(List.of(1), List.of(), List.of(0.5), List.of(), 0, 1e-6, 0);
        List<Accounting.Note> excluded =
            new MaskWriter(new MaskOptions(kind, half), Map.of(), file)
                .compute(
                    context, MaskFile.matrices(checkpoint, name -> true), Progress.NONE, control);
        MaskFile written = MaskFile.read(context, file);
        assertThat(excluded).extracting(Accounting.Note::tensor).isEqualTo(expected);
        assertThat(written.excluded()).isEqualTo(excluded);
        assertThat(written.entries())
            .extracting(MaskFile.Entry::name)
            .doesNotContainAnyElementsOf(
                expected.isEmpty() ? List.of("nothing is excluded") : expected)
            .hasSize(6 - expected.size());
        Accounting.Side side = written.accounting();
        assertThat(side.tensors()).isEqualTo(3);
        assertThat(side.entries())
            .isEqualTo(new Accounting.Share(expected.isEmpty() ? 72 : 48, 72));
        assertThat(side.weights()).isEqualTo(new Accounting.Share(expected.isEmpty() ? 3 : 2, 3));
        assertThat(side.leftOut())
            .extracting(Accounting.Note::tensor)
            .isEqualTo(expected.isEmpty() ? List.of() : List.of("b.weight"));
      }
      MaskWriter none =
          new MaskWriter(new MaskOptions(MaskKind.SAFE, GeometryOptions.DEFAULT), Map.of(), file);
      Pairing zeros = MaskFile.matrices(checkpoint, "b.weight"::equals);
      assertThatThrownBy(() -> none.compute(context, zeros, Progress.NONE, control))
          .hasMessageContaining("no matrix has a mask of the kind safe: b.weight is zero");
    }
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
