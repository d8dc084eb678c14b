package org.threegate.rl.task;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Clock;
import java.time.Instant;
import java.time.ZoneOffset;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.threegate.run.InvalidInputException;

/**
 * Tests how chat templates are found, configured and rejected. {@code TemplateTest} tests what they
 * render.
 */
class ChatTemplateTest {
  private static final Path TEMPLATES = Path.of("src/test/resources/templates");
  private static final ObjectMapper JSON = new ObjectMapper();
  private static final Clock NOW =
      Clock.fixed(Instant.parse("2024-02-29T13:05:09Z"), ZoneOffset.UTC);

  @TempDir Path directory;

  private ChatTemplate template(String text) throws IOException {
    ObjectNode config = JSON.createObjectNode().put("eos_token", "</s>");
    config.putObject("bos_token").put("content", "<s>").put("lstrip", false);
    config.put("chat_template", text);
    Files.writeString(directory.resolve("tokenizer_config.json"), config.toString());
    return ChatTemplate.load(directory).orElseThrow();
  }

  private ChatTemplate own(String name) throws IOException {
    return template(Files.readString(TEMPLATES.resolve(name))).at(NOW);
  }

  @Test
  void argumentsReachTheTemplate() throws IOException {
    List<Message> messages = List.of(new Message("user", "a"));
    ChatTemplate qwen = own("qwen.jinja");
    assertThat(qwen.prompt(messages)).endsWith("<|im_start|>assistant\n");
    ChatTemplate quick =
        qwen.with(
            new ChatTemplate.Options(Optional.of("Be brief."), Map.of("enable_thinking", false)));
    assertThat(quick.prompt(messages))
        .startsWith("<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\na<|im_end|>")
        .endsWith("<think>\n\n</think>\n\n");
    assertThat(quick.prompt(List.of(new Message("system", "Be long."), messages.get(0))))
        .contains("Be long.")
        .doesNotContain("Be brief.");
    assertThatThrownBy(() -> new ChatTemplate.Options(Optional.empty(), Map.of("messages", 1)))
        .isInstanceOf(IllegalArgumentException.class);
  }

  @Test
  void dateIsThatOfTheClock() throws IOException {
    assertThat(own("llama3.jinja").prompt(List.of(new Message("user", "a"))))
        .isEqualTo(
            "<s><|start_header_id|>system<|end_header_id|>\n\nToday Date: 29 Feb 2024\n\n<|eot_id|><|start_header_id|>user<|end_header_id|>\n\na<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n");
  }

  @Test
  void refusalsNameTheFileAndTheLine() throws IOException {
    ChatTemplate template = own("instructions.jinja");
    List<Message> twice = List.of(new Message("user", "one"), new Message("user", "two"));
    assertThatThrownBy(() -> template.prompt(twice))
        .isInstanceOf(InvalidInputException.class)
        .hasMessageContaining(
            "tokenizer_config.json: the chat template fails: line 10: roles must alternate");
  }

  @Test
  void specialTokensAreThoseOfTheTokenizer() throws IOException {
    Files.writeString(
        directory.resolve("special_tokens_map.json"),
        "{\"pad_token\": \"<p>\", \"eos_token\": \"no\", \"additional_special_tokens\": [\"<a>\", {\"content\": \"<b>\"}]}");
    assertThat(
            template(
                    "{{ bos_token }}{{ eos_token }}{{ pad_token }}{{ unk_token }}{{ additional_special_tokens }}")
                .prompt(List.of(new Message("user", "a"))))
        .isEqualTo("<s></s><p>['<a>', '<b>']");
  }

  @Test
  void damagedFilesAreRefused() throws IOException {
    Path own = directory.resolve("chat_template.jinja");
    Files.write(own, new byte[] {'a', (byte) 0xff});
    assertThatThrownBy(() -> ChatTemplate.load(directory))
        .isInstanceOf(InvalidInputException.class)
        .hasMessageContaining("chat_template.jinja: not valid UTF-8");
    Files.write(own, new byte[(4 << 20) + 1]);
    assertThatThrownBy(() -> ChatTemplate.load(directory))
        .isInstanceOf(InvalidInputException.class)
        .hasMessageContaining("larger than 4194304 bytes");
    Files.delete(own);
    Files.createDirectory(own);
    assertThatThrownBy(() -> ChatTemplate.load(directory))
        .isInstanceOf(InvalidInputException.class);
    Files.delete(own);
    // A broken link is an error, because the next file could hold another template.
    Files.createSymbolicLink(own, directory.resolve("nowhere"));
    assertThatThrownBy(() -> ChatTemplate.load(directory))
        .isInstanceOf(InvalidInputException.class)
        .hasMessageContaining("chat_template.jinja: no such file");
    Files.delete(own);
    Files.writeString(
        directory.resolve("tokenizer_config.json"),
        "{\"chat_template\": [{\"name\": \"tools\", \"template\": \"t\"}]}");
    assertThatThrownBy(() -> ChatTemplate.load(directory))
        .isInstanceOf(InvalidInputException.class)
        .hasMessageContaining("no template with the name \"default\"");
  }

  @Test
  void templatesAreFoundWhereModelsHaveThem() throws IOException {
    List<Message> messages = List.of(new Message("user", "a"));
    assertThat(ChatTemplate.load(directory)).isEmpty();
    Files.writeString(
        directory.resolve("tokenizer_config.json"),
        "{\"chat_template\": [{\"name\": \"tool_use\", \"template\": \"with {{ tools[0] }}\"}, {\"name\": \"default\", \"template\": \"{{ messages[0].content }}!\"}]}");
    assertThat(ChatTemplate.load(directory).orElseThrow().prompt(messages)).isEqualTo("a!");
    assertThat(
            ChatTemplate.load(directory)
                .orElseThrow()
                .with(new ChatTemplate.Options(Optional.empty(), Map.of("tools", List.of("t"))))
                .prompt(messages))
        .isEqualTo("with t");
    Files.writeString(
        directory.resolve("chat_template.json"), "{\"chat_template\": \"{{ messages|length }}\"}");
    assertThat(ChatTemplate.load(directory).orElseThrow().prompt(messages)).isEqualTo("1");
    Files.writeString(directory.resolve("chat_template.jinja"), "{{ messages[0].role }}:");
    ChatTemplate own = ChatTemplate.load(directory).orElseThrow();
    assertThat(own.prompt(messages)).isEqualTo("user:");
    Problem chat = new Problem(messages, "b", "kind", false);
    assertThat(own.plain(chat)).isEqualTo(Problem.rendered("user:", "b", "kind"));
    Problem plain = Problem.of("x", "y", "");
    assertThat(own.plain(plain)).isSameAs(plain);
  }

  /** Templates come with untrusted models, so they must not reach anything else. */
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
