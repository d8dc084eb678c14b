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
 * Makes prompts of conversations, by the template in Jinja that comes with a model: {@code
 * chat_template.jinja}, {@code chat_template.json}, or {@code chat_template} in {@code
 * tokenizer_config.json}. A template is a program that somebody else wrote: it sees the
 * conversation, arguments and special tokens, nothing else, and what it takes is bounded by {@link
 * Limits#DEFAULT}.
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

  /** Taken by transformers where there are tools. */
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
   * What conversations are rendered with.
   *
   * @param system what the system says at the beginning of conversations in which it does not
   * @param arguments of the template by name, as in transformers' {@code apply_chat_template}:
   *     null, truth values, numbers, texts, lists and maps of these
   */
  public record Options(Optional<String> system, Map<String, Object> arguments) {
    /** Conversations as they are. */
    public static final Options NONE = new Options(Optional.empty(), Map.of());

    public Options {
      if (arguments.containsKey("messages")) {
        throw new IllegalArgumentException("messages are no argument; they are the conversation");
      }
      arguments = new LinkedHashMap<>(arguments);
    }
  }

  /** Texts of a model's files, parsed when they are first needed. */
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
   * The template of a Hugging Face directory, if it has one.
   *
   * @throws InvalidInputException when its files are damaged
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
    // A character has four bytes at most.
    return InputFiles.text(file, 4L * Limits.DEFAULT.source());
  }

  /** A text, or several ones by name. */
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
          where + ": chat_template has none with the name \"default\"; name one so");
    }
    return Optional.of(texts);
  }

  /** Special tokens that have a name, as texts. */
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

  /** The same template with other options. */
  public ChatTemplate with(Options other) {
    return new ChatTemplate(source, other, clock);
  }

  /** The same template at another time, for those that print the date. */
  public ChatTemplate at(Clock other) {
    return new ChatTemplate(source, options, other);
  }

  /**
   * A conversation as a prompt that the assistant is to go on with.
   *
   * @throws InvalidInputException when the template refuses the conversation, fails, or takes more
   *     than it may
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

  /** A conversation as a plain problem; a plain one as it is. */
  public Problem plain(Problem problem) {
    return problem.isChat()
        ? Problem.of(prompt(problem.messages()), problem.answer(), problem.kind())
        : problem;
  }
}
