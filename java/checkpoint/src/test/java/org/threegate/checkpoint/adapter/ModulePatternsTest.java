package org.threegate.checkpoint.adapter;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.api.Assertions.assertTimeoutPreemptively;

import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.nio.file.Path;
import java.time.Duration;
import org.junit.jupiter.api.Test;
import org.threegate.run.InvalidInputException;

class ModulePatternsTest {
  private static final Path WHERE = Path.of("adapter_config.json");

  private static ModulePatterns of(Object... keysAndValues) {
    ObjectNode node = JsonNodeFactory.instance.objectNode();
    for (int i = 0; i < keysAndValues.length; i += 2) {
      node.put((String) keysAndValues[i], ((Number) keysAndValues[i + 1]).doubleValue());
    }
    return ModulePatterns.of(node, WHERE);
  }

  /** Patterns match as {@code re.match(rf"(.*\.)?({key})$", name)} does in Python. */
  @Test
  void modulesThatEndWithAPatternHaveItsNumber() {
    ModulePatterns patterns =
        of("self_attn.q_proj", 1, "^model\\.layers\\.0\\..*", 2, "a|b", 3, "v_proj", 4, "v.pro", 5);
    assertThat(patterns.of("model.layers.7.self_attn.q_proj")).contains(1.0);
    assertThat(patterns.of("self_attn.q_proj")).contains(1.0);
    assertThat(patterns.of("my_self_attn.q_proj")).isEmpty();
    assertThat(patterns.of("model.layers.0.mlp.up_proj")).contains(2.0);
    assertThat(patterns.of("x.a")).contains(3.0);
    assertThat(patterns.of("x.b")).contains(3.0);
    assertThat(patterns.of("xb")).isEmpty();
    assertThat(patterns.of("x.v_proj")).contains(4.0);
    assertThat(patterns.of("x.v_pro")).contains(5.0);
    assertThat(patterns.of("q_proj")).isEmpty();
    assertThat(of().of("q_proj")).isEmpty();
  }

  @Test
  void nestedQuantifiersCostNothing() {
    assertTimeoutPreemptively(
        Duration.ofSeconds(20),
        () ->
            assertThat(of("(x+x+)+y", 1, "((a|aa)+)+$", 2).of("x".repeat(50_000) + ".aaaa!"))
                .isEmpty());
  }

  @Test
  void whatIsNoPatternIsSaidInALine() {
    assertThatThrownBy(() -> of("(q)\\1", 1))
        .isInstanceOf(InvalidInputException.class)
        .hasMessageContainingAll("adapter_config.json", "(q)\\1", "RE2");
    Object[] many = new Object[2 * 101];
    for (int i = 0; i < many.length; i += 2) {
      many[i] = "x" + i + "*";
      many[i + 1] = 1;
    }
    assertThatThrownBy(() -> of(many))
        .isInstanceOf(InvalidInputException.class)
        .hasMessageContaining("more than 100 regular expressions");
  }
}
