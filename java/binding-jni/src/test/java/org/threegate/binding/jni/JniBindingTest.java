package org.threegate.binding.jni;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.lang.reflect.Field;
import java.lang.reflect.Method;
import java.lang.reflect.Modifier;
import java.util.Arrays;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Collectors;
import org.bytedeco.javacpp.annotation.Name;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.DisabledIfSystemProperty;
import org.threegate.kernel.Context;
import org.threegate.testing.BindingContract;
import org.threegate.testing.Header;

@DisabledIfSystemProperty(named = "threegate.binding", matches = "ffm")
class JniBindingTest extends BindingContract {
  @Override
  protected String expectedBinding() {
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

  /**
   * Each constant of Struct that names a field or a struct of the header has the header's offset or
   * size.
   */
  @Test
  void structLayoutsAreTheHeaders() throws Exception {
    Map<String, Integer> layouts = new TreeMap<>();
    Header.read()
        .layouts()
        .forEach(
            (name, offset) ->
                layouts.put(
                    name.substring("tg_".length())
                        .replace('.', '_')
                        .toUpperCase(java.util.Locale.ROOT),
                    offset));
    layouts.put(
        "WORKSPACE_SIZE_FIELD",
        0); // tg_workspace.size, whose constant would collide with struct tg_workspace_size
    int compared = 0;
    for (Field field :
        Class.forName("org.threegate.kernel.Struct", true, Context.class.getClassLoader())
            .getDeclaredFields()) {
      field.setAccessible(true);
      assertThat(layouts).as(field.getName()).containsKey(field.getName());
      if (!field.getName().equals("WORKSPACE_SIZE")) {
        assertThat(field.getInt(null)).as(field.getName()).isEqualTo(layouts.get(field.getName()));
        compared++;
      }
    }
    assertThat(compared).isGreaterThan(60);
  }
}
