package org.threegate.run;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

class PrintableTextTest {
  @Test
  void showsWhatIsNotSeen() {
    assertThat(PrintableText.of("a\u001b[2Jb\n")).isEqualTo("a\\u001b[2Jb\\u000a");
    assertThat(PrintableText.of("evil\u202egpj.exe\u2066\u200f"))
        .isEqualTo("evil\\u202egpj.exe\\u2066\\u200f");
    assertThat(PrintableText.of("\u2028\ud800 \udb40\udc41"))
        .isEqualTo("\\u2028\\ud800 \\U000e0041");
    assertThat(PrintableText.of("模型.weight é 😀")).isEqualTo("模型.weight é 😀");
  }

  @Test
  void keepsTheEndsOfALongMessage() {
    String message =
        new InvalidInputException(
                "base/config.json: tensor \"" + "x\u202e".repeat(100_000) + "\" is none; fetch it")
            .getMessage();
    assertThat(message)
        .hasSizeLessThanOrEqualTo(PrintableText.LONGEST_MESSAGE)
        .startsWith("base/config.json: tensor \"x")
        .endsWith("is none; fetch it")
        .doesNotContain("\u202e");
    assertThat(PrintableText.name("y".repeat(5000))).hasSize(200);
  }
}
