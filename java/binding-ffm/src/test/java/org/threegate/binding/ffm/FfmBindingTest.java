package org.threegate.binding.ffm;

import static org.assertj.core.api.Assertions.assertThat;

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
import org.threegate.loading.Bindings;
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
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment segment = arena.allocate(16);
      try (NativeBuffer buffer =
          NativeBuffer.wrap(Bindings.get(), segment.address(), segment.byteSize(), segment)) {
        buffer.putInt(4, 12);
        assertThat(segment.get(ValueLayout.JAVA_INT, 4)).isEqualTo(12);
      }
    }
  }
}
