package org.threegate.rl.template;

import java.time.Clock;
import java.util.List;
import java.util.Map;

/**
 * A parsed Jinja template, with the settings and extensions that transformers uses for chat
 * templates: {@code trim_blocks}, {@code lstrip_blocks}, a {@code tojson} that does not escape
 * HTML, {@code raise_exception}, {@code strftime_now} and {@code {% generation %}}. It is
 * thread-safe.
 *
 * <pre>{@code
 * Template template = Template.parse("{% for m in messages %}{{ m.role }}: {{ m.content }}{% endfor %}");
 * List<Map<String, String>> messages = List.of(Map.of("role", "user", "content", "2 + 2?"));
 * String text = template.render(Map.of("messages", messages), Clock.systemDefaultZone());
 * }</pre>
 */
public final class Template {
  private final List<Statement> body;
  private final Limits limits;

  private Template(List<Statement> body, Limits limits) {
    this.body = body;
    this.limits = limits;
  }

  /**
   * Parses a template within {@link Limits#DEFAULT}.
   *
   * @param source the text of the template
   * @return the template
   * @throws TemplateException when the template is invalid
   */
  public static Template parse(String source) {
    return parse(source, Limits.DEFAULT);
  }

  /**
   * Parses a template.
   *
   * @param source the text of the template
   * @param limits the limits of parsing and rendering
   * @return the template
   * @throws TemplateException when the template is invalid
   */
  public static Template parse(String source, Limits limits) {
    if (source.length() > limits.source()) {
      throw new TemplateException("has more than " + limits.source() + " characters");
    }
    return new Template(
        new Parser(new Lexer(source).tokens(), limits.nesting()).template(), limits);
  }

  /**
   * Renders the template.
   *
   * @param arguments the variables by name. Values are null, booleans, numbers, strings, and lists
   *     and maps of these
   * @param clock the clock of {@code strftime_now}, with its time zone
   * @return the output
   * @throws TemplateException when the template rejects the arguments, fails, or exceeds a limit
   * @throws IllegalArgumentException when an argument has another type
   */
  public String render(Map<String, ?> arguments, Clock clock) {
    Budget budget = new Budget(limits);
    Evaluation run = new Evaluation(budget, clock);
    Functions.TABLE.forEach(
        (name, function) -> run.scope().put(name, new Builtin.Bound(function, Value.None.NONE)));
    arguments.forEach((name, value) -> run.scope().put(name, Json.value(budget, value, 0)));
    Statement.body(run, body);
    return run.output();
  }
}
