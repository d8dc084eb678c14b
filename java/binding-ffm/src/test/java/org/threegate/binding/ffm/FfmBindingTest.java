package org.threegate.binding.ffm;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Map;
import java.util.TreeMap;
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
