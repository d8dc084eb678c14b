package org.threegate.checkpoint.weight;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.threegate.buffer.NativeBuffer;
import org.threegate.checkpoint.Checkpoint;
import org.threegate.kernel.Context;
import org.threegate.testing.NativeLeaks;

/** Tests that native memory receives the bits that the Java definition of a layout gives. */
@ExtendWith(NativeLeaks.class)
class NativeDecodingTest {
  static Stream<Path> fixtures() throws IOException {
    return Files.list(Path.of("src/test/resources/quantized")).sorted();
  }

  @ParameterizedTest
  @MethodSource("fixtures")
  void theKernelAgreesWithTheDefinition(Path fixture) {
    try (Context context = Context.open(Context.Device.CPU, 2);
        Checkpoint stored = Checkpoint.open(context, fixture.resolve("model.safetensors"))) {
      for (Weight weight : Weights.of(stored).byName().values()) {
        decoder(weight.entries())
            .ifPresent(own -> assertSame(context, own, weight.entries(), weight.name()));
      }
    }
  }

  private static Optional<RowDecoder> decoder(Values values) {
    if (values instanceof Values.Computed computed) {
      return Optional.of(computed.decoder());
    }
    if (values instanceof Values.Scaled scaled) {
      return Optional.of(RowDecoder.of(scaled.codes(), scaled.grid()));
    }
    return Optional.empty();
  }

  private static void assertSame(Context context, RowDecoder decoder, Values values, String name) {
    long columns = values.columns();
    for (long first : List.of(0L, 1L, 5L, 8L, 33L)) {
      for (RowDecoder own : List.of(decoder, decoder.from(2))) {
        long rows = values.rows() - first - (own == decoder ? 0 : 2);
        if (rows <= 0) {
          continue;
        }
        float[] expected = new float[Math.toIntExact(rows * columns)];
        own.decode(first, (int) rows, expected);
        try (NativeBuffer buffer = context.allocate((expected.length + 1) * 4L)) {
          own.decode(context, first, (int) rows, new RowDecoder.Target(buffer, 4, columns));
          float[] actual = buffer.getFloats(4, expected.length);
          for (int i = 0; i < expected.length; i++) {
            assertThat(Float.floatToIntBits(actual[i]))
                .as("%s, entry %d from row %d", name, i, first)
                .isEqualTo(Float.floatToIntBits(expected[i]));
          }
        }
      }
    }
  }
}
