package org.threegate.rl.template;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.catchThrowableOfType;
import static org.junit.jupiter.api.Assertions.assertTimeoutPreemptively;

import java.time.Clock;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Tests templates that try to reach other objects, or to exhaust time or memory. */
class TemplateAttackTest {
  private static final Duration HANG = Duration.ofSeconds(30);
  private static final Map<String, Object> ARGUMENTS =
      Map.of(
          "messages", List.of(Map.of("role", "user", "content", "hello")),
          "long", "a".repeat(1 << 20),
          "deep", nested(90));

  private static Object nested(int depth) {
    Object value = "x";
    for (int i = 0; i < depth; i++) {
      value = List.of(value);
    }
    return value;
  }

  private static String render(String source) {
    return assertTimeoutPreemptively(
        HANG, () -> Template.parse(source).render(ARGUMENTS, Clock.systemUTC()));
  }

  /** Returns templates that each try to exhaust time or memory in another way. */
  static List<String> greedy() {
    String ten = "0,".repeat(10);
    return List.of(
        "{% for a in range(1000) %}{% for b in range(1000) %}{% for c in range(1000) %}{% endfor %}{% endfor %}{% endfor %}",
        "{% set ns = namespace(x=[0]) %}{% for i in range(30) %}{% set ns.x = ns.x + ns.x %}{% endfor %}",
        "{% set ns = namespace(x='ab') %}{% for i in range(30) %}{% set ns.x = ns.x + ns.x %}{% endfor %}",
        "{% set ns = namespace(x='ab') %}{% for i in range(30) %}{% set ns.x = ns.x ~ ns.x %}{% endfor %}",
        "{% set ns = namespace(x=[0]) %}{% for i in range(60) %}{% set ns.x = [ns.x, ns.x] %}{% endfor %}{{ ns.x }}",
        "{% set ns = namespace(x=[0]) %}{% for i in range(60) %}{% set ns.x = {'a': ns.x, 'b': ns.x} %}{% endfor %}",
        "{% set ns = namespace(x=[0]) %}{% for i in range(60000) %}{% set ns.x = [ns.x] %}{% endfor %}",
        "{% set ns = namespace(x=[]) %}{% for i in range(60000) %}{% set ns.x = ns.x + [i] %}{% endfor %}",
        "{% set ns = namespace(x=[]) %}{% for i in range(100) %}{% set ns.x = ns.x + [long ~ i] %}{% endfor %}",
        "{{ '%2000000000d'|format(1) }}",
        "{{ '%.2000000000f'|format(1) }}",
        "{{ '%0999999999d' % 1 }}",
        "{{ '{:2000000000}'.format(1) }}",
        "{{ '{:>999999999}'.format('a') }}",
        "{{ '{:.999999999f}'.format(1) }}",
        "{{ 'a' * 10 ** 9 }}",
        "{{ 'a' * 9223372036854775807 }}",
        "{{ [0] * 10 ** 9 }}",
        "{{ [0, 1, 2] * 9223372036854775807 }}",
        "{{ 7 ** 10 ** 18 }}",
        "{{ 2 ** 64 }}",
        "{{ range(10 ** 9)|list }}",
        "{{ range(-9223372036854775807, 9223372036854775807)|length }}",
        "{{ (range(100000)|list * 40)|join(long) }}",
        "{{ long.replace('', long) }}",
        "{{ long|replace('a', 'aaaaaaaaaa') }}",
        "{{ ('\\n' * 100000)|indent(100000, blank=true) }}",
        "{{ 'x'|indent(2000000000, true) }}",
        "{{ 'x'|center(2000000000) }}",
        "{{ 'x'.ljust(2000000000) }}",
        "{{ '1'.zfill(2000000000) }}",
        "{{ (long * 4)|list|length }}{{ (long * 4)|list }}",
        "{% for i in range(1000) %}{{ long.split('a')|length }}{% endfor %}",
        "{% for i in range(1000) %}{% set x = long[::-1] %}{% endfor %}",
        "{% for i in range(100000) %}{% set x = long|upper %}{% endfor %}",
        "{% for i in range(100000) %}{% set x = long[1:] %}{% endfor %}",
        "{% for i in range(100000) %}{{ long == long ~ '' }}{% endfor %}",
        "{% set half = long[:500000] ~ 'b' %}{% for i in range(10000) %}{{ half in long }}{{ long.count(half) }}{% endfor %}",
        "{% for i in range(100000) %}{{ long }}{% endfor %}",
        "{% macro f(n) %}{{ f(n + 1) }}{% endmacro %}{{ f(0) }}",
        "{% macro f(n) %}{{ long * 3 }}{{ f(n + 1) }}{% endmacro %}{{ f(0) }}",
        "{% macro f() %}{% call f() %}{{ caller() }}{% endcall %}{% endmacro %}{{ f() }}",
        "{% macro f() %}{{ f() }}{{ f() }}{% endmacro %}{{ f() }}",
        "{% for x in [1] recursive %}{{ loop([1]) }}{% endfor %}",
        "{{ [[[[1," + ten + "]]]]|tojson(indent=1000000000) }}",
        "{{ range(100000)|list|tojson(indent=100) }}",
        "{{ range(100000)|list|batch(1, fill_with='x')|list|batch(900000000, 0)|list }}",
        "{{ [1]|batch(2000000000, 0)|list }}",
        "{{ [1]|slice(2000000000)|list }}",
        "{{ '%s' * 1000000 % range(10) }}",
        "{% set c = joiner(long) %}{% for i in range(1000) %}{{ c() }}{% endfor %}",
        "{% for i in range(100) %}{% for j in range(100000) %}{{ strftime_now(long) }}{% endfor %}{% endfor %}",
        "{{ ('{a' ~ '[' * 1000000 ~ '}').format(a=1) }}",
        "{% set one = '1_' * 500000 %}{% for i in range(1000) %}{{ (long ~ i)|int }}{{ (one ~ i)|int }}{% endfor %}",
        "{% set a = range(100000)|list * 10 %}{% set b = range(100000)|list * 10 %}{% for i in range(100000) %}{{ loop.changed(a if i is odd else b) }}{% endfor %}",
        "{% for i in range(100000) %}{{ long is lower }}{{ long.isupper() }}{% endfor %}",
        "{% set a = range(100000)|list %}{% for i in a %}{% for j in a %}{{ loop.length }}{% break %}{% endfor %}{% endfor %}",
        "{% set a = (1,) * 100000 %}{{ ('%s' * 100000) % a ~ ('%s' * 100000) % a * 100 }}",
        "{{ dict((range(100000)|list * 20)|batch(2))|length }}{% for i in range(10000) %}{{ dict(range(100000)|batch(2)|list)|length }}{% endfor %}",
        "{{ deep|map('list')|list|map('list')|list }}{{ [[[[[[[[[[[[deep]]]]]]]]]]]] }}");
  }

  @ParameterizedTest
  @MethodSource("greedy")
  void whatWantsTooMuchIsRefused(String source) {
    assertThatThrownBy(() -> render(source)).isInstanceOf(TemplateException.class);
  }

  /** Returns templates with 3,000 nested or chained constructs. */
  static List<String> nestings() {
    int count = 3000;
    List<String> nestings = new ArrayList<>();
    nestings.add("{% if 1 %}".repeat(count) + "{% endif %}".repeat(count));
    nestings.add("{% for x in [1] %}".repeat(count) + "{% endfor %}".repeat(count));
    nestings.add("{% macro a() %}".repeat(count) + "{% endmacro %}".repeat(count));
    nestings.add("{% set x %}".repeat(count) + "{% endset %}".repeat(count));
    nestings.add("{% generation %}".repeat(count) + "{% endgeneration %}".repeat(count));
    nestings.add("{{ " + "(".repeat(count) + "1" + ")".repeat(count) + " }}");
    nestings.add("{{ " + "[".repeat(count) + "1" + "]".repeat(count) + " }}");
    nestings.add("{{ " + "{1: ".repeat(count) + "1" + "}".repeat(count) + " }}");
    nestings.add("{{ " + "-".repeat(2 * count + 1) + "1 }}");
    nestings.add("{{ " + "not ".repeat(count) + "1 }}");
    nestings.add("{{ " + "1 if 1 else ".repeat(count) + "1 }}");
    nestings.add("{{ " + "range(".repeat(count) + "1" + ")".repeat(count) + " }}");
    nestings.add("{{ messages" + "[0".repeat(count) + "]".repeat(count) + " }}");
    nestings.add("{{ 1" + " + 1".repeat(count) + " }}");
    nestings.add("{{ 1" + " * 1".repeat(count) + " }}");
    nestings.add("{{ 1" + " and 1".repeat(count) + " }}");
    nestings.add("{{ 'a'" + "|upper".repeat(count) + " }}");
    nestings.add("{{ 'a'" + ".upper()".repeat(count) + " }}");
    nestings.add("{{ 'a'" + "[:]".repeat(count) + " }}");
    nestings.add("{% set " + "(".repeat(count) + "a" + ")".repeat(count) + " = 1 %}");
    return nestings;
  }

  @ParameterizedTest
  @MethodSource("nestings")
  void whatIsNestedTooDeepIsRefused(String source) {
    assertThatThrownBy(() -> render(source))
        .isInstanceOf(TemplateException.class)
        .hasMessageContaining("nested deeper than");
  }

  /** The limit on nesting takes effect before a stack of half the usual size overflows. */
  @Test
  void whatIsAllowedFitsTheStack() throws InterruptedException {
    String deepest =
        "{% macro f(n) %}{% if n > 0 %}{{ "
            + "['a' ~ ".repeat(40)
            + "f(*[n - 1])"
            + "]".repeat(40)
            + "|upper|lower|trim }}{% endif %}{% endmacro %}{{ f(1000) }}";
    List<Throwable> seen = new ArrayList<>();
    Thread thread =
        new Thread(
            null,
            () -> {
              try {
                render(deepest);
              } catch (TemplateException | StackOverflowError e) {
                seen.add(e);
              }
            },
            "small",
            1 << 19);
    thread.start();
    thread.join(HANG.toMillis());
    assertThat(seen).singleElement().isInstanceOf(TemplateException.class);
  }

  /** Published sandbox escapes for Jinja in Python and in Java fail. */
  @ParameterizedTest
  @ValueSource(
      strings = {
        "{{ ''.__class__.__mro__[1].__subclasses__() }}",
        "{{ messages.__class__.__init__.__globals__ }}",
        "{{ raise_exception.__globals__ }}{{ raise_exception.__globals__.os }}",
        "{{ ''|attr('__class__') }}",
        "{{ messages|map(attribute='__class__.__mro__')|list }}",
        "{{ '{0.__class__.__mro__}'.format('') }}",
        "{{ '{0[__class__][x]}'.format(messages) }}",
        "{{ ''['__class__']['__mro__'] }}",
        "{{ self.__init__.__globals__.__builtins__ }}",
        "{{ cycler.__init__.__globals__.os.popen('id').read() }}",
        "{{ joiner.__init__.__globals__ }}",
        "{{ namespace.__init__.__globals__ }}",
        "{{ lipsum.__globals__ }}",
        "{{ config.items() }}",
        "{{ request.application }}",
        "{{ ____int3rpr3t3r____.config }}",
        "{{ ____int3rpr3t3r____.context.objectMapper }}",
        "{% set obj = ____int3rpr3t3r____ %}{% for config, x in [obj] %}{{ config }}{% endfor %}",
        "{% for class, x in ['a'] %}{{ class }}{% endfor %}",
        "{{ ''.getClass() }}",
        "{{ ''.class.forName('java.lang.Runtime') }}",
        "{{ messages.getClass().forName('java.lang.Runtime') }}",
        "{{ messages[0].content.getBytes() }}",
        "{{ messages[0].content.bytes[0] }}",
        "{{ messages.stream() }}",
        "{{ messages[0].entrySet() }}",
        "{{ messages.append(1) }}",
        "{{ messages[0].update({'a': 1}) }}",
        "{{ messages[0].pop('role') }}",
        "{{ messages[0].setdefault('a', 1) }}",
        "{{ messages.sort() }}",
        "{% set messages.x = 1 %}",
        "{% include '/etc/passwd' %}",
        "{% import 'os' as os %}",
        "{% from 'os' import popen %}",
        "{% extends 'base' %}",
        "{% block x %}{% endblock %}",
        "{% do messages.append(1) %}",
        "{% debug %}",
        "{% autoescape true %}{% endautoescape %}",
        "{{ open('/etc/passwd') }}",
        "{{ unknown_function(1) }}",
        "{{ 1|unknown_filter }}",
        "{{ 1 is unknown_test }}",
        "{{ [1, 2]|random }}",
        "{{ messages|pprint }}",
        "{{ messages.items }}{{ messages.index }}",
        "{{ range }}",
        "{{ namespace() }}"
      })
  void nothingElseIsReached(String source) {
    assertThatThrownBy(() -> render(source)).isInstanceOf(TemplateException.class);
  }

  /** Private attributes are undefined, as in Python's sandbox. */
  @ParameterizedTest
  @ValueSource(
      strings = {
        "{{ ''.__class__ }}",
        "{{ messages.__class__ }}",
        "{{ messages[0].class }}",
        "{{ messages[0]['getClass'] }}",
        "{{ raise_exception.__globals__ }}",
        "{{ loop }}",
        "{{ self }}"
      })
  void whatIsPrivateIsUndefined(String source) {
    assertThat(render(source)).isEmpty();
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "{% if %}",
        "{% if 1 %}",
        "{{ 1",
        "{% for x in %}{% endfor %}",
        "{{ }}",
        "{# x",
        "{% raw %}",
        "{{ 'a }}",
        "{{ a b }}",
        "{{ 1 + }}",
        "{{ (1 }}",
        "{{ [1 }}",
        "{{ {1: }}",
        "{{ a.1b.c }}",
        "{% set = 1 %}",
        "{{ f(a=1, 2) }}",
        "{{ '\\x4' }}",
        "{{ '\\U00110000' }}",
        "{{ 99999999999999999999 }}",
        "{% endif %}",
        "{% break %}",
        "{{ a | }}",
        "{{ 1 is }}",
        "{% macro f(a=1, b) %}{% endmacro %}",
        "{% call 1 %}{% endcall %}",
        "{{ \u0000 }}",
        "{% for x in [1] %}"
      })
  void whatIsNoTemplateIsRefused(String source) {
    assertThatThrownBy(() -> render(source)).isInstanceOf(TemplateException.class);
  }

  @Test
  void arguments() {
    Template template = Template.parse("{{ x }}");
    assertThatThrownBy(() -> template.render(Map.of("x", new StringBuilder()), Clock.systemUTC()))
        .isInstanceOf(IllegalArgumentException.class);
    assertThatThrownBy(() -> template.render(Map.of("x", nested(200)), Clock.systemUTC()))
        .isInstanceOf(TemplateException.class);
    assertThatThrownBy(() -> Template.parse("a".repeat(Limits.DEFAULT.source() + 1)))
        .isInstanceOf(TemplateException.class);
  }

  @Test
  void linesAreTold() {
    TemplateException run =
        catchThrowableOfType(
            TemplateException.class,
            () -> render("a\n{% if 1 %}\n\n{{ raise_exception('no') }}\n{% endif %}"));
    assertThat(run).hasMessage("no");
    assertThat(run.line()).isEqualTo(4);
    TemplateException parse =
        catchThrowableOfType(TemplateException.class, () -> render("a\n{{ 'b\n' }}\n{{ c d }}"));
    assertThat(parse.line()).isEqualTo(4);
  }

  /** The time limit ends it; the step limit alone would not. */
  @Test
  void timeIsBounded() {
    Limits limits = Limits.DEFAULT;
    Limits slow =
        new Limits(
            limits.source(),
            limits.nesting(),
            limits.depth(),
            Long.MAX_VALUE / 2,
            limits.characters(),
            Long.MAX_VALUE / 2,
            Duration.ofMillis(50));
    Template endless =
        Template.parse(
            "{% for a in range(100000) %}{% for b in range(100000) %}{% for c in range(100000) %}{% endfor %}{% endfor %}{% endfor %}",
            slow);
    assertTimeoutPreemptively(
        HANG,
        () ->
            assertThatThrownBy(() -> endless.render(Map.of(), Clock.systemUTC()))
                .isInstanceOf(TemplateException.class)
                .hasMessageContaining("takes longer than 50 ms"));
  }
}
