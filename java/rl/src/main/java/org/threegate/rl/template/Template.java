package org.threegate.rl.template;

import java.time.Clock;
import java.util.List;
import java.util.Map;

/**
 * A parsed template in Jinja, as transformers renders chat templates: blocks take the line that
 * they are alone on, {@code tojson} keeps its text, {@code raise_exception}, {@code strftime_now}
 * and {@code {% generation %}} are known. May be rendered by many threads at once.
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
   * Parses within {@link Limits#DEFAULT}.
   *
   * @throws TemplateException when it is no template
   */
  public static Template parse(String source) {
    return parse(source, Limits.DEFAULT);
  }

  /**
   * Parses.
   *
   * @param limits of this and of what is rendered
   * @throws TemplateException when it is no template
   */
  public static Template parse(String source, Limits limits) {
    if (source.length() > limits.source()) {
      throw new TemplateException("has more than " + limits.source() + " characters");
    }
    return new Template(
        new Parser(new Lexer(source).tokens(), limits.nesting()).template(), limits);
  }

  /**
   * Renders.
   *
   * @param arguments by name: null, truth values, numbers, texts, lists and maps of these
   * @param clock for {@code strftime_now}, with the zone
   * @throws TemplateException when the template refuses the arguments, fails, or takes too much
   * @throws IllegalArgumentException when an argument is something else
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
