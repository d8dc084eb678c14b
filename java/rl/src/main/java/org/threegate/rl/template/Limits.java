package org.threegate.rl.template;

import java.time.Duration;

/**
 * What a template may take. Whatever goes beyond ends with a {@link TemplateException}.
 *
 * <pre>{@code
 * Template patient = Template.parse("{{ 1 }}", Limits.DEFAULT.within(Duration.ofSeconds(10)));
 * }</pre>
 *
 * @param source characters of the template itself
 * @param nesting of statements, expressions and values in each other
 * @param depth of what is being evaluated, calls of macros included
 * @param steps evaluations, and work in parts of 64 characters
 * @param characters of one value, printed or not; an element of a list counts 1
 * @param produced characters of all values together; an element of a list counts 16
 * @param time by the clock; read every 1,024 steps
 */
public record Limits(
    int source, int nesting, int depth, long steps, int characters, long produced, Duration time) {
  /** Enough for conversations of hundreds of turns with tools. */
  public static final Limits DEFAULT =
      new Limits(1 << 20, 100, 500, 4_000_000, 1 << 22, 1L << 26, Duration.ofSeconds(2));

  /** The same with another time. */
  public Limits within(Duration other) {
    return new Limits(source, nesting, depth, steps, characters, produced, other);
  }
}
