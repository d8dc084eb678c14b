package org.threegate.rl.template;

import java.time.Duration;

/**
 * The resource limits of a template. Exceeding one throws a {@link TemplateException}.
 *
 * <pre>{@code
 * Template patient = Template.parse("{{ 1 }}", Limits.DEFAULT.within(Duration.ofSeconds(10)));
 * }</pre>
 *
 * @param source the maximal number of characters of the template
 * @param nesting the maximal nesting of statements, expressions and values
 * @param depth the maximal depth of the evaluation, including calls of macros
 * @param steps the maximal number of evaluated nodes; work on 64 characters counts as one
 * @param characters the maximal number of characters of a value, printed or not; an element of a
 *     list counts as 1
 * @param produced the maximal number of characters of all values together; an element of a list
 *     counts as 16
 * @param time the maximal elapsed time, which is checked every 1,024 steps
 */
public record Limits(
    int source, int nesting, int depth, long steps, int characters, long produced, Duration time) {
  /** Limits that suffice for conversations with tools and hundreds of turns. */
  public static final Limits DEFAULT =
      new Limits(1 << 20, 100, 500, 4_000_000, 1 << 22, 1L << 26, Duration.ofSeconds(2));

  /**
   * {@return the same limits with another time}
   *
   * @param other the maximal elapsed time
   */
  public Limits within(Duration other) {
    return new Limits(source, nesting, depth, steps, characters, produced, other);
  }
}
