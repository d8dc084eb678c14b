package org.threegate.rl.task;

import com.fasterxml.jackson.databind.JsonNode;
import java.nio.file.Path;
import java.time.Clock;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ConcurrentHashMap;
import org.threegate.checkpoint.Json;
import org.threegate.file.InputFiles;
import org.threegate.rl.template.Limits;
import org.threegate.rl.template.Template;
import org.threegate.rl.template.TemplateException;
import org.threegate.run.InvalidInputException;

/**
 * Renders conversations as prompts, by the Jinja template of a model: {@code chat_template.jinja},
 * {@code chat_template.json}, or {@code chat_template} in {@code tokenizer_config.json}. The output
 * equals that of {@code apply_chat_template} in transformers. Templates are untrusted programs:
 * they only see the conversation, the arguments and the special tokens, and {@link Limits#DEFAULT}
 * bounds their time and memory.
 *
 * <pre>{@code
 * ChatTemplate template = ChatTemplate.load(Path.of("Qwen3-1.7B")).orElseThrow();
 * ChatTemplate brief =
 *     template.with(new ChatTemplate.Options(Optional.of("Be brief."), Map.of("enable_thinking", false)));
 * String prompt = brief.prompt(List.of(new Message("user", "What is 2 + 2?")));
 * }</pre>
 */
public final class ChatTemplate {
  private static final String CONFIG = "tokenizer_config.json";
  private static final String DEFAULT = "default";

  /** The template that transformers uses when tools are given. */
  private static final String WITH_TOOLS = "tool_use";

  private static final List<String> SPECIAL =
      List.of(
          "bos_token",
          "eos_token",
          "unk_token",
          "sep_token",
          "pad_token",
          "cls_token",
          "mask_token",
          "additional_special_tokens");

  private final Source source;
  private final Options options;
  private final Clock clock;

  private ChatTemplate(Source source, Options options, Clock clock) {
    this.source = source;
    this.options = options;
    this.clock = clock;
  }

  /**
   * Options of rendering.
   *
   * @param system the system message that is added to conversations without one
   * @param arguments additional arguments of the template by name, as those of transformers' {@code
   *     apply_chat_template}. Values are null, booleans, numbers, strings, and lists and maps of
   *     these
   */
  public record Options(Optional<String> system, Map<String, Object> arguments) {
    /** Renders conversations without additions. */
    public static final Options NONE = new Options(Optional.empty(), Map.of());

    /**
     * Copies the arguments.
     *
     * @throws IllegalArgumentException when an argument has the name {@code messages}
     */
    public Options {
      if (arguments.containsKey("messages")) {
        throw new IllegalArgumentException(
            "\"messages\" cannot be an argument: it is the conversation");
      }
      arguments = new LinkedHashMap<>(arguments);
    }
  }

  /** The template texts of a model. They are parsed when they are first needed. */
  private record Source(
      String where,
      Map<String, String> texts,
      Map<String, Object> special,
      Map<String, Template> parsed) {
    Template named(String name) {
      return parsed.computeIfAbsent(name, own -> Template.parse(texts.get(own)));
    }
  }

  /**
   * Loads the template of a Hugging Face model directory.
   *
   * @param directory the directory of the model
   * @return the template, or empty when the model has none
   * @throws InvalidInputException when a file is damaged
   */
  public static Optional<ChatTemplate> load(Path directory) {
    Path config = directory.resolve(CONFIG);
    Optional<JsonNode> settings = object(config);
    Path own = directory.resolve("chat_template.jinja");
    if (InputFiles.isThere(own)) {
      return Optional.of(template(own, Map.of(DEFAULT, text(own)), special(directory, settings)));
    }
    Path wrapped = directory.resolve("chat_template.json");
    Optional<ChatTemplate> other =
        object(wrapped)
            .flatMap(node -> texts(wrapped, node))
            .map(texts -> template(wrapped, texts, special(directory, settings)));
    return other.isPresent()
        ? other
        : settings
            .flatMap(node -> texts(config, node))
            .map(texts -> template(config, texts, special(directory, settings)));
  }

  private static ChatTemplate template(
      Path where, Map<String, String> texts, Map<String, Object> special) {
    return new ChatTemplate(
        new Source(where.toString(), texts, special, new ConcurrentHashMap<>()),
        Options.NONE,
        Clock.systemDefaultZone());
  }

  private static Optional<JsonNode> object(Path file) {
    return InputFiles.isThere(file) ? Optional.of(Json.readObject(file)) : Optional.empty();
  }

  private static String text(Path file) {
    // UTF-8 takes at most four bytes per character.
    return InputFiles.text(file, 4L * Limits.DEFAULT.source());
  }

  /** Reads one template text, or several by name. */
  private static Optional<Map<String, String>> texts(Path where, JsonNode settings) {
    JsonNode node = settings.path("chat_template");
    if (node.isMissingNode() || node.isNull()) {
      return Optional.empty();
    }
    if (node.isTextual()) {
      return Optional.of(Map.of(DEFAULT, node.asText()));
    }
    Map<String, String> texts = new HashMap<>();
    for (JsonNode named : node) {
      texts.put(named.path("name").asText(), named.path("template").asText());
    }
    if (!texts.containsKey(DEFAULT)) {
      throw new InvalidInputException(
          where + ": chat_template has no template with the name \"default\"");
    }
    return Optional.of(texts);
  }

  /** Reads the special tokens that have a name. */
  private static Map<String, Object> special(Path directory, Optional<JsonNode> settings) {
    Map<String, Object> special = new HashMap<>();
    object(directory.resolve("special_tokens_map.json"))
        .ifPresent(node -> special.putAll(special(node)));
    settings.ifPresent(node -> special.putAll(special(node)));
    return special;
  }

  private static Map<String, Object> special(JsonNode node) {
    Map<String, Object> special = new HashMap<>();
    for (String name : SPECIAL) {
      JsonNode own = node.path(name);
      if (own.isArray()) {
        List<String> all = new ArrayList<>();
        own.forEach(each -> token(each).ifPresent(all::add));
        special.put(name, all);
      } else {
        token(own).ifPresent(text -> special.put(name, text));
      }
    }
    return special;
  }

  private static Optional<String> token(JsonNode node) {
    return Optional.of(node.isObject() ? node.path("content") : node)
        .filter(JsonNode::isTextual)
        .map(JsonNode::asText);
  }

  /**
   * {@return the same template with other options}
   *
   * @param other the system message and the arguments of the template
   */
  public ChatTemplate with(Options other) {
    return new ChatTemplate(source, other, clock);
  }

  /**
   * {@return the same template with another clock, for templates that print the date}
   *
   * @param other the clock, with its time zone
   */
  public ChatTemplate at(Clock other) {
    return new ChatTemplate(source, options, other);
  }

  /**
   * Renders a conversation as a prompt for the next turn of the assistant.
   *
   * @param messages the conversation
   * @return the prompt
   * @throws InvalidInputException when the template rejects the conversation, fails or exceeds its
   *     limits
   */
  public String prompt(List<Message> messages) {
    Map<String, Object> known = new HashMap<>(source.special());
    known.put("messages", spoken(messages));
    known.put("tools", null);
    known.put("documents", null);
    known.put("add_generation_prompt", true);
    known.putAll(options.arguments());
    boolean tools = known.get("tools") != null && source.texts().containsKey(WITH_TOOLS);
    try {
      return source.named(tools ? WITH_TOOLS : DEFAULT).render(known, clock);
    } catch (TemplateException e) {
      String line = e.line() > 0 ? "line " + e.line() + ": " : "";
      throw new InvalidInputException(
          source.where() + ": the chat template fails: " + line + e.getMessage(), e);
    }
  }

  private List<Map<String, Object>> spoken(List<Message> messages) {
    List<Message> all = new ArrayList<>(messages);
    if (messages.stream().noneMatch(message -> message.role().equals("system"))) {
      options.system().ifPresent(text -> all.add(0, new Message("system", text)));
    }
    List<Map<String, Object>> spoken = new ArrayList<>();
    for (Message message : all) {
      Map<String, Object> own = new LinkedHashMap<>();
      own.put("role", message.role());
      own.put("content", message.content());
      spoken.add(own);
    }
    return spoken;
  }

  /**
   * {@return a problem with a plain prompt: a conversation is rendered, a plain prompt is kept}
   *
   * @param problem a problem of any kind
   */
  public Problem plain(Problem problem) {
    return problem.isChat()
        ? Problem.rendered(prompt(problem.messages()), problem.answer(), problem.kind())
            .withRow(problem.row())
        : problem;
  }
}
