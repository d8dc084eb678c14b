package org.threegate.rl.task;

import com.fasterxml.jackson.databind.JsonNode;
import com.hubspot.jinjava.Jinjava;
import com.hubspot.jinjava.JinjavaConfig;
import com.hubspot.jinjava.LegacyOverrides;
import com.hubspot.jinjava.el.JinjavaInterpreterResolver;
import com.hubspot.jinjava.interpret.RenderResult;
import com.hubspot.jinjava.interpret.TemplateError;
import com.hubspot.jinjava.lib.fn.ELFunctionDefinition;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import jinjava.javax.el.CompositeELResolver;
import org.threegate.checkpoint.InvalidInputException;
import org.threegate.checkpoint.Json;

/**
 * Makes prompts of conversations, by the template in Jinja that comes with a model: {@code
 * chat_template.jinja}, or {@code chat_template} in {@code tokenizer_config.json}. A template is a
 * program that somebody else wrote: it sees the conversation and special tokens, nothing else, and
 * what it makes is bounded.
 *
 * <pre>{@code
 * ChatTemplate template = ChatTemplate.load(Path.of("Qwen2.5-1.5B-Instruct")).orElseThrow();
 * String prompt = template.prompt(List.of(new Message("user", "What is 2 + 2?")));
 * }</pre>
 */
public final class ChatTemplate {
  private static final int MOST_CHARACTERS = 1 << 20;
  private static final String CONFIG = "tokenizer_config.json";
  private static final List<String> SPECIAL =
      List.of("bos_token", "eos_token", "pad_token", "unk_token");

  private final String where;
  private final String template;
  private final Map<String, String> special;
  private final Jinjava jinja;

  private ChatTemplate(String where, String template, Map<String, String> special) {
    this.where = where;
    this.template = rewritten(template);
    this.special = special;
    this.jinja = jinja();
  }

  /** Functions that templates call. */
  public static final class Functions {
    private Functions() {}

    /** {@code raise_exception}: a template refuses a conversation. */
    public static String refuse(String message) {
      throw new IllegalArgumentException(message);
    }
  }

  private static Jinjava jinja() {
    CompositeELResolver resolver = new CompositeELResolver();
    resolver.add(new PythonStrings());
    resolver.add(JinjavaInterpreterResolver.DEFAULT_RESOLVER_READ_ONLY);
    // As transformers has it: blocks take the line that they are alone on.
    Jinjava jinja =
        new Jinjava(
            JinjavaConfig.newBuilder()
                .withTrimBlocks(true)
                .withLstripBlocks(true)
                .withNestedInterpretationEnabled(false)
                .withMaxOutputSize(MOST_CHARACTERS)
                .withElResolver(resolver)
                .withLegacyOverrides(
                    LegacyOverrides.newBuilder()
                        .withParseWhitespaceControlStrictly(true)
                        .withUseTrimmingForNotesAndExpressions(true)
                        .withUseSnakeCasePropertyNaming(true)
                        .withKeepNullableLoopValues(true)
                        .withUsePyishObjectMapper(true)
                        .withEvaluateMapKeys(true)
                        .build())
                .build());
    jinja
        .getGlobalContext()
        .registerFunction(
            new ELFunctionDefinition(
                "", "raise_exception", Functions.class, "refuse", String.class));
    return jinja;
  }

  /** Idioms of well-known templates that the library reads otherwise than Jinja does. */
  private static String rewritten(String template) {
    return template
        .replace("[::-1]", "|reverse")
        .replaceAll("=\\s*(\\w+\\|length - 1)\\s*\\)", "=($1))");
  }

  /**
   * The template of a Hugging Face directory, if it has one.
   *
   * @throws InvalidInputException when its files are damaged
   */
  public static Optional<ChatTemplate> load(Path directory) {
    Path config = directory.resolve(CONFIG);
    Optional<JsonNode> settings =
        Files.isRegularFile(config) ? Optional.of(Json.readObject(config)) : Optional.empty();
    Map<String, String> special = new HashMap<>();
    for (String name : SPECIAL) {
      settings
          .map(node -> node.path(name))
          .map(node -> node.isObject() ? node.path("content") : node)
          .filter(JsonNode::isTextual)
          .ifPresent(node -> special.put(name, node.asText()));
    }
    Path own = directory.resolve("chat_template.jinja");
    if (Files.isRegularFile(own)) {
      try {
        return Optional.of(new ChatTemplate(own.toString(), Files.readString(own), special));
      } catch (IOException e) {
        throw new InvalidInputException(own + ": cannot be read: " + e.getMessage(), e);
      }
    }
    return settings
        .flatMap(node -> text(node.path("chat_template")))
        .map(text -> new ChatTemplate(config.toString(), text, special));
  }

  /** A text, or of several named ones that with the name "default". */
  private static Optional<String> text(JsonNode node) {
    if (node.isTextual()) {
      return Optional.of(node.asText());
    }
    for (JsonNode named : node) {
      if (named.path("name").asText("").equals("default")) {
        return Optional.of(named.path("template").asText());
      }
    }
    return Optional.empty();
  }

  /**
   * A conversation as a prompt that the assistant is to go on with.
   *
   * @throws InvalidInputException when the template refuses the conversation, or uses what is not
   *     supported here
   */
  public String prompt(List<Message> messages) {
    Map<String, Object> known = new HashMap<>(special);
    known.put(
        "messages",
        messages.stream()
            .map(message -> Map.of("role", message.role(), "content", message.content()))
            .toList());
    known.put("add_generation_prompt", true);
    RenderResult rendered = jinja.renderForResult(template, known);
    for (TemplateError error : rendered.getErrors()) {
      throw new InvalidInputException(where + ": the chat template fails: " + reason(error));
    }
    return rendered.getOutput();
  }

  /** What a template itself says is behind what the library says. */
  private static String reason(TemplateError error) {
    Throwable cause = error.getException();
    while (cause != null && cause.getCause() != null) {
      cause = cause.getCause();
    }
    return cause instanceof IllegalArgumentException
        ? cause.getMessage()
        : String.valueOf(error.getMessage()).strip();
  }

  /** A conversation as a plain problem; a plain one as it is. */
  public Problem plain(Problem problem) {
    return problem.isChat()
        ? Problem.of(prompt(problem.messages()), problem.answer(), problem.kind())
        : problem;
  }
}
