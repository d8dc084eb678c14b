package org.threegate.rl.template;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.core.type.TypeReference;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Clock;
import java.time.Instant;
import java.time.ZoneOffset;
import java.util.HashMap;
import java.util.Map;
import org.assertj.core.api.SoftAssertions;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * Compares the output of templates with that of jinja2, as transformers configures it. The scripts
 * make_templates.py and make_expressions.py wrote the expected output.
 */
class TemplateTest {
  private static final Path TEMPLATES = Path.of("src/test/resources/templates");
  private static final ObjectMapper JSON = new ObjectMapper();
  private static final Clock NOW =
      Clock.fixed(Instant.parse("2024-02-29T13:05:09Z"), ZoneOffset.UTC);

  private static Map<String, Object> map(JsonNode node) {
    return JSON.convertValue(node, new TypeReference<>() {});
  }

  private static String render(String source, Map<String, ?> arguments) {
    return Template.parse(source).render(arguments, NOW);
  }

  @Test
  void promptsAreThoseOfTransformers() throws IOException {
    Path directory = Path.of(System.getProperty("threegate.test.templates", TEMPLATES.toString()));
    JsonNode all = JSON.readTree(directory.resolve("prompts.json").toFile());
    SoftAssertions softly = new SoftAssertions();
    int refused = 0;
    for (JsonNode row : all.path("rows")) {
      Map<String, Object> arguments = new HashMap<>();
      arguments.put(
          "messages",
          JSON.convertValue(
              all.path("conversations").path(row.path("conversation").asInt()), Object.class));
      arguments.put("tools", null);
      arguments.put("documents", null);
      arguments.put("add_generation_prompt", true);
      arguments.put("bos_token", "<s>");
      arguments.put("eos_token", "</s>");
      arguments.putAll(map(all.path("arguments").path(row.path("arguments").asInt())));
      String source = Files.readString(directory.resolve(row.path("template").asText()));
      String where =
          row.path("template").asText() + row.path("conversation") + row.path("arguments");
      if (row.path("prompt").isNull()) {
        refused++;
        softly
            .assertThatThrownBy(() -> render(source, arguments))
            .as(where)
            .isInstanceOf(TemplateException.class);
      } else {
        softly
            .assertThatCode(
                () -> assertThat(render(source, arguments)).isEqualTo(row.path("prompt").asText()))
            .as(where)
            .doesNotThrowAnyException();
      }
    }
    softly.assertAll();
    if (directory.equals(TEMPLATES)) {
      assertThat(all.path("rows")).hasSize(600);
      assertThat(refused).isEqualTo(35);
    }
  }

  @Test
  void expressionsAreThoseOfJinja() throws IOException {
    JsonNode all = JSON.readTree(TEMPLATES.resolve("expressions.json").toFile());
    Map<String, Object> context = map(all.path("context"));
    SoftAssertions softly = new SoftAssertions();
    for (JsonNode row : all.path("cases")) {
      String source = row.path(0).asText();
      if (row.path(1).isNull()) {
        softly
            .assertThatThrownBy(() -> render(source, context))
            .as(source)
            .isInstanceOf(TemplateException.class);
      } else {
        softly
            .assertThatCode(
                () -> assertThat(render(source, context)).isEqualTo(row.path(1).asText()))
            .as(source)
            .doesNotThrowAnyException();
      }
    }
    softly.assertAll();
    assertThat(all.path("cases")).hasSize(800);
  }

  /** Dates equal those of Python's {@code strftime} on Linux in the C locale. */
  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      ignoreLeadingAndTrailingWhitespace = false,
      value = {
        "%d %b %Y|29 Feb 2024",
        "%Y-%m-%d|2024-02-29",
        "%B %d, %Y|February 29, 2024",
        "%A %a %-d %e|Thursday Thu 29 29",
        "%H:%M:%S %I %p|13:05:09 01 PM",
        "%-I %-M %j %y %C|1 5 060 24 20",
        "%U %W %V %G %u %w|08 09 09 2024 4 4",
        "%c|Thu Feb 29 13:05:09 2024",
        "%x %X %D %T %R %F|02/29/24 13:05:09 02/29/24 13:05:09 13:05 2024-02-29",
        "%f%z%Z%%|000000%",
        "%^a %l|THU  1",
      })
  void datesAreThoseOfC(String format, String expected) {
    assertThat(render("{{ strftime_now(f) }}", Map.of("f", format))).isEqualTo(expected);
  }

  /** Templates that Jinja accepts, and that are deliberately rejected here. */
  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "{{ 2 ** 63 }}|does not fit into 64 bits",
        "{{ 9223372036854775807 + 1 }}|does not fit into 64 bits",
        "{{ {(1, 2): 3} }}|is no key",
        "{{ range(3) }}|cannot be printed",
        "{{ [1]!map('string') }}|cannot be printed",
        "{{ (-1) ** 0.5 }}|not a real number",
        "{{ [1]!random }}|there is no filter \"random\"",
      })
  void whatJinjaAllowsAndThisDoesNot(String source, String reason) {
    assertThatThrownBy(() -> render(source.replace('!', '|'), Map.of()))
        .isInstanceOf(TemplateException.class)
        .hasMessageContaining(reason);
  }

  /** Escaped text is a plain string, without the mark of safe text that Jinja adds. */
  @Test
  void escapedTextIsPlainText() {
    assertThat(render("{{ ('<'|e) + '<' }}{{ '<'|safe }}", Map.of())).isEqualTo("&lt;<<");
  }
}
