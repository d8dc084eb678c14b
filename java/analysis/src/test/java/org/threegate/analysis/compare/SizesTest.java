package org.threegate.analysis.compare;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.threegate.analysis.curvature.Capture;
import org.threegate.analysis.mask.MaskFile;
import org.threegate.analysis.pairing.Pairing;
import org.threegate.checkpoint.Checkpoint;
import org.threegate.checkpoint.SafetensorsWriter;
import org.threegate.checkpoint.TensorType;
import org.threegate.kernel.Context;
import org.threegate.run.InvalidInputException;
import org.threegate.testing.JsonMutations;
import org.threegate.testing.NativeLeaks;

/** Tests that the sizes stated in files are checked against the data in them. */
@ExtendWith(NativeLeaks.class)
class SizesTest {
  @TempDir Path directory;

  private Path mask(String shapes, List<Long> stored) throws Exception {
    long bytes = stored.stream().reduce(1L, Math::multiplyExact);
    Path file = directory.resolve("mask.safetensors");
    new SafetensorsWriter()
        .metadata("format", MaskFile.FORMAT)
        .metadata("shapes", shapes)
        .tensor("w", TensorType.U8, stored, new byte[(int) bytes])
        .write(file);
    return file;
  }

  @Test
  void noShapeOfAMaskIsBelieved() throws Exception {
    try (Context context = Context.open()) {
      int refused =
          JsonMutations.requireReadOrRefused(
              "{\"w\": [3, 12]}",
              InvalidInputException.class,
              "mask.safetensors",
              text -> {
                MaskFile read = MaskFile.read(context, mask(text, List.of(3L, 2L)));
                assertThat(read.entries()).allMatch(entry -> entry.mask().rows() == 3);
              });
      assertThat(refused).isGreaterThan(80);
    }
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = ';',
      value = {
        "[1099511627776, 0]; 1099511627776, 0",
        "[2147483647, 0]; 2147483647, 0",
        "[0, 8]; 0, 1",
        "[1, 9223372036854775807]; 1, 0",
        "[1, \"8\"]; 1, 1",
        "[1, 8.0]; 1, 1",
        "[1, 8, 8]; 1, 1",
        "[-1, 8]; 1, 1"
      })
  void aMaskOfAnImpossibleShapeIsRefused(String shape, String stored) throws Exception {
    List<Long> sizes = List.of(stored.split(", ")).stream().map(Long::valueOf).toList();
    try (Context context = Context.open()) {
      Path file = mask("{\"w\": " + shape + "}", sizes);
      assertThatThrownBy(() -> MaskFile.read(context, file))
          .isInstanceOf(InvalidInputException.class)
          .hasMessageContaining("mask.safetensors")
          .hasMessageContaining("\"w\"");
    }
  }

  @ParameterizedTest
  @ValueSource(longs = {0, 1})
  void expertsAreFewAndNotEmpty(long side) throws Exception {
    long count = side == 0 ? Integer.MAX_VALUE : 100_000;
    Path file = directory.resolve("model.safetensors");
    new SafetensorsWriter()
        .tensor(
            "model.layers.0.mlp.experts.down_proj",
            TensorType.F32,
            List.of(count, side, side),
            new byte[(int) (4 * count * side)])
        .write(file);
    try (Context context = Context.open();
        Checkpoint checkpoint = Checkpoint.open(context, file)) {
      assertThat(Pairing.of(checkpoint, checkpoint, name -> true).pairs()).hasSize(1);
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"1e999", "NaN", "-1", "-0x1p9", "1e", "\u0000"})
  void aDivergenceThatIsNoneIsRefused(String text) throws Exception {
    Path file = capture(Map.of("fisher", "true", "kl", text), List.of(2L, 3L), List.of(2L));
    refused(file, "\"kl\"");
  }

  private void refused(Path file, String part) {
    try (Context context = Context.open()) {
      assertThatThrownBy(() -> Capture.open(context, file))
          .isInstanceOf(InvalidInputException.class)
          .hasMessageContaining("capture.safetensors")
          .hasMessageContaining(part);
    }
  }

  private Path capture(Map<String, String> metadata, List<Long> input, List<Long> sequence)
      throws Exception {
    Path file = directory.resolve("capture.safetensors");
    SafetensorsWriter writer = new SafetensorsWriter();
    metadata.forEach(writer::metadata);
    long elements = input.stream().reduce(1L, Math::multiplyExact);
    byte[] values = new byte[(int) (4 * elements)];
    writer
        .tensor("l.input", TensorType.F32, input, values)
        .tensor("l.grad_output", TensorType.F32, input, values)
        .tensor(
            "l.sequence",
            TensorType.I64,
            sequence,
            new byte[(int) (8 * sequence.stream().reduce(1L, Math::multiplyExact))])
        .write(file);
    return file;
  }

  @Test
  void aCaptureOfNothingIsRefused() throws Exception {
    Map<String, String> metadata = Map.of("fisher", "true");
    refused(capture(metadata, List.of((long) Integer.MAX_VALUE, 0L), List.of(1L)), "l.input");
    refused(capture(metadata, List.of(0L, 3L), List.of(0L)), "l.input");
    refused(capture(metadata, List.of(), List.of(1L)), "l.input");
    refused(capture(metadata, List.of(2L, 3L), List.of(3L)), "l.sequence");
    refused(capture(metadata, List.of(2L, 3L), List.of()), "l.sequence");
  }
}
