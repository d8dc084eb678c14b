package org.threegate.checkpoint;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.api.Assertions.assertTimeoutPreemptively;

import java.time.Duration;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.threegate.run.InvalidInputException;

/** Tests that patterns from files cannot take much time or memory. */
class NamePatternTest {
  @Test
  void namesAreFound() {
    NamePattern pattern = NamePattern.of("layers\\.(0|1[0-9]{1,2})\\..*_proj", "here");
    assertThat(pattern.isIn("model.layers.17.q_proj.weight")).isTrue();
    assertThat(pattern.matches("layers.17.q_proj")).isTrue();
    assertThat(pattern.matches("layers.17.q_proj.weight")).isFalse();
    assertThat(pattern.isIn("model.layers.2.q_proj.weight")).isFalse();
  }

  @ParameterizedTest
  @MethodSource("explosive")
  void noPatternHangsOrFillsTheMemory(String regex) {
    assertTimeoutPreemptively(
        Duration.ofSeconds(20),
        () -> {
          try {
            NamePattern.of(regex, "adapter_config.json").isIn("x".repeat(20_000) + "!");
          } catch (InvalidInputException e) {
            assertThat(e).hasMessageStartingWith("adapter_config.json: \"");
          }
        });
  }

  static Stream<String> explosive() {
    return Stream.of(
        "(x+)+$",
        "(x+x+)+y",
        "(x|x)*y",
        "(.*)*(.*)*(.*)*y",
        "(((((x{100}){100}){100}){100}){100})",
        "((((((x?){30}){30}){30}){30}){30})",
        "(x{1000}){1000}",
        "x{1000}".repeat(100),
        "(".repeat(400) + "x" + ")".repeat(400),
        "(".repeat(100_000) + "x" + ")".repeat(100_000),
        "[" + "x".repeat(200_000),
        "(?:".repeat(300),
        "\\pL{1000}".repeat(100));
  }

  @ParameterizedTest
  @MethodSource("unknown")
  void whatTakesMoreThanLinearTimeIsRefused(String regex) {
    assertThatThrownBy(() -> NamePattern.of(regex, "here"))
        .isInstanceOf(InvalidInputException.class)
        .hasMessageContaining("is not a valid regular expression of RE2");
  }

  static Stream<String> unknown() {
    return Stream.of("(a)\\1", "(?=a)b", "(?<!a)b", "(", "[", "a**", "a{2,1}");
  }
}
