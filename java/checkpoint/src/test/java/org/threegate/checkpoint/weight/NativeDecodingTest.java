package org.threegate.checkpoint.weight;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.threegate.buffer.NativeBuffer;
import org.threegate.checkpoint.Checkpoint;
import org.threegate.kernel.Bf16Diff;
import org.threegate.kernel.Context;
import org.threegate.kernel.KernelException;
import org.threegate.kernel.QuantizedRows;
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

  @ParameterizedTest
  @MethodSource("fixtures")
  void comparisonsReadTheSameEntries(Path fixture) {
    try (Context context = Context.open(Context.Device.CPU, 2);
        Scratch scratch = new Scratch(context);
        Checkpoint stored = Checkpoint.open(context, fixture.resolve("model.safetensors"))) {
      for (Weight weight : Weights.of(stored).byName().values()) {
        try (Values.Opened opened = weight.entries().open(context);
            Values.Compared compared = weight.entries().openToCompare(context, scratch)) {
          Bf16Diff.Result same = Bf16Diff.compare(context, opened.operand(), compared.entries());
          assertThat(same.changedBits()).isZero();
          assertThat(same.changedStored()).isZero();
          assertThat(same.deltaSquares()).isZero();
          assertThat(Bf16Diff.compare(context, compared.entries(), opened.operand()).baseSquares())
              .isEqualTo(same.baseSquares());
        }
      }
    }
  }

  /** A layout that no kernel decodes would pass the other tests, only slowly. */
  @ParameterizedTest
  @ValueSource(
      strings = {
        "awq-4",
        "bitsandbytes-nf4-nested",
        "gptq-4",
        "gptq-v2-order",
        "int8-channel",
        "int8-zero-point",
        "mxfp4-experts",
        "nvfp4-compressed",
        "nvfp4-modelopt",
        "packed-4",
        "packed-4-order",
        "packed-4-zero-point",
        "packed-8"
      })
  void aKernelKnowsTheCommonLayouts(String fixture) {
    Path file = Path.of("src/test/resources/quantized", fixture, "model.safetensors");
    try (Context context = Context.open(Context.Device.CPU, 1);
        Checkpoint stored = Checkpoint.open(context, file)) {
      for (Weight weight : Weights.of(stored).byName().values()) {
        decoder(weight.entries())
            .ifPresent(own -> assertThat(own.quantized(0, 1)).as(weight.name()).isPresent());
      }
    }
  }

  @Test
  void rowsThatDoNotFitAreRefused() {
    try (Context context = Context.open(Context.Device.CPU, 1);
        NativeBuffer codes = context.allocate(64);
        NativeBuffer out = context.allocate(256)) {
      QuantizedRows.Builder builder =
          QuantizedRows.builder(codes, 0, QuantizedRows.Order.LOW_FIRST).shape(2, 32).stride(16);
      assertThatThrownBy(() -> builder.table(new float[15]))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessage("15 numbers; a table has 16 or 256");
      builder.table(new float[16]);
      assertThatThrownBy(builder::build).isInstanceOf(IndexOutOfBoundsException.class);
      builder.scales(new float[2], 1);
      builder.zeros(new float[3]);
      assertThatThrownBy(builder::build)
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessage("3 zero points for 2 scales");
      QuantizedRows rows = builder.zeros(new float[2]).groups(1, 32).build();
      rows.decode(context, out, 0);
      assertThatThrownBy(() -> rows.decode(context, out, 4))
          .isInstanceOf(IndexOutOfBoundsException.class);
      QuantizedRows beyond = builder.stride(49).build();
      assertThatThrownBy(() -> beyond.decode(context, out, 0))
          .isInstanceOf(KernelException.class)
          .hasMessageContaining("the codes must lie within");
    }
  }

  private static Optional<RowDecoder> decoder(Values values) {
    if (values instanceof Values.Computed computed) {
      return Optional.of(computed.decoder());
    }
    if (values instanceof Values.Scaled scaled) {
      return Optional.of(ByteRows.of(scaled.codes(), scaled.grid()));
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
