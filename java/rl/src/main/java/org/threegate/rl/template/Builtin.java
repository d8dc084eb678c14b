package org.threegate.rl.template;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/**
 * A filter, test, method or function: what templates call by its name.
 *
 * @param parameters names; with "?" where there is a default, "*" and "**" take the rest
 */
record Builtin(String name, List<String> parameters, Body body) {
  /** What it does to the value that it is of. */
  @FunctionalInterface
  interface Body {
    Value apply(Evaluation run, Value subject, Given given);
  }

  static Builtin of(String name, String parameters, Body body) {
    return new Builtin(
        name, parameters.isEmpty() ? List.of() : Arrays.asList(parameters.split(" ")), body);
  }

  static Map<String, Builtin> table(Builtin... all) {
    return Stream.of(all).collect(Collectors.toUnmodifiableMap(Builtin::name, each -> each));
  }

  Value apply(Evaluation run, Value subject, Arguments arguments) {
    return body.apply(run, subject, bind(run, arguments));
  }

  private Given bind(Evaluation run, Arguments arguments) {
    Map<String, Value> values = new LinkedHashMap<>();
    Map<String, Value> named = new LinkedHashMap<>(arguments.named());
    List<Value> rest = new ArrayList<>(arguments.positional());
    for (String parameter : parameters) {
      String own = parameter.replace("?", "");
      if (parameter.startsWith("*")) {
        continue;
      }
      if (!rest.isEmpty()) {
        values.put(own, rest.remove(0));
        if (named.containsKey(own)) {
          throw new TemplateException(name + "() has two values for \"" + own + "\"");
        }
      } else if (named.containsKey(own)) {
        values.put(own, named.remove(own));
      } else if (!parameter.endsWith("?")) {
        throw new TemplateException(name + "() lacks \"" + own + "\"");
      }
    }
    if (!rest.isEmpty() && !parameters.contains("*")) {
      throw new TemplateException(name + "() has too many arguments");
    }
    if (!named.isEmpty() && !parameters.contains("**")) {
      throw new TemplateException(
          name + "() has no argument \"" + named.keySet().iterator().next() + "\"");
    }
    return new Given(run, values, rest, named);
  }

  /** Of a value, or of nothing: what a name or a method is worth. */
  record Bound(Builtin builtin, Value subject) implements Callable {
    @Override
    public Value call(Evaluation run, Arguments arguments) {
      return builtin.apply(run, subject, arguments);
    }
  }

  /** Arguments by the names of their parameters. */
  record Given(
      Evaluation run, Map<String, Value> values, List<Value> rest, Map<String, Value> named) {
    /** Whether there is one that is not {@code none}. */
    boolean has(String name) {
      return values.getOrDefault(name, Value.None.NONE) != Value.None.NONE;
    }

    Value get(String name) {
      return values.get(name);
    }

    Value get(String name, Value otherwise) {
      return values.getOrDefault(name, otherwise);
    }

    long integer(String name, long otherwise) {
      return has(name) ? Conversions.integer(get(name)) : otherwise;
    }

    String text(String name) {
      return Conversions.text(get(name));
    }

    String text(String name, String otherwise) {
      return has(name) ? text(name) : otherwise;
    }

    boolean flag(String name, boolean otherwise) {
      return values.containsKey(name) ? get(name).truth() : otherwise;
    }

    Arguments others() {
      return new Arguments(rest, named);
    }
  }
}
