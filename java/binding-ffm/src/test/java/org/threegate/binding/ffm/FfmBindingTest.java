package org.threegate.binding.ffm;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.io.InputStream;
import java.lang.foreign.Arena;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.charset.StandardCharsets;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.DisabledIfSystemProperty;
import org.threegate.buffer.NativeBuffer;
import org.threegate.dtype.Dtype;
import org.threegate.kernel.Bf16Diff;
import org.threegate.kernel.Context;
import org.threegate.kernel.Matrix;
import org.threegate.kernel.Operand;
import org.threegate.testing.BindingContract;
import org.threegate.testing.Header;

@DisabledIfSystemProperty(named = "threegate.binding", matches = "jni")
class FfmBindingTest extends BindingContract {
  @Override
  public String expectedBinding() {
    return "ffm";
  }

  /** The JNI declarations are held to the header in the same way, so the two tables agree. */
  @Test
  void everyFunctionOfTheHeaderIsDeclared() throws IOException {
    Map<String, Integer> declared = new TreeMap<>();
    FfmFunctions.FUNCTIONS.forEach(
        (name, descriptor) -> declared.put(name, descriptor.argumentLayouts().size()));
    assertThat(declared).isEqualTo(new TreeMap<>(Header.read().functions()));
  }

  /** A native image of GraalVM can make those calls only that this resource of the jar names. */
  @Test
  void nativeImagesKnowEverySignature() throws IOException {
    String metadata;
    try (InputStream in =
        FfmBinding.class.getResourceAsStream(
            "/META-INF/native-image/org.threegate/threegate-binding-ffm/reachability-metadata.json")) {
      metadata = new String(in.readAllBytes(), StandardCharsets.UTF_8);
    }
    FfmFunctions.FUNCTIONS.forEach(
        (name, descriptor) ->
            assertThat(metadata)
                .as(name)
                .contains(
                    descriptor.argumentLayouts().stream()
                        .map(FfmBindingTest::type)
                        .collect(
                            Collectors.joining(
                                ", ",
                                "{\"returnType\": "
                                    + type(descriptor.returnLayout().orElseThrow())
                                    + ", \"parameterTypes\": [",
                                "]}"))));
  }

  private static String type(MemoryLayout layout) {
    return "\"j" + ((ValueLayout) layout).carrier().getName() + '"';
  }

  @Test
  void aMemorySegmentIsWrappedWithoutACopy() {
    try (Context context = Context.open(Context.Device.CPU, 1)) {
      Arena arena = Arena.ofConfined();
      MemorySegment segment = arena.allocate(16);
      try (NativeBuffer buffer = MemorySegments.wrap(context, segment)) {
        buffer.putInt(4, 12);
        assertThat(segment.get(ValueLayout.JAVA_INT, 4)).isEqualTo(12);
        Operand matrix = Operand.of(Matrix.of(buffer, Dtype.F32, 2, 2));
        assertThat(Bf16Diff.compare(context, matrix, matrix).total()).isEqualTo(4);
      }
      try (NativeBuffer constant = MemorySegments.wrap(context, segment.asReadOnly())) {
        assertThat(constant.getInt(4)).isEqualTo(12);
        assertThat(constant.isReadOnly()).isTrue();
      }
      assertThatThrownBy(() -> MemorySegments.wrap(context, MemorySegment.ofArray(new int[4])))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessage("a heap segment has no address; allocate it in an Arena");
      arena.close();
      assertThatThrownBy(() -> MemorySegments.wrap(context, segment))
          .isInstanceOf(IllegalStateException.class)
          .hasMessage("the arena of the segment is closed");
    }
  }
}
