package org.threegate.rl.task;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.threegate.checkpoint.InvalidInputException;

/** Prompts are those that transformers makes of the same templates (make_templates.py). */
class ChatTemplateTest {
  private static final Path TEMPLATES = Path.of("src/test/resources/templates");
  private static final ObjectMapper JSON = new ObjectMapper();

  @TempDir Path directory;

  private ChatTemplate template(String text) throws IOException {
    ObjectNode config = JSON.createObjectNode().put("eos_token", "</s>");
    config.putObject("bos_token").put("content", "<s>").put("lstrip", false);
    config.put("chat_template", text);
    Files.writeString(directory.resolve("tokenizer_config.json"), config.toString());
    return ChatTemplate.load(directory).orElseThrow();
  }

  @Test
  void promptsAreThoseOfTransformers() throws IOException {
    JsonNode rows = JSON.readTree(TEMPLATES.resolve("prompts.json").toFile());
    assertThat(rows).hasSize(12);
    for (JsonNode row : rows) {
      ChatTemplate template =
          template(Files.readString(TEMPLATES.resolve(row.path("template").asText())));
      List<Message> messages = new ArrayList<>();
      row.path("messages")
          .forEach(
              own ->
                  messages.add(
                      new Message(own.path("role").asText(), own.path("content").asText())));
      if (row.path("prompt").isNull()) {
        assertThatThrownBy(() -> template.prompt(messages))
            .isInstanceOf(InvalidInputException.class)
            .hasMessageContaining("tokenizer_config.json: the chat template fails")
            .hasMessageContaining("roles must alternate");
      } else {
        assertThat(template.prompt(messages))
            .as(row.path("template").asText())
            .isEqualTo(row.path("prompt").asText());
      }
    }
  }

  @Test
  void templatesAreFoundWhereModelsHaveThem() throws IOException {
    List<Message> messages = List.of(new Message("user", "a"));
    assertThat(ChatTemplate.load(directory)).isEmpty();
    Files.writeString(
        directory.resolve("tokenizer_config.json"),
        "{\"chat_template\": [{\"name\": \"tools\", \"template\": \"t\"}, {\"name\": \"default\", \"template\": \"{{ messages[0].content }}!\"}]}");
    assertThat(ChatTemplate.load(directory).orElseThrow().prompt(messages)).isEqualTo("a!");
    Files.writeString(directory.resolve("chat_template.jinja"), "{{ messages[0].role }}:");
    ChatTemplate own = ChatTemplate.load(directory).orElseThrow();
    assertThat(own.prompt(messages)).isEqualTo("user:");
    Problem chat = new Problem(messages, "b", "kind");
    assertThat(own.plain(chat)).isEqualTo(Problem.of("user:", "b", "kind"));
    Problem plain = Problem.of("x", "y", "");
    assertThat(own.plain(plain)).isSameAs(plain);
  }

  /** A template comes with a model, from anywhere. */
  @Test
  void templatesReachNothingElse() throws IOException {
    List<Message> messages = List.of(new Message("user", "{{ 1 + 1 }}"));
    assertThat(template("{{ messages[0].content }}").prompt(messages)).isEqualTo("{{ 1 + 1 }}");
    for (String text :
        List.of(
            "{{ messages.getClass().forName('java.lang.Runtime') }}",
            "{{ ''.getClass() }}",
            "{{ messages[0].content.getBytes() }}",
            "{% include '/etc/passwd' %}",
            "{% for a in range(100000) %}{% for b in range(100000) %}{{ 'x' * 1000 }}{% endfor %}{% endfor %}",
            "{% if %}",
            "{{ unknown_function(1) }}")) {
      ChatTemplate template = template(text);
      assertThatThrownBy(() -> template.prompt(messages), text)
          .isInstanceOf(InvalidInputException.class);
    }
  }
}
