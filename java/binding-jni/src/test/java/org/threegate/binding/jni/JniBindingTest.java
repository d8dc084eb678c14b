package org.threegate.binding.jni;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.lang.reflect.Field;
import java.lang.reflect.Method;
import java.lang.reflect.Modifier;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Collectors;
import org.bytedeco.javacpp.annotation.Name;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.DisabledIfSystemProperty;
import org.threegate.dtype.Dtype;
import org.threegate.kernel.ChangedElements;
import org.threegate.kernel.Status;
import org.threegate.kernel.TruncatedSvd;
import org.threegate.spi.Constants;
import org.threegate.spi.Structs;
import org.threegate.testing.BindingContract;
import org.threegate.testing.Header;

@DisabledIfSystemProperty(named = "threegate.binding", matches = "ffm")
class JniBindingTest extends BindingContract {
  @Override
  public String expectedBinding() {
    return "jni";
  }

  @Test
  void everyFunctionOfTheHeaderIsDeclared() throws IOException {
    Map<String, Integer> declared =
        Arrays.stream(Functions.class.getDeclaredMethods())
            .filter(method -> Modifier.isNative(method.getModifiers()))
            .collect(
                Collectors.toMap(
                    method -> method.getAnnotation(Name.class).value()[0],
                    Method::getParameterCount));
    assertThat(new TreeMap<>(declared)).isEqualTo(new TreeMap<>(Header.read().functions()));
  }

  /** Java knows every struct of the header with all of its fields, and no other. */
  @Test
  void structLayoutsAreTheHeaders() throws Exception {
    Map<String, Integer> layouts = new TreeMap<>();
    for (Field field : Structs.class.getDeclaredFields()) {
      layouts.put(field.getName(), field.getInt(null));
    }
    Map<String, Integer> expected = new TreeMap<>();
    Header.read()
        .layouts()
        .forEach(
            (name, offset) -> {
              String field = name.contains(".") ? name.replace('.', '_') : name + "_SIZEOF";
              expected.put(field.substring("tg_".length()).toUpperCase(Locale.ROOT), offset);
            });
    assertThat(layouts).isEqualTo(expected).hasSizeGreaterThan(60);
  }

  @Test
  void constantsAreTheHeaders() throws Exception {
    Map<String, Integer> constants = new TreeMap<>();
    for (Field field : Constants.class.getDeclaredFields()) {
      constants.put("TG_" + field.getName(), field.getInt(null));
    }
    assertThat(constants).isEqualTo(new TreeMap<>(Header.read().constants()));
  }

  /** Enums of the kernels name every constant of their kind, in the order of the header. */
  @Test
  void enumsAreComplete() throws IOException {
    Header header = Header.read();
    assertThat(names(Status.values(), "TG_")).isEqualTo(header.constantsOf("tg_status"));
    assertThat(names(Dtype.values(), "TG_")).isEqualTo(header.constantsOf("tg_dtype"));
    Map<String, Enum<?>[]> families =
        Map.of("TG_SVD_", TruncatedSvd.Method.values(), "TG_PATCH_", ChangedElements.Form.values());
    families.forEach(
        (prefix, values) ->
            assertThat(names(values, prefix))
                .isEqualTo(
                    header.constants().keySet().stream()
                        .filter(name -> name.startsWith(prefix))
                        .toList()));
  }

  private static List<String> names(Enum<?>[] values, String prefix) {
    return Arrays.stream(values).map(value -> prefix + value.name()).toList();
  }
}
